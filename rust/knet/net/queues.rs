// SPDX-License-Identifier: GPL-2.0

//! The queues of a network device, each with its NAPI instance.
//!
//! A receive queue's body is touched only by its poll or while the queue is paused;
//! a transmit queue's only under the transmit lock of its `netdev_queue`.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    dim::Direction,
    locks::OpsLocked,
    napi::{poll_rx, poll_tx, Poll, RxBody, RxPoll, Slot},
    ops::Driver,
    page_pool::{PagePool, Pages},
    txq::{TxGuard, TxQueue},
    xsk::{Pools, XskPool},
};
use crate::bindings;
use core::sync::atomic::Ordering;
use kernel::prelude::*;

/// All queues of a device, whose part they are: see [`super::Device::queues`].
///
/// # Invariants
///
/// Slots do not move, and their NAPI instances belong to `netdev`, which is valid. An
/// instance is enabled only while the device has a driver.
pub struct Queues<D: Driver> {
    rx: KVec<Slot<D, RxBody<D::Rx>>>,
    tx: KVec<Slot<D, D::Tx>>,
    pools: Pools,
    netdev: *mut bindings::net_device,
}

// SAFETY: Bodies are touched only as the module's documentation says, which
// serialises the users of each; the other fields change under the instance lock.
unsafe impl<D: Driver> Sync for Queues<D> {}
// SAFETY: As above; bodies are `Send`.
unsafe impl<D: Driver> Send for Queues<D> {}

pub(super) const RX: u32 = bindings::netdev_queue_type_NETDEV_QUEUE_TYPE_RX;
pub(super) const TX: u32 = bindings::netdev_queue_type_NETDEV_QUEUE_TYPE_TX;

impl<D: Driver> Queues<D> {
    /// Gives each body a NAPI instance for `dev`.
    ///
    /// # Safety
    ///
    /// `dev` is valid while the value lives, and not registered yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if there are more bodies than the device has queues.
    pub(super) unsafe fn new(
        dev: *mut bindings::net_device,
        rx: KVec<(D::Rx, PagePool)>,
        tx: KVec<D::Tx>,
    ) -> Result<Self> {
        // SAFETY: The device is valid.
        let (most_rx, most_tx) =
            unsafe { ((*dev).num_rx_queues as usize, (*dev).num_tx_queues as usize) };
        if rx.len() > most_rx || tx.len() > most_tx {
            return Err(EINVAL);
        }
        let mut this = Self {
            rx: KVec::with_capacity(rx.len(), GFP_KERNEL)?,
            tx: KVec::with_capacity(tx.len(), GFP_KERNEL)?,
            pools: Pools::new(rx.len().min(tx.len()))?,
            netdev: dev,
        };
        for (index, rx) in rx.into_iter().enumerate() {
            // SAFETY: The device is valid, and stays so while the queues live.
            let body = unsafe { RxBody::new(dev, index, rx)? };
            let pool = Some(body.pool.share());
            this.rx.push(
                Slot::new(index, core::ptr::null_mut(), poll_rx::<D>, body, pool),
                GFP_KERNEL,
            )?;
        }
        for (index, body) in tx.into_iter().enumerate() {
            // SAFETY: `index` is below the number of transmit queues.
            let txq = unsafe { (*dev)._tx.add(index) };
            this.tx
                .push(Slot::new(index, txq, poll_tx::<D>, body, None), GFP_KERNEL)?;
        }
        // The slots have their final places now.
        for slot in &this.rx {
            slot.recycle_directly();
            // SAFETY: Nobody knows of the slot.
            unsafe { slot.init_dim(Direction::Rx) };
        }
        for slot in &this.tx {
            // SAFETY: As above.
            unsafe { slot.init_dim(Direction::Tx) };
        }
        Ok(this)
    }

    /// Tells the slots whom they belong to: from here on they can run. With null, they
    /// are stopped, and cannot run any more.
    pub(super) fn publish(&self, driver: *const D, lock: &mut OpsLocked<'_, D>) {
        if driver.is_null() {
            for index in 0..self.rx.len().max(self.tx.len()) {
                self.pause(index, lock);
            }
        }
        for slot in &self.rx {
            slot.driver.set(driver);
        }
        for slot in &self.tx {
            slot.driver.set(driver);
        }
    }

    /// Whether it is their device that is locked.
    pub(super) fn are_of(&self, lock: &OpsLocked<'_, D>) -> bool {
        lock.netdev() == self.netdev
    }

    /// The slots of the receive queues.
    pub(super) fn rx(&self) -> &[Slot<D, RxBody<D::Rx>>] {
        &self.rx
    }

    /// The slots of the transmit queues.
    pub(super) fn tx(&self) -> &[Slot<D, D::Tx>] {
        &self.tx
    }

    /// The AF_XDP pools.
    pub(super) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The AF_XDP pool that queue pair `index` is bound to, if it is.
    pub fn pool(&self, index: usize, lock: &OpsLocked<'_, D>) -> Option<XskPool> {
        if !self.are_of(lock) {
            return None;
        }
        self.pools.get(index)
    }

    /// How many packets a receive queue may take in one poll, from when it runs next.
    pub fn set_weight(&self, weight: u16) {
        for slot in &self.rx {
            slot.weight.store(weight, Ordering::Relaxed);
        }
    }

    /// How many receive queues there are.
    pub fn rx_len(&self) -> usize {
        self.rx.len()
    }

    /// How many transmit queues there are.
    pub fn tx_len(&self) -> usize {
        self.tx.len()
    }

    /// Schedules the poll of receive queue `index`. Any context.
    #[inline]
    pub fn schedule_rx(&self, index: usize, before: impl FnOnce()) {
        Self::schedule(self.rx.get(index), before);
    }

    /// Schedules the poll of transmit queue `index`. Any context.
    #[inline]
    pub fn schedule_tx(&self, index: usize, before: impl FnOnce()) {
        Self::schedule(self.tx.get(index), before);
    }

    #[inline]
    fn schedule<B>(slot: Option<&Slot<D, B>>, before: impl FnOnce()) {
        let Some(slot) = slot else { return };
        // SAFETY: The instance is valid, and disabled or in the device's list.
        unsafe {
            if bindings::napi_schedule_prep(slot.napi.get()) {
                slot.dim.count_event();
                before();
                bindings::__napi_schedule(slot.napi.get());
            }
        }
    }

    /// Calls `f` on the body of a receive queue that is paused, and the pages of its pool.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is not paused, `EINVAL` if there is no such queue or the lock is
    /// another device's, `ENODEV` while the device is detached.
    pub fn with_paused_rx<R>(
        &self,
        index: usize,
        lock: &mut OpsLocked<'_, D>,
        f: impl FnOnce(&mut D::Rx, Pages<'_>) -> R,
    ) -> Result<R> {
        if !self.are_of(lock) {
            return Err(EINVAL);
        }
        let slot = self.rx.get(index).ok_or(EINVAL)?;
        if slot.enabled.get() {
            return Err(EBUSY);
        }
        // SAFETY: A disabled NAPI does not poll, and the instance lock keeps it so; the
        // closure cannot reach here again, as the lock token is borrowed meanwhile.
        let body = unsafe { slot.body() }.ok_or(ENODEV)?;
        // SAFETY: As above.
        Ok(f(&mut body.rx, unsafe { body.pool.pages() }))
    }

    /// Lets the queue pair run, if the device is registered.
    pub fn resume(&self, index: usize, lock: &mut OpsLocked<'_, D>) {
        if !self.are_of(lock) {
            return;
        }
        if let Some(slot) = self.rx.get(index) {
            slot.enable(lock.netdev(), RX);
        }
        if let Some(slot) = self.tx.get(index) {
            slot.enable(lock.netdev(), TX);
        }
    }

    /// Waits for the polls of the queue pair to end, and lets no more begin.
    pub fn pause(&self, index: usize, lock: &mut OpsLocked<'_, D>) {
        if !self.are_of(lock) {
            return;
        }
        self.disable(index, lock);
        let rx = self.rx.get(index).is_some_and(Slot::unlist);
        let tx = self.tx.get(index).is_some_and(Slot::unlist);
        if rx || tx {
            // SAFETY: No preconditions; process context.
            unsafe { bindings::synchronize_net() };
        }
    }

    /// The same for a moment: the device goes on to know of the polls.
    pub(super) fn disable(&self, index: usize, lock: &mut OpsLocked<'_, D>) {
        if let Some(slot) = self.tx.get(index) {
            slot.disable(lock.netdev(), TX);
        }
        if let Some(slot) = self.rx.get(index) {
            slot.disable(lock.netdev(), RX);
        }
    }

    /// The transmit queue `index`, if nobody has paused or taken it. Waits for who is in it.
    #[inline]
    pub fn lock_tx<'a>(&'a self, index: usize, _poll: &'a RxPoll<'_>) -> Option<TxGuard<'a, D>> {
        // SAFETY: A receive poll is softirq context.
        unsafe { TxGuard::lock(self.tx.get(index)?) }
    }

    /// The transmit queue `index`, if nobody is in it.
    #[inline]
    pub fn try_lock_tx<'a>(&'a self, index: usize, _poll: &'a Poll<'_>) -> Option<TxGuard<'a, D>> {
        TxGuard::try_lock(self.tx.get(index)?)
    }

    /// Calls `f` on transmit queue `index` under its lock. Not from interrupts.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue, `EBUSY` if somebody has paused or taken it.
    pub fn with_tx<R>(&self, index: usize, f: impl FnOnce(&mut D::Tx, &TxQueue) -> R) -> Result<R> {
        let slot = self.tx.get(index).ok_or(EINVAL)?;
        slot.locked(|| {
            if slot.held.get() {
                return Err(EBUSY);
            }
            // SAFETY: We have the transmit lock.
            let body = unsafe { slot.body() }.ok_or(EBUSY)?;
            Ok(f(body, TxQueue::of(slot)))
        })
    }
}

impl<D: Driver> Drop for Queues<D> {
    fn drop(&mut self) {
        // Who frees a packet looks for its pool's NAPI instance under RCU: none is found
        // from here on, and the wait below is for those who have found one.
        for slot in &self.rx {
            slot.recycle_no_more();
        }
        // SAFETY: No preconditions; process context.
        unsafe { bindings::synchronize_net() };
    }
}
