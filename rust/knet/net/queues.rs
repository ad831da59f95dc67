// SPDX-License-Identifier: GPL-2.0

//! The queues of a network device, each with its NAPI instance.
//!
//! A receive queue's body is touched only by its poll or while the queue is paused;
//! a transmit queue's only under the transmit lock of its `netdev_queue`.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    device::{Device, OpsLocked},
    ops::Driver,
};
use crate::{bindings, virtio::Rearm};
use core::{
    cell::{Cell, UnsafeCell},
    marker::PhantomData,
    ops::{Deref, DerefMut},
};
use kernel::{prelude::*, types::Opaque};

/// A NAPI poll under way: softirq context, on behalf of one NAPI instance.
pub struct Poll<'a> {
    napi: *mut bindings::napi_struct,
    budget: usize,
    _poll: PhantomData<&'a ()>,
}

impl Poll<'_> {
    #[inline]
    pub(super) fn napi(&self) -> *mut bindings::napi_struct {
        self.napi
    }

    /// How many packets may be received; 0 from netpoll, which must not receive.
    #[inline]
    pub fn budget(&self) -> usize {
        self.budget
    }
}

/// How a poll ended.
pub enum Polled {
    /// There is more to do: poll again soon.
    Again,
    /// `work` packets, fewer than the budget, and nothing left.
    Done {
        /// Packets received.
        work: usize,
        /// The queue, with interrupts enabled again.
        rearm: Rearm,
    },
}

/// A queue's NAPI instance and its body.
#[repr(C)]
struct Slot<D: Driver, B> {
    napi: Opaque<bindings::napi_struct>,
    driver: Cell<*const D>,
    /// Changed under the instance lock only.
    enabled: Cell<bool>,
    index: usize,
    txq: *mut bindings::netdev_queue,
    body: UnsafeCell<B>,
}

impl<D: Driver, B> Slot<D, B> {
    fn new(index: usize, txq: *mut bindings::netdev_queue, body: B) -> Self {
        Self {
            napi: Opaque::zeroed(),
            driver: Cell::new(core::ptr::null()),
            enabled: Cell::new(false),
            index,
            txq,
            body: UnsafeCell::new(body),
        }
    }

    /// # Safety
    ///
    /// `napi` is the NAPI instance of a live slot of these types.
    #[inline]
    unsafe fn of<'a>(napi: *mut bindings::napi_struct) -> &'a Self {
        // SAFETY: The instance is the slot's first field.
        unsafe { &*napi.cast() }
    }

    #[inline]
    fn schedule(&self) {
        // SAFETY: The instance was added to the device in `Queues::new`.
        unsafe {
            if bindings::napi_schedule_prep(self.napi.get()) {
                bindings::__napi_schedule(self.napi.get());
            }
        }
    }

    /// Lets the NAPI run, and runs it once, for what came before.
    fn enable(&self, dev: *mut bindings::net_device, kind: u32) {
        if self.enabled.replace(true) {
            return;
        }
        // SAFETY: The instance belongs to `dev`, whose instance lock the caller holds.
        unsafe {
            bindings::napi_enable_locked(self.napi.get());
            bindings::netif_queue_set_napi(dev, self.index as u32, kind, self.napi.get());
            // The softirq runs when bottom halves are enabled again.
            bindings::local_bh_disable();
            self.schedule();
            bindings::local_bh_enable();
        }
    }

    fn disable(&self, dev: *mut bindings::net_device, kind: u32) {
        if !self.enabled.replace(false) {
            return;
        }
        // SAFETY: As in `enable`.
        unsafe {
            bindings::netif_queue_set_napi(dev, self.index as u32, kind, core::ptr::null_mut());
            bindings::napi_disable_locked(self.napi.get());
        }
    }
}

/// All queues of a device.
///
/// # Invariants
///
/// Slots do not move, and their NAPI instances belong to `netdev`.
pub struct Queues<D: Driver> {
    rx: KVec<Slot<D, D::Rx>>,
    tx: KVec<Slot<D, D::Tx>>,
    netdev: *mut bindings::net_device,
}

// SAFETY: Bodies are touched only as the module's documentation says, which
// serialises the users of each; the other fields change under the instance lock.
unsafe impl<D: Driver> Sync for Queues<D> {}
// SAFETY: As above; bodies are `Send`.
unsafe impl<D: Driver> Send for Queues<D> {}

const RX: u32 = bindings::netdev_queue_type_NETDEV_QUEUE_TYPE_RX;
const TX: u32 = bindings::netdev_queue_type_NETDEV_QUEUE_TYPE_TX;

impl<D: Driver> Queues<D> {
    /// Gives each body a NAPI instance of `netdev`, which is not registered yet. The
    /// queues must go before the device does.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if there are more bodies than the device has queues.
    pub fn new(netdev: &Device<D>, rx: KVec<D::Rx>, tx: KVec<D::Tx>) -> Result<Self> {
        let dev = netdev.as_raw();
        // SAFETY: The device is valid.
        let (most_rx, most_tx) =
            unsafe { ((*dev).num_rx_queues as usize, (*dev).num_tx_queues as usize) };
        if rx.len() > most_rx || tx.len() > most_tx {
            return Err(EINVAL);
        }
        let mut this = Self {
            rx: KVec::with_capacity(rx.len(), GFP_KERNEL)?,
            tx: KVec::with_capacity(tx.len(), GFP_KERNEL)?,
            netdev: dev,
        };
        for (index, body) in rx.into_iter().enumerate() {
            this.rx
                .push(Slot::new(index, core::ptr::null_mut(), body), GFP_KERNEL)?;
        }
        for (index, body) in tx.into_iter().enumerate() {
            // SAFETY: `index` is below the number of transmit queues.
            let txq = unsafe { (*dev)._tx.add(index) };
            this.tx.push(Slot::new(index, txq, body), GFP_KERNEL)?;
        }
        // The slots have their final places now.
        for slot in &mut this.rx {
            // SAFETY: The slot is zeroed, and stays in place until `drop`.
            unsafe {
                bindings::netif_napi_add_config(
                    dev,
                    slot.napi.get(),
                    Some(poll_rx::<D>),
                    slot.index as c_int,
                )
            };
            if let Some(pool) = D::page_pool(slot.body.get_mut()) {
                // SAFETY: The instance is disabled; the pool goes before it does.
                unsafe {
                    bindings::page_pool_enable_direct_recycling(pool.as_raw(), slot.napi.get())
                };
            }
        }
        for slot in &this.tx {
            // SAFETY: As above.
            unsafe { bindings::netif_napi_add_tx(dev, slot.napi.get(), Some(poll_tx::<D>)) };
        }
        Ok(this)
    }

    /// Whether they are queues of `netdev`.
    pub(super) fn belong_to(&self, netdev: *mut bindings::net_device) -> bool {
        self.netdev == netdev
    }

    /// Tells the slots whom they belong to.
    pub(super) fn publish(&self, driver: *const D) {
        for slot in &self.rx {
            slot.driver.set(driver);
        }
        for slot in &self.tx {
            slot.driver.set(driver);
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
        // SAFETY: The instance was added to the device in `new`.
        unsafe {
            if bindings::napi_schedule_prep(slot.napi.get()) {
                before();
                bindings::__napi_schedule(slot.napi.get());
            }
        }
    }

    /// Calls `f` on the body of a receive queue that is paused.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is not paused, `EINVAL` if there is no such queue or the lock is
    /// another device's.
    pub fn with_paused_rx<R>(
        &self,
        index: usize,
        lock: &mut OpsLocked<'_, D>,
        f: impl FnOnce(&mut D::Rx) -> R,
    ) -> Result<R> {
        if lock.netdev() != self.netdev {
            return Err(EINVAL);
        }
        let slot = self.rx.get(index).ok_or(EINVAL)?;
        if slot.enabled.get() {
            return Err(EBUSY);
        }
        // SAFETY: A disabled NAPI does not poll, and the instance lock keeps it so; the
        // closure cannot reach here again, as the lock token is borrowed meanwhile.
        Ok(f(unsafe { &mut *slot.body.get() }))
    }

    /// Lets the queue pair run.
    pub fn resume(&self, index: usize, lock: &mut OpsLocked<'_, D>) {
        if lock.netdev() != self.netdev {
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
        if lock.netdev() != self.netdev {
            return;
        }
        if let Some(slot) = self.tx.get(index) {
            slot.disable(lock.netdev(), TX);
        }
        if let Some(slot) = self.rx.get(index) {
            slot.disable(lock.netdev(), RX);
        }
    }

    /// The transmit queue `index`, if nobody is in it.
    #[inline]
    pub fn try_lock_tx<'a>(&'a self, index: usize, _poll: &'a Poll<'_>) -> Option<TxGuard<'a, D>> {
        let slot = self.tx.get(index)?;
        // SAFETY: The `netdev_queue` lives as long as the device; softirq context.
        unsafe { bindings::__netif_tx_trylock(slot.txq) }.then(|| TxGuard { slot })
    }

    /// Calls `f` on transmit queue `index` under its lock. Not from interrupts.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue.
    pub fn with_tx<R>(&self, index: usize, f: impl FnOnce(&mut D::Tx, &TxQueue) -> R) -> Result<R> {
        let slot = self.tx.get(index).ok_or(EINVAL)?;
        // SAFETY: As in `try_lock_tx`; bottom halves are off while it is held.
        unsafe {
            bindings::local_bh_disable();
            bindings::__netif_tx_lock(slot.txq);
            let result = f(&mut *slot.body.get(), TxQueue::of(slot));
            bindings::__netif_tx_unlock(slot.txq);
            bindings::local_bh_enable();
            Ok(result)
        }
    }

    /// The queue that the stack chose, with the lock that the stack holds.
    ///
    /// # Safety
    ///
    /// The caller holds the transmit lock of queue `index`.
    #[inline]
    pub(super) unsafe fn locked_tx(&self, index: usize) -> Option<(&mut D::Tx, &TxQueue)> {
        let slot = self.tx.get(index)?;
        // SAFETY: By the caller's promise.
        Some((unsafe { &mut *slot.body.get() }, TxQueue::of(slot)))
    }
}

impl<D: Driver> Drop for Queues<D> {
    fn drop(&mut self) {
        // Who frees a packet looks for its pool's NAPI instance under RCU: none is found
        // from here on, and the wait below is for those who have found one.
        for slot in &mut self.rx {
            if let Some(pool) = D::page_pool(slot.body.get_mut()) {
                // SAFETY: The pool is live, and its NAPI instance disabled.
                unsafe { bindings::page_pool_disable_direct_recycling(pool.as_raw()) };
            }
        }
        let instances = self.rx.iter().map(|slot| slot.napi.get());
        for napi in Iterator::chain(instances, self.tx.iter().map(|slot| slot.napi.get())) {
            // SAFETY: The instance was added in `new`, and its device is still there.
            unsafe { bindings::__netif_napi_del(napi) };
        }
        // SAFETY: No preconditions; process context. Others may still look at the
        // instances under RCU.
        unsafe { bindings::synchronize_net() };
    }
}

/// A transmit queue under its lock.
pub struct TxGuard<'a, D: Driver> {
    slot: &'a Slot<D, D::Tx>,
}

impl<D: Driver> TxGuard<'_, D> {
    /// The stack's side of the queue, and the driver's.
    #[inline]
    pub fn parts(&mut self) -> (&mut D::Tx, &TxQueue) {
        // SAFETY: The guard holds the transmit lock.
        let body = unsafe { &mut *self.slot.body.get() };
        (body, TxQueue::of(self.slot))
    }
}

impl<D: Driver> Deref for TxGuard<'_, D> {
    type Target = D::Tx;

    fn deref(&self) -> &D::Tx {
        // SAFETY: The guard holds the transmit lock.
        unsafe { &*self.slot.body.get() }
    }
}

impl<D: Driver> DerefMut for TxGuard<'_, D> {
    fn deref_mut(&mut self) -> &mut D::Tx {
        // SAFETY: The guard holds the transmit lock.
        unsafe { &mut *self.slot.body.get() }
    }
}

impl<D: Driver> Drop for TxGuard<'_, D> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The guard holds the lock.
        unsafe { bindings::__netif_tx_unlock(self.slot.txq) };
    }
}

/// The stack's side of a transmit queue: flow control and byte limits.
#[repr(C)]
pub struct TxQueue {
    napi: Opaque<bindings::napi_struct>,
    driver: Cell<*const ()>,
    enabled: Cell<bool>,
    index: usize,
    txq: *mut bindings::netdev_queue,
}

impl TxQueue {
    #[inline]
    fn of<D: Driver>(slot: &Slot<D, D::Tx>) -> &Self {
        // SAFETY: `Self` is a prefix of the slot, both `repr(C)`; `driver` is a thin
        // pointer in both.
        unsafe { &*core::ptr::from_ref(slot).cast() }
    }

    /// Which of the device's transmit queues.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether the driver has stopped the queue.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        // SAFETY: The `netdev_queue` lives as long as the device; a whole-word read.
        let state = unsafe { (&raw const (*self.txq).state).read_volatile() };
        state & 1 << bindings::netdev_queue_state_t___QUEUE_STATE_DRV_XOFF != 0
    }

    /// Takes no more packets from the stack (`netif_tx_stop_queue`).
    pub fn stop(&self) {
        // SAFETY: The `netdev_queue` lives as long as the device.
        unsafe { bindings::netif_tx_stop_queue(self.txq) };
    }

    /// Takes packets again (`netif_tx_wake_queue`).
    pub fn wake(&self) {
        // SAFETY: The `netdev_queue` lives as long as the device.
        unsafe { bindings::netif_tx_wake_queue(self.txq) };
    }

    /// Accounts a queued packet for the byte limits; true if the device should be told
    /// now, false if more packets follow (`__netdev_tx_sent_queue`). Only in
    /// [`Driver::start_xmit`].
    #[inline]
    pub fn sent(&self, bytes: usize) -> bool {
        // SAFETY: The `netdev_queue` lives as long as the device.
        unsafe { bindings::__netdev_tx_sent_queue(self.txq, bytes as u32) }
    }

    /// Accounts what the device has sent, once per reclaim (`netdev_tx_completed_queue`).
    #[inline]
    pub fn completed(&self, packets: usize, bytes: usize) {
        // SAFETY: The `netdev_queue` lives as long as the device.
        unsafe { bindings::netdev_tx_completed_queue(self.txq, packets as u32, bytes as u32) };
    }

    /// Forgets all accounting, for a queue that was emptied (`netdev_tx_reset_queue`).
    pub fn reset(&self) {
        // SAFETY: The `netdev_queue` lives as long as the device.
        unsafe { bindings::netdev_tx_reset_queue(self.txq) };
    }

    /// Schedules the queue's poll. `before` is called if it was not scheduled yet.
    #[inline]
    pub fn schedule_poll(&self, before: impl FnOnce()) {
        // SAFETY: The instance was added to the device in `Queues::new`.
        unsafe {
            if bindings::napi_schedule_prep(self.napi.get()) {
                before();
                bindings::__napi_schedule(self.napi.get());
            }
        }
    }
}

/// # Safety
///
/// NAPI calls this for an instance that `Queues::new` added.
unsafe extern "C" fn poll_rx<D: Driver>(napi: *mut bindings::napi_struct, budget: c_int) -> c_int {
    let poll = Poll {
        napi,
        budget: budget as usize,
        _poll: PhantomData,
    };
    // SAFETY: NAPI polls an instance of a live slot, one poll at a time: the body is
    // ours. The driver was published before the device could be opened.
    let polled = unsafe {
        let slot = Slot::<D, D::Rx>::of(napi);
        D::poll_rx(
            &*slot.driver.get(),
            &mut *slot.body.get(),
            slot.index,
            &poll,
        )
    };
    match polled {
        Polled::Done { work, rearm } if work < poll.budget => {
            // SAFETY: The queue outlives its NAPI. The body is not touched any more, as
            // another poll may begin.
            unsafe {
                if !bindings::napi_complete_done(napi, work as c_int) {
                    rearm.cancel();
                } else if rearm.pending() && bindings::napi_schedule_prep(napi) {
                    rearm.cancel();
                    bindings::__napi_schedule(napi);
                }
            }
            work as c_int
        }
        _ => budget,
    }
}

/// # Safety
///
/// NAPI calls this for an instance that `Queues::new` added.
unsafe extern "C" fn poll_tx<D: Driver>(napi: *mut bindings::napi_struct, budget: c_int) -> c_int {
    let poll = Poll {
        napi,
        budget: budget as usize,
        _poll: PhantomData,
    };
    // SAFETY: NAPI polls an instance of a live slot. The body is ours while the
    // transmit lock is held. The queue outlives its NAPI.
    unsafe {
        let slot = Slot::<D, D::Tx>::of(napi);
        bindings::__netif_tx_lock(slot.txq);
        let polled = D::poll_tx(
            &*slot.driver.get(),
            &mut *slot.body.get(),
            TxQueue::of(slot),
            &poll,
        );
        let Polled::Done { rearm, .. } = polled else {
            bindings::__netif_tx_unlock(slot.txq);
            return budget;
        };
        // Under the lock, so that a sender does not change the interrupt state between
        // the two.
        let done = bindings::napi_complete_done(napi, 0);
        if !done {
            rearm.cancel();
        }
        bindings::__netif_tx_unlock(slot.txq);
        if done && rearm.pending() && bindings::napi_schedule_prep(napi) {
            bindings::__netif_tx_lock(slot.txq);
            rearm.cancel();
            bindings::__netif_tx_unlock(slot.txq);
            bindings::__napi_schedule(napi);
        }
    }
    0
}
