// SPDX-License-Identifier: GPL-2.0

//! Adaptive interrupt moderation: the kernel's library watches a queue's polls and says
//! when it should interrupt.
//!
//! C header: [`include/linux/dim.h`](srctree/include/linux/dim.h)

use super::{
    coalesce::Moderation,
    device::Priv,
    locks::OpsLocked,
    napi::{Poll, Slot},
    ops::Driver,
    queues::Queues,
};
use crate::bindings;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use kernel::{container_of, prelude::*, types::Opaque};

/// Which queues, of a pair or of all.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    Rx,
    Tx,
}

/// The moderation of one queue.
pub(super) struct Dim {
    /// Counts and decides in the queue's poll, which also queues its work.
    dim: Opaque<bindings::dim>,
    on: AtomicBool,
    /// Interrupts.
    events: AtomicU16,
}

impl Dim {
    pub(super) fn new() -> Self {
        Self {
            dim: Opaque::zeroed(),
            on: AtomicBool::new(false),
            events: AtomicU16::new(0),
        }
    }

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The queue has interrupted.
    #[inline]
    pub(super) fn count_event(&self) {
        // A lost count is a lost count.
        let events = self.events.load(Ordering::Relaxed);
        self.events.store(events.wrapping_add(1), Ordering::Relaxed);
    }

    fn work(&self) -> *mut bindings::work_struct {
        // SAFETY: Only the field's address is taken.
        unsafe { &raw mut (*self.dim.get()).work }
    }

    /// Gives the library what a queue has done since it is there.
    ///
    /// # Safety
    ///
    /// In the queue's poll.
    #[cold]
    unsafe fn sample(&self, packets: u64, bytes: u64) {
        let sample = bindings::dim_sample {
            // SAFETY: No preconditions.
            time: unsafe { bindings::ktime_get() },
            pkt_ctr: packets as u32,
            byte_ctr: bytes as u32,
            event_ctr: self.events.load(Ordering::Relaxed),
            comp_ctr: 0,
        };
        // SAFETY: By the caller's promise, nobody else is in the library with it; its work
        // item was initialised in `Queues::new`.
        unsafe { bindings::net_dim(self.dim.get(), &sample) };
    }
}

impl Poll<'_> {
    /// The queue has done so much since it is there; to be called when a poll finds nothing
    /// more to do (`net_dim`).
    #[inline]
    pub fn adapt(&self, packets: u64, bytes: u64) {
        if self.dim().is_on() {
            // SAFETY: This is the queue's poll.
            unsafe { self.dim().sample(packets, bytes) };
        }
    }
}

impl<D: Driver, B> Slot<D, B> {
    /// Prepares the work item, in its final place.
    ///
    /// # Safety
    ///
    /// Nobody uses the slot yet.
    pub(super) unsafe fn init_dim(&self, direction: Direction) {
        let function: unsafe extern "C" fn(*mut bindings::work_struct) = match direction {
            Direction::Rx => Self::moderate_rx,
            Direction::Tx => Self::moderate_tx,
        };
        // SAFETY: By the caller's promise.
        unsafe {
            bindings::init_work_with_key(
                self.dim.work(),
                Some(function),
                false,
                c"netdev_dim".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            );
            (*self.dim.dim.get()).profile_ix = bindings::NET_DIM_DEF_PROFILE_EQE as u8;
        }
    }

    /// The work item does not run again. Without the instance lock, which it takes.
    pub(super) fn end_dim(&self) {
        // SAFETY: The work item was initialised in `Queues::new`.
        unsafe { bindings::disable_work_sync(self.dim.work()) };
    }

    /// # Safety
    ///
    /// The workqueue calls this for the work item of a slot of these types.
    unsafe extern "C" fn moderate_rx(work: *mut bindings::work_struct) {
        // SAFETY: By the caller's promise; no preconditions.
        unsafe {
            Self::moderate(work, Direction::Rx, |mode, profile| {
                bindings::net_dim_get_rx_moderation(mode, profile)
            })
        }
    }

    /// # Safety
    ///
    /// As for `moderate_rx`.
    unsafe extern "C" fn moderate_tx(work: *mut bindings::work_struct) {
        // SAFETY: As above.
        unsafe {
            Self::moderate(work, Direction::Tx, |mode, profile| {
                bindings::net_dim_get_tx_moderation(mode, profile)
            })
        }
    }

    /// # Safety
    ///
    /// As for `moderate_rx`.
    unsafe fn moderate(
        work: *mut bindings::work_struct,
        direction: Direction,
        proposed: impl FnOnce(u8, c_int) -> bindings::dim_cq_moder,
    ) {
        // SAFETY: By the caller's promise. The slot stays until the work has ended, and so
        // does the device of its NAPI instance, whose `Priv` was written at registration:
        // before that no poll queues this.
        let (slot, interface) = unsafe {
            let dim = container_of!(work, bindings::dim, work);
            let dim = container_of!(Opaque::cast_from(dim), Dim, dim);
            let slot = &*container_of!(dim, Self, dim);
            let dev = (*slot.napi.get()).dev;
            (slot, &*(*Priv::<D>::of(dev.cast())).interface)
        };
        let dim = slot.dim.dim.get();
        interface.locked(|lock| {
            // SAFETY: The library leaves its fields alone until the state is set below. A
            // queue that runs has a driver; the lock keeps it so.
            unsafe {
                let proposed = proposed((*dim).mode, (*dim).profile_ix.into());
                if slot.dim.is_on() && slot.enabled.get() {
                    let moderation = Moderation {
                        usecs: proposed.usec.into(),
                        frames: proposed.pkts.into(),
                        adaptive: true,
                    };
                    (*slot.driver.get()).moderate(direction, slot.index, moderation, lock);
                }
                (&raw mut (*dim).state).write_volatile(bindings::dim_state_DIM_START_MEASURE as u8);
            }
        });
    }
}

impl<D: Driver> Queues<D> {
    /// Has the library moderate a queue, by [`super::Coalescing::moderate`], or not.
    pub fn set_adaptive(
        &self,
        direction: Direction,
        index: usize,
        on: bool,
        _lock: &mut OpsLocked<'_, D>,
    ) {
        if let Some(dim) = self.dim(direction, index) {
            dim.on.store(on, Ordering::Relaxed);
        }
    }

    fn dim(&self, direction: Direction, index: usize) -> Option<&Dim> {
        match direction {
            Direction::Rx => self.rx().get(index).map(|slot| &slot.dim),
            Direction::Tx => self.tx().get(index).map(|slot| &slot.dim),
        }
    }

    /// Ends the work of all queues' moderation.
    pub(super) fn end_dim(&self) {
        self.rx().iter().for_each(Slot::end_dim);
        self.tx().iter().for_each(Slot::end_dim);
    }
}
