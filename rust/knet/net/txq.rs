// SPDX-License-Identifier: GPL-2.0

//! Transmit queues, as the stack sees them.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{napi::Slot, ops::Driver};
use crate::bindings;
use core::{
    cell::Cell,
    ops::{Deref, DerefMut},
};
use kernel::types::Opaque;

/// A transmit queue under its lock.
pub struct TxGuard<'a, D: Driver> {
    slot: &'a Slot<D, D::Tx>,
    body: &'a mut D::Tx,
}

impl<'a, D: Driver> TxGuard<'a, D> {
    /// The queue, unless somebody is in it, has paused it, or has taken it.
    #[inline]
    pub(super) fn try_lock(slot: &'a Slot<D, D::Tx>) -> Option<Self> {
        // SAFETY: The `netdev_queue` lives as long as the device; softirq context.
        unsafe {
            if !bindings::__netif_tx_trylock(slot.txq) {
                return None;
            }
            Self::locked(slot)
        }
    }

    /// The queue, unless somebody has paused it, or has taken it.
    ///
    /// # Safety
    ///
    /// Softirq context, and the caller has no such lock.
    #[inline]
    pub(super) unsafe fn lock(slot: &'a Slot<D, D::Tx>) -> Option<Self> {
        // SAFETY: The `netdev_queue` lives as long as the device; by the caller's promise.
        unsafe {
            bindings::__netif_tx_lock(slot.txq);
            Self::locked(slot)
        }
    }

    /// # Safety
    ///
    /// The caller has the lock, and gives it away.
    #[inline]
    unsafe fn locked(slot: &'a Slot<D, D::Tx>) -> Option<Self> {
        // SAFETY: With the lock, the body of a queue that is not held is ours.
        unsafe {
            let body = if slot.held.get() { None } else { slot.body() };
            if body.is_none() {
                bindings::__netif_tx_unlock(slot.txq);
            }
            body.map(|body| Self { slot, body })
        }
    }

    /// The stack's side of the queue, and the driver's.
    #[inline]
    pub fn parts(&mut self) -> (&mut D::Tx, &TxQueue) {
        (self.body, TxQueue::of(self.slot))
    }
}

impl<D: Driver> Deref for TxGuard<'_, D> {
    type Target = D::Tx;

    fn deref(&self) -> &D::Tx {
        self.body
    }
}

impl<D: Driver> DerefMut for TxGuard<'_, D> {
    fn deref_mut(&mut self) -> &mut D::Tx {
        self.body
    }
}

impl<D: Driver> Drop for TxGuard<'_, D> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The guard holds the lock.
        unsafe { bindings::__netif_tx_unlock(self.slot.txq) };
    }
}

impl<D: Driver> Slot<D, D::Tx> {
    /// Calls `f` with the transmit lock. Not from interrupts.
    pub(super) fn locked<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: The `netdev_queue` lives as long as the device; bottom halves are off
        // while the lock is held.
        unsafe {
            bindings::local_bh_disable();
            bindings::__netif_tx_lock(self.txq);
            let result = f();
            bindings::__netif_tx_unlock(self.txq);
            bindings::local_bh_enable();
            result
        }
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
    pub(super) fn of<D: Driver>(slot: &Slot<D, D::Tx>) -> &Self {
        // SAFETY: `Self` is a prefix of the slot, both `repr(C)`; `driver` is a thin
        // pointer in both.
        unsafe { &*core::ptr::from_ref(slot).cast() }
    }

    /// Which of the device's transmit queues.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether it is a queue of that network device.
    pub(super) fn is_of(&self, device: *mut bindings::net_device) -> bool {
        // SAFETY: The `netdev_queue` lives as long as its device.
        unsafe { (*self.txq).dev == device }
    }

    /// Whether the driver has stopped the queue.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        // SAFETY: The `netdev_queue` lives as long as the device; a whole-word read.
        let state = unsafe { (&raw const (*self.txq).state).read_volatile() };
        state & 1 << bindings::netdev_queue_state_t___QUEUE_STATE_DRV_XOFF != 0
    }

    /// Whether the sender may be netpoll, which comes in any context (`netpoll_tx_running`).
    pub fn may_be_netpolls(&self) -> bool {
        // SAFETY: No preconditions.
        unsafe { bindings::irqs_disabled() }
    }

    /// Takes no more packets from the stack (`netif_tx_stop_queue`). The watchdog counts from
    /// now: a queue that was idle for long is not a stuck one.
    pub fn stop(&self) {
        // SAFETY: The `netdev_queue` lives as long as the device; whole-word accesses, as the C
        // side's.
        unsafe {
            let now = (&raw const bindings::jiffies).read_volatile();
            (&raw mut (*self.txq).trans_start).write_volatile(now);
            bindings::netif_tx_stop_queue(self.txq);
        }
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
        // SAFETY: The instance is valid, and disabled or in the device's list.
        unsafe {
            if bindings::napi_schedule_prep(self.napi.get()) {
                before();
                bindings::__napi_schedule(self.napi.get());
            }
        }
    }
}
