// SPDX-License-Identifier: GPL-2.0

//! The program of a device.

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicPtr, Ordering},
};

/// What is known of a program.
#[derive(Clone, Copy)]
pub struct ProgramInfo {
    /// It can work on frames over several buffers (`BPF_F_XDP_HAS_FRAGS`).
    pub has_frags: bool,
}

/// A program that is attached, in a poll, which keeps it; nobody else runs programs.
///
/// # Invariants
///
/// `prog` is live during `'a`.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    prog: NonNull<bindings::bpf_prog>,
    _live: PhantomData<&'a ()>,
}

impl Program<'_> {
    /// # Safety
    ///
    /// `prog` is null, or live while the value is used.
    #[inline]
    pub(in super::super) unsafe fn new(prog: *mut bindings::bpf_prog) -> Option<Self> {
        // INVARIANT: By the caller's promise.
        Some(Self {
            prog: NonNull::new(prog)?,
            _live: PhantomData,
        })
    }

    #[inline]
    pub(in super::super) fn as_ptr(self) -> *mut bindings::bpf_prog {
        self.prog.as_ptr()
    }

    /// Has it work on a frame; what it answers (`bpf_prog_run_xdp`).
    ///
    /// # Safety
    ///
    /// The frame is described as programs expect it, and this is the poll of its queue.
    #[inline]
    pub(in super::super) unsafe fn run(self, frame: *mut bindings::xdp_buff) -> u32 {
        let prog = self.as_ptr();
        // SAFETY: The program is live. Keys are read as by `static_key_enabled`; what they switch
        // on, counting of runs and bonds, may be a frame late.
        unsafe {
            let counts = users(&raw const bindings::bpf_stats_enabled_key.key);
            let bonds = users(&raw const bindings::bpf_master_redirect_enabled_key.key);
            if counts | bonds != 0 {
                return bindings::bpf_prog_run_xdp(prog, frame);
            }
            let insns = (&raw const (*prog).__bindgen_anon_2).cast::<bindings::bpf_insn>();
            bindings::bpf_dispatcher_xdp_func(frame.cast(), insns, (*prog).bpf_func)
        }
    }

    /// What is known of it.
    #[inline]
    pub fn info(self) -> ProgramInfo {
        // SAFETY: By the type invariant; what is told of a program does not change.
        let has_frags = unsafe { (*(*self.as_ptr()).aux).xdp_has_frags };
        ProgramInfo { has_frags }
    }

    #[inline]
    pub(in super::super) fn has_frags(self) -> bool {
        self.info().has_frags
    }
}

/// How many have switched a static key on.
///
/// # Safety
///
/// The key is valid.
#[inline]
unsafe fn users(key: *const bindings::static_key) -> i32 {
    // SAFETY: By the caller's promise; a whole-word read.
    unsafe { (&raw const (*key).enabled.counter).read_volatile() }
}

/// The program that is attached to a device, or none.
///
/// # Invariants
///
/// The pointer is null, or owns a reference. A program outlives it by an RCU grace period.
pub(in super::super) struct Attached(AtomicPtr<bindings::bpf_prog>);

impl Attached {
    pub(in super::super) const fn none() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// For polls, which run under RCU.
    #[inline]
    pub(in super::super) fn load(&self) -> *mut bindings::bpf_prog {
        self.0.load(Ordering::Acquire)
    }

    /// Puts another program there, whose reference it takes. What polls begin from here on
    /// see it.
    ///
    /// # Safety
    ///
    /// `prog` is null, or the caller owns a reference and gives it away.
    pub(super) unsafe fn replace(&self, prog: *mut bindings::bpf_prog) {
        let old = self.0.swap(prog, Ordering::AcqRel);
        if !old.is_null() {
            // SAFETY: The reference was ours. The memory goes after a grace period.
            unsafe { bindings::bpf_prog_put(old) };
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: Null is allowed.
        unsafe { self.replace(core::ptr::null_mut()) };
    }
}
