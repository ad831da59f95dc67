// SPDX-License-Identifier: GPL-2.0

//! NAPI instances, each with the body of its queue.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    device::Priv,
    dim::Dim,
    ops::Driver,
    page_pool::PagePool,
    queues::RX,
    txq::TxQueue,
    xdp::{Program, QueueInfo},
};
use crate::{bindings, virtio::Rearm};
use core::{
    cell::{Cell, UnsafeCell},
    marker::PhantomData,
    ops::Deref,
    sync::atomic::{AtomicBool, AtomicU16, Ordering},
};
use kernel::{prelude::*, types::Opaque};

/// A poll of a queue under way. It may be netpoll's, which comes in any context.
pub struct Poll<'a> {
    napi: *mut bindings::napi_struct,
    budget: usize,
    dim: &'a Dim,
    _poll: PhantomData<*mut ()>,
}

impl Poll<'_> {
    #[inline]
    pub(super) fn napi(&self) -> *mut bindings::napi_struct {
        self.napi
    }

    #[inline]
    pub(super) fn dim(&self) -> &Dim {
        self.dim
    }

    /// How many packets may be received; 0 from netpoll.
    #[inline]
    pub fn budget(&self) -> usize {
        self.budget
    }
}

/// A poll of a receive queue under way: softirq context, never netpoll's. Packets are
/// built and given to the stack with it.
pub struct RxPoll<'a> {
    poll: Poll<'a>,
    queue: usize,
    program: *mut bindings::bpf_prog,
    queue_info: *mut bindings::xdp_rxq_info,
    /// Whether frames have been redirected, and wait for the poll's end.
    redirected: Cell<bool>,
}

impl RxPoll<'_> {
    /// Which of the device's receive queues.
    #[inline]
    pub fn queue(&self) -> usize {
        self.queue
    }

    /// The program that is to see received frames first, the same during the poll.
    #[inline]
    pub fn program(&self) -> Option<Program<'_>> {
        // SAFETY: It was attached as the poll began, which is an RCU read side.
        unsafe { Program::new(self.program) }
    }

    #[inline]
    pub(super) fn queue_info(&self) -> *mut bindings::xdp_rxq_info {
        self.queue_info
    }

    #[inline]
    pub(super) fn redirected(&self) {
        self.redirected.set(true);
    }
}

impl<'a> Deref for RxPoll<'a> {
    type Target = Poll<'a>;

    #[inline]
    fn deref(&self) -> &Poll<'a> {
        &self.poll
    }
}

/// How a poll ended.
pub enum Polled<'q> {
    /// There is more to do: poll again soon.
    Again,
    /// `work` packets, fewer than the budget, and nothing left.
    Done {
        /// Packets received.
        work: usize,
        /// The queue, with interrupts enabled again.
        rearm: Rearm<'q>,
    },
}

/// What NAPI calls.
pub(super) type Poller = unsafe extern "C" fn(*mut bindings::napi_struct, c_int) -> c_int;

/// What is in a receive queue's slot.
pub(super) struct RxBody<R> {
    pub(super) rx: R,
    pub(super) pool: PagePool,
    pub(super) info: QueueInfo,
}

impl<R> RxBody<R> {
    /// For receive queue `index` of `dev`.
    ///
    /// # Safety
    ///
    /// As for [`QueueInfo::new`].
    ///
    /// # Errors
    ///
    /// As there.
    pub(super) unsafe fn new(
        dev: *mut bindings::net_device,
        index: usize,
        (rx, pool): (R, PagePool),
    ) -> Result<Self> {
        // SAFETY: By the caller's promise.
        let info = unsafe { QueueInfo::new(dev, index, &pool)? };
        Ok(Self { rx, pool, info })
    }
}

/// A queue's NAPI instance and its body.
#[repr(C)]
pub(super) struct Slot<D: Driver, B> {
    pub(super) napi: Opaque<bindings::napi_struct>,
    /// Whose it is, from before registration until after its end: null otherwise, and
    /// the instance does not run. Changed under the instance lock only.
    pub(super) driver: Cell<*const D>,
    /// Changed under the instance lock only.
    pub(super) enabled: Cell<bool>,
    pub(super) index: usize,
    pub(super) txq: *mut bindings::netdev_queue,
    /// Set while [`super::PausedPair`] has a transmit queue's body, or nobody has. Changed
    /// under the transmit lock only.
    pub(super) held: Cell<bool>,
    /// The stack has waited too long for the transmit queue.
    pub(super) stuck: AtomicBool,
    pub(super) dim: Dim,
    /// Whether the device has the instance in its list, where all it has run, or will.
    /// Changed under the instance lock only.
    listed: Cell<bool>,
    poll: Poller,
    /// How many packets a poll may take.
    pub(super) weight: AtomicU16,
    /// Whether there is a body. Changed under the instance lock only.
    pub(super) present: Cell<bool>,
    /// The pool of a receive queue's body, for who may not look there. Changed under the
    /// instance lock only.
    pool: Cell<Option<PagePool>>,
    /// None while the device is detached; then `enabled` is not set, and a transmit queue
    /// is `held`.
    pub(super) body: UnsafeCell<Option<B>>,
}

impl<D: Driver, B> Slot<D, B> {
    pub(super) fn new(
        index: usize,
        txq: *mut bindings::netdev_queue,
        poll: Poller,
        body: B,
        pool: Option<PagePool>,
    ) -> Self {
        Self {
            napi: Self::disabled(txq.is_null()),
            driver: Cell::new(core::ptr::null()),
            enabled: Cell::new(false),
            index,
            txq,
            held: Cell::new(false),
            stuck: AtomicBool::new(false),
            dim: Dim::new(),
            listed: Cell::new(false),
            poll,
            weight: AtomicU16::new(bindings::NAPI_POLL_WEIGHT as u16),
            present: Cell::new(true),
            pool: Cell::new(pool),
            body: UnsafeCell::new(Some(body)),
        }
    }

    /// An instance that nobody can schedule.
    fn disabled(is_busy_polled: bool) -> Opaque<bindings::napi_struct> {
        // SAFETY: All-zero is a valid C struct.
        let mut napi: bindings::napi_struct = unsafe { core::mem::zeroed() };
        napi.state = 1 << bindings::NAPI_STATE_SCHED | 1 << bindings::NAPI_STATE_NPSVC;
        if !is_busy_polled {
            napi.state |= 1 << bindings::NAPI_STATE_NO_BUSY_POLL;
        }
        napi.list_owner = -1;
        Opaque::new(napi)
    }

    /// # Safety
    ///
    /// `napi` is the NAPI instance of a live slot of these types.
    #[inline]
    pub(super) unsafe fn of<'a>(napi: *mut bindings::napi_struct) -> &'a Self {
        // SAFETY: The instance is the slot's first field.
        unsafe { &*napi.cast() }
    }

    #[inline]
    pub(super) fn schedule(&self) {
        // SAFETY: The instance is valid, and disabled or in the device's list.
        unsafe {
            if bindings::napi_schedule_prep(self.napi.get()) {
                bindings::__napi_schedule(self.napi.get());
            }
        }
    }

    /// The queue's body, if it has one.
    ///
    /// # Safety
    ///
    /// Nobody else touches the body while the reference is used.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn body(&self) -> Option<&mut B> {
        // SAFETY: By the caller's promise.
        unsafe { (*self.body.get()).as_mut() }
    }

    /// The queue's pool, under the instance lock.
    pub(super) fn pool(&self) -> Option<PagePool> {
        let pool = self.pool.take();
        let shared = pool.as_ref().map(PagePool::share);
        self.pool.set(pool);
        shared
    }

    /// The body has another pool, or is gone. Under the instance lock.
    pub(super) fn set_pool(&self, pool: Option<PagePool>) {
        self.pool.set(pool);
    }

    /// Lets the NAPI run, and runs it once, for what came before. Nothing if the device
    /// is not registered, or the queue is not there.
    pub(super) fn enable(&self, dev: *mut bindings::net_device, kind: u32) {
        if self.driver.get().is_null() || !self.present.get() || self.enabled.replace(true) {
            return;
        }
        // SAFETY: The instance is for `dev`, whose instance lock the caller holds.
        unsafe {
            if !self.listed.replace(true) {
                let napi = self.napi.get();
                if kind == RX {
                    // What users have set for it outlives its place in the list.
                    (*napi).index = self.index as c_int;
                    (*napi).config = (*dev).napi_config.add(self.index);
                }
                let weight = self.weight.load(Ordering::Relaxed).into();
                bindings::netif_napi_add_weight_locked(dev, napi, Some(self.poll), weight);
            }
            bindings::napi_enable_locked(self.napi.get());
            bindings::netif_queue_set_napi(dev, self.index as u32, kind, self.napi.get());
            // The softirq runs when bottom halves are enabled again.
            bindings::local_bh_disable();
            self.schedule();
            bindings::local_bh_enable();
        }
    }

    pub(super) fn disable(&self, dev: *mut bindings::net_device, kind: u32) {
        if !self.enabled.replace(false) {
            return;
        }
        // SAFETY: As in `enable`.
        unsafe {
            bindings::netif_queue_set_napi(dev, self.index as u32, kind, core::ptr::null_mut());
            bindings::napi_disable_locked(self.napi.get());
        }
    }

    /// Takes a disabled instance off the device's list, for a queue that does not run any
    /// more: the core waits for the instances there as if they did. True if it was there;
    /// then others may still look at it under RCU.
    pub(super) fn unlist(&self) -> bool {
        let listed = self.listed.replace(false);
        if listed {
            // SAFETY: The instance was added by `enable`, and is disabled; the caller holds
            // the instance lock.
            unsafe { bindings::__netif_napi_del_locked(self.napi.get()) };
        }
        listed
    }
}

/// # Safety
///
/// NAPI calls this for an instance that `Slot::enable` added.
pub(super) unsafe extern "C" fn poll_rx<D: Driver>(
    napi: *mut bindings::napi_struct,
    budget: c_int,
) -> c_int {
    // Netpoll is for packets to be sent.
    if budget <= 0 {
        return 0;
    }
    // SAFETY: NAPI polls an instance of a live slot, one poll at a time: the body is
    // ours. The driver was published before the device could be opened.
    let (slot, driver, body) = unsafe {
        let slot = Slot::<D, RxBody<D::Rx>>::of(napi);
        (slot, &*slot.driver.get(), slot.body())
    };
    let Some(body) = body else {
        // SAFETY: The instance is live, and this is its poll.
        unsafe { bindings::napi_complete_done(napi, 0) };
        return 0;
    };
    let poll = RxPoll {
        poll: Poll {
            napi,
            budget: budget as usize,
            dim: &slot.dim,
            _poll: PhantomData,
        },
        queue: slot.index,
        // SAFETY: The instance is for a registered device of this driver.
        program: unsafe { (*Priv::<D>::of((*napi).dev.cast())).program.load() },
        queue_info: body.info.as_raw(),
        redirected: Cell::new(false),
    };
    // SAFETY: This is the poll of the pool's NAPI instance.
    let pages = unsafe { body.pool.pages() };
    let polled = driver.poll_rx(&mut body.rx, pages, &poll);
    if poll.redirected.get() {
        // SAFETY: Softirq context, in the poll that has redirected frames.
        unsafe { bindings::xdp_do_flush() };
    }
    match polled {
        Polled::Done { work, rearm } if work < poll.budget => {
            // SAFETY: The instance is live. The body is not touched any more, as another
            // poll may begin.
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
/// NAPI calls this for an instance that `Slot::enable` added.
pub(super) unsafe extern "C" fn poll_tx<D: Driver>(
    napi: *mut bindings::napi_struct,
    budget: c_int,
) -> c_int {
    // SAFETY: NAPI polls an instance of a live slot. The body is ours while the
    // transmit lock is held.
    unsafe {
        let slot = Slot::<D, D::Tx>::of(napi);
        let poll = Poll {
            napi,
            budget: budget as usize,
            dim: &slot.dim,
            _poll: PhantomData,
        };
        if budget > 0 {
            bindings::__netif_tx_lock(slot.txq);
        } else if !bindings::__netif_tx_trylock(slot.txq) {
            // Netpoll may have interrupted whoever holds the lock.
            return 0;
        }
        let polled = slot
            .body()
            .map(|body| D::poll_tx(&*slot.driver.get(), body, TxQueue::of(slot), &poll));
        let rearm = match polled {
            Some(Polled::Done { rearm, .. }) => rearm,
            Some(Polled::Again) => {
                bindings::__netif_tx_unlock(slot.txq);
                return budget;
            }
            None => {
                bindings::napi_complete_done(napi, 0);
                bindings::__netif_tx_unlock(slot.txq);
                return 0;
            }
        };
        // Under the lock, so that a sender does not change the interrupt state between
        // the two. Netpoll's poll is beside the others and completes none: what it has
        // taken no interrupt announces any more, so that for the rest they must be on.
        let done = budget <= 0 || bindings::napi_complete_done(napi, 0);
        if !done {
            rearm.cancel();
        }
        bindings::__netif_tx_unlock(slot.txq);
        if done && rearm.pending() && bindings::napi_schedule_prep(napi) {
            // Who has the lock may wait for netpoll's caller.
            if budget > 0 {
                bindings::__netif_tx_lock(slot.txq);
                rearm.cancel();
                bindings::__netif_tx_unlock(slot.txq);
            }
            bindings::__napi_schedule(napi);
        }
    }
    0
}
