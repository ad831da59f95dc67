// SPDX-License-Identifier: GPL-2.0

//! A network device whose queues are gone for a while, as the device below it is suspended
//! or reset. Users keep the interface with all its settings, and nobody can open it.

use super::{
    device::Device,
    locks::{OpsLocked, Rtnl},
    napi::{RxBody, Slot},
    ops::Driver,
    page_pool::PagePool,
    queues::Queues,
    txq::TxQueue,
};
use crate::bindings;
use kernel::prelude::*;

impl<D: Driver> Device<D> {
    /// Takes the device from the stack (`netif_device_detach`): all queues are paused,
    /// `first` is called, and then they are dropped ([`Driver::drop_rx`],
    /// [`Driver::drop_tx`]). Nothing if it is detached already. Process context; takes the
    /// RTNL and instance locks.
    pub fn detach(&self, first: impl FnOnce(&mut OpsLocked<'_, D>)) {
        self.with_rtnl(|rtnl| self.locked(|lock| self.detach_locked(rtnl, lock, first)));
    }

    /// The same for who has the locks.
    pub(super) fn detach_locked(
        &self,
        _rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, D>,
        first: impl FnOnce(&mut OpsLocked<'_, D>),
    ) {
        // SAFETY: The device is valid, and we have its locks.
        unsafe { bindings::netif_device_detach(self.as_raw()) };
        self.queues().stop_all(self.is_running(), lock);
        first(lock);
        self.queues().take_all(self.is_running(), lock);
    }

    /// Gives the device queues again, calls `first`, and gives it back to the stack
    /// (`netif_device_attach`). Process context; takes the RTNL and instance locks.
    ///
    /// # Errors
    ///
    /// `EINVAL` if these are not as many queues as it had, or it has queues; those of
    /// `first`. The queues are dropped then, and the device stays detached.
    pub fn attach(
        &self,
        rx: KVec<(D::Rx, PagePool)>,
        tx: KVec<D::Tx>,
        first: impl FnOnce(&Rtnl<'_>, &mut OpsLocked<'_, D>) -> Result,
    ) -> Result {
        self.with_rtnl(|rtnl| self.locked(|lock| self.attach_locked(rx, tx, rtnl, lock, first)))
    }

    /// The same for who has the locks.
    ///
    /// # Errors
    ///
    /// As there; `EINVAL` too if the lock is another device's.
    pub fn attach_locked(
        &self,
        rx: KVec<(D::Rx, PagePool)>,
        tx: KVec<D::Tx>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, D>,
        first: impl FnOnce(&Rtnl<'_>, &mut OpsLocked<'_, D>) -> Result,
    ) -> Result {
        self.queues().put_all(rx, tx, lock)?;
        if let Err(error) = first(rtnl, lock) {
            self.queues().take_all(self.is_running(), lock);
            return Err(error);
        }
        self.queues().start_all(self.is_running());
        // SAFETY: The device is valid, and we have its locks.
        unsafe {
            bindings::netif_device_attach(self.as_raw());
            // A program may have come or gone meanwhile.
            if self.is_registered() {
                bindings::netdev_update_features(self.as_raw());
            }
        }
        Ok(())
    }

    /// Calls `f` with the RTNL lock held. Process context; not with the instance lock.
    pub fn with_rtnl<R>(&self, f: impl FnOnce(&Rtnl<'_>) -> R) -> R {
        // SAFETY: Process context; the lock is held while the token lives.
        unsafe {
            bindings::rtnl_lock();
            let result = f(&Rtnl::new());
            bindings::rtnl_unlock();
            result
        }
    }
}

impl<D: Driver> Queues<D> {
    /// Ends all polls, and then the stack's sending, which polls may have let go on.
    fn stop_all(&self, is_running: bool, lock: &mut OpsLocked<'_, D>) {
        if !self.are_of(lock) {
            return;
        }
        for index in 0..self.rx().len().max(self.tx().len()) {
            self.pause(index, lock);
        }
        // Who sends has the lock. Of a device that is down, nobody would wake the queues.
        for slot in self.tx().iter().filter(|_| is_running) {
            slot.locked(|| TxQueue::of(slot).stop());
        }
    }

    /// The end of that for a device that is down now: the stack does it for one that is up, of
    /// which the polls wake the queues of others.
    fn start_all(&self, is_running: bool) {
        for slot in self.tx().iter().filter(|_| !is_running) {
            slot.locked(|| TxQueue::of(slot).wake());
        }
    }

    /// Whether all queues have their bodies, and know their driver: from registration to its
    /// end, unless the device is detached.
    pub(super) fn are_attached(&self, lock: &OpsLocked<'_, D>) -> bool {
        self.are_of(lock)
            && !self.rx().is_empty()
            && self
                .rx()
                .iter()
                .all(|slot| slot.present.get() && !slot.driver.get().is_null())
    }

    /// Takes and drops the bodies of all queues.
    fn take_all(&self, is_running: bool, lock: &mut OpsLocked<'_, D>) {
        if !self.are_of(lock) {
            return;
        }
        // Should somebody have let a queue run meanwhile.
        self.stop_all(is_running, lock);
        for slot in self.tx() {
            slot.locked(|| slot.held.set(true));
        }
        for slot in self.rx() {
            slot.recycle_no_more();
        }
        // SAFETY: No preconditions; process context. The end of a poll may still look at
        // its ring, by a `Rearm`, and who frees a packet at its pool.
        unsafe { bindings::synchronize_net() };
        for slot in self.rx() {
            slot.present.set(false);
            // SAFETY: A disabled NAPI does not poll, and the instance lock keeps it so.
            let body = unsafe { (*slot.body.get()).take() };
            // The buffers go before their pool does.
            if let Some(RxBody { rx, pool, info }) = body {
                D::drop_rx(rx);
                drop((info, pool));
            }
            slot.set_pool(None);
        }
        for slot in self.tx() {
            slot.present.set(false);
            let body = slot.locked(|| {
                // What it had to send is not under way any more.
                TxQueue::of(slot).reset();
                // SAFETY: We have the transmit lock.
                unsafe { (*slot.body.get()).take() }
            });
            if let Some(body) = body {
                D::drop_tx(body);
            }
        }
    }

    /// Gives each queue a body again, or none.
    fn put_all(
        &self,
        rx: KVec<(D::Rx, PagePool)>,
        tx: KVec<D::Tx>,
        lock: &mut OpsLocked<'_, D>,
    ) -> Result {
        if !self.are_of(lock) {
            return Err(EINVAL);
        }
        // Their bodies may be in use.
        let has_bodies = Iterator::chain(
            self.rx().iter().map(|slot| slot.present.get()),
            self.tx().iter().map(|slot| slot.present.get()),
        )
        .any(|present| present);
        let as_many = rx.len() == self.rx().len() && tx.len() == self.tx().len();
        if has_bodies || !as_many {
            return Err(EINVAL);
        }
        let mut bodies = KVec::with_capacity(rx.len(), GFP_KERNEL)?;
        for (index, rx) in rx.into_iter().enumerate() {
            // SAFETY: The device is valid, and stays so while the queues live.
            let body = unsafe { RxBody::new(lock.netdev(), index, rx)? };
            bodies.push(body, GFP_KERNEL)?;
        }
        for (slot, body) in self.rx().iter().zip(bodies) {
            slot.set_pool(Some(body.pool.share()));
            // SAFETY: Nobody else looks at the body of a queue that is not enabled.
            unsafe { *slot.body.get() = Some(body) };
            slot.present.set(true);
            slot.recycle_directly();
        }
        for (slot, tx) in self.tx().iter().zip(tx) {
            slot.locked(|| {
                // SAFETY: We have the transmit lock.
                unsafe { *slot.body.get() = Some(tx) };
                slot.held.set(false);
            });
            slot.present.set(true);
        }
        Ok(())
    }
}

impl<D: Driver> Slot<D, RxBody<D::Rx>> {
    /// Packets that are freed in the poll of the queue give their pages straight to its
    /// pool (`page_pool_enable_direct_recycling`). For a queue that is not enabled.
    pub(super) fn recycle_directly(&self) {
        if let Some(pool) = self.pool() {
            // SAFETY: The pool is live, and the instance disabled; they are separated before
            // the pool goes.
            unsafe { bindings::page_pool_enable_direct_recycling(pool.as_raw(), self.napi.get()) };
        }
    }

    /// The end of that. For a queue that is not enabled.
    pub(super) fn recycle_no_more(&self) {
        if let Some(pool) = self.pool() {
            // SAFETY: The pool is live, and its NAPI instance disabled.
            unsafe { bindings::page_pool_disable_direct_recycling(pool.as_raw()) };
        }
    }
}
