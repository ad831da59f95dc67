// SPDX-License-Identifier: GPL-2.0

//! A received frame in memory of a process, as a program works on it.

use super::super::{
    napi::RxPoll,
    xdp::{refuse, trace, Frame, Program, Record, Verdict, XdpFrame},
    RxSkb, XDP_HEADROOM,
};
use crate::bindings;
use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

/// A received frame of an AF_XDP pool. It is copied for whoever but the process is to have it.
///
/// # Invariants
///
/// The value owns the frame, of a pool that its queue holds: `data_meta` to `data_end` of its
/// description are in its memory.
pub struct XskFrame<'q> {
    xskb: NonNull<bindings::xdp_buff_xsk>,
    /// What is to look at it.
    program: Option<Program<'q>>,
    _queue: PhantomData<&'q mut ()>,
}

impl<'q> XskFrame<'q> {
    /// A frame for `program`, of which the device has said `record`.
    ///
    /// # Safety
    ///
    /// The caller gives the frame away, which has `len` initialised bytes behind its headroom,
    /// and is of a queue that is borrowed for as long as the value lives.
    #[inline(always)]
    pub(super) unsafe fn new(
        xskb: NonNull<bindings::xdp_buff_xsk>,
        len: usize,
        record: Record,
        program: Option<Program<'q>>,
    ) -> Self {
        // SAFETY: The frame is ours, its description too.
        unsafe {
            let raw = &mut *xskb.as_ptr();
            let data = raw.xdp.data_hard_start.wrapping_byte_add(XDP_HEADROOM);
            raw.xdp.data = data;
            raw.xdp.data_meta = data;
            raw.xdp.data_end = data.wrapping_byte_add(len);
            raw.xdp.__bindgen_anon_1.__bindgen_anon_1.flags = 0;
            raw.cb = record;
        }
        Self {
            xskb,
            program,
            _queue: PhantomData,
        }
    }

    #[inline]
    pub(super) fn program(&self) -> Option<Program<'q>> {
        self.program
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> NonNull<bindings::xdp_buff_xsk> {
        self.xskb
    }

    #[inline]
    pub(super) fn xdp(&self) -> &bindings::xdp_buff {
        // SAFETY: By the type invariant.
        unsafe { &self.xskb.as_ref().xdp }
    }

    #[inline]
    pub(super) fn xdp_mut(&mut self) -> &mut bindings::xdp_buff {
        // SAFETY: By the type invariant.
        unsafe { &mut self.xskb.as_mut().xdp }
    }

    /// Bytes of the frame, and of the metadata in front of it.
    #[inline]
    fn lens(&self) -> (usize, usize) {
        let raw = self.xdp();
        let (meta, data, end) = (
            raw.data_meta as usize,
            raw.data as usize,
            raw.data_end as usize,
        );
        (end.wrapping_sub(data), data.saturating_sub(meta))
    }

    /// Sends a copy where a program has said. `xdp_do_redirect` would make it too, and lose it where
    /// nobody takes it: each frame for a device that is down would cost a page.
    #[inline(never)]
    fn redirect_copy(mut self, poll: &RxPoll<'_>, program: Program<'_>) -> bool {
        // As in `XdpBuff::redirect`.
        poll.redirected();
        let xdp = self.xdp_mut();
        // SAFETY: The frame is ours, and goes away if there is a copy. Without one, the core is told
        // so, as it wants. Device and program are valid; this is the poll that has run it.
        let (copy, ret) = unsafe {
            let dev = (*xdp.rxq).dev;
            let copy = bindings::xdp_convert_zc_to_xdp_frame(xdp);
            (
                copy,
                bindings::xdp_do_redirect_frame(dev, xdp, copy, program.as_ptr()),
            )
        };
        if ret == 0 {
            let _ = ManuallyDrop::new(self);
            return true;
        }
        if let Some(copy) = NonNull::new(copy) {
            // SAFETY: Nobody has taken it: it is ours.
            drop(unsafe { XdpFrame::from_ptr(copy) });
        }
        self.trace(bindings::xdp_action_XDP_REDIRECT);
        false
    }

    #[cold]
    pub(super) fn trace(&self, action: u32) {
        if let Some(program) = self.program {
            // SAFETY: The frame is described.
            unsafe { trace(program, self.xdp(), action) };
        }
    }
}

/// What became of a redirection.
pub(super) enum ToSocket {
    /// The socket that the program has chosen has the frame.
    Done,
    /// It does not take it.
    Refused,
    /// The program has chosen something else, and nothing was done.
    NotMeant,
}

/// Gives a frame to the socket that a program has chosen.
///
/// # Safety
///
/// The frame is valid, and the program has just run on it, in this poll.
#[inline(always)]
pub(super) unsafe fn to_socket(xdp: &mut bindings::xdp_buff, program: Program<'_>) -> ToSocket {
    // SAFETY: By the caller's promise.
    match unsafe { bindings::xdp_redirect_to_socket(xdp, program.as_ptr()) } {
        0 => ToSocket::Done,
        1 => ToSocket::NotMeant,
        _ => ToSocket::Refused,
    }
}

impl Frame for XskFrame<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.lens().0
    }

    #[inline]
    fn record(&self) -> &Record {
        // SAFETY: By the type invariant; it was written in `new`.
        unsafe { &self.xskb.as_ref().cb }
    }

    #[inline]
    fn record_mut(&mut self) -> &mut Record {
        // SAFETY: By the type invariant.
        unsafe { &mut self.xskb.as_mut().cb }
    }

    fn parts_mut(&mut self) -> (&mut [u8], impl Iterator<Item = &[u8]>) {
        // SAFETY: By the type invariant.
        let data =
            unsafe { core::slice::from_raw_parts_mut(self.xdp().data.cast::<u8>(), self.lens().0) };
        (data, core::iter::empty())
    }

    #[inline]
    fn moved(&self) -> isize {
        let raw = self.xdp();
        (raw.data as isize)
            .wrapping_sub(raw.data_hard_start as isize)
            .wrapping_sub(XDP_HEADROOM as isize)
    }

    #[inline]
    fn run(mut self) -> Verdict<Self> {
        let Some(program) = self.program else {
            return Verdict::Pass(self);
        };
        // SAFETY: The program is live, and the frame described as it expects. What it
        // changes keeps the type invariant. This is a poll.
        let action = unsafe { program.run(self.xdp_mut()) };
        // SAFETY: The frame is described.
        Verdict::new(action, self, |frame, action| unsafe {
            refuse(program, frame.xdp(), action);
        })
    }

    /// One that is refused may have been freed already; to do so again as it is dropped does
    /// nothing, as nobody has taken it meanwhile.
    #[inline]
    fn redirect(mut self, poll: &RxPoll<'_>) -> bool {
        let Some(program) = self.program else {
            return false;
        };
        // SAFETY: The program has just run on the frame.
        match unsafe { to_socket(self.xdp_mut(), program) } {
            ToSocket::Done => {}
            ToSocket::NotMeant => return self.redirect_copy(poll, program),
            ToSocket::Refused => {
                self.trace(bindings::xdp_action_XDP_REDIRECT);
                return false;
            }
        }
        poll.redirected();
        // Another has the memory.
        let _ = ManuallyDrop::new(self);
        true
    }

    /// By copying it (`xdp_convert_zc_to_xdp_frame`).
    fn into_frame(mut self, _poll: &RxPoll<'_>) -> Result<XdpFrame, Self> {
        // SAFETY: The frame is ours, and goes away if there is a copy.
        let frame = unsafe { bindings::xdp_convert_zc_to_xdp_frame(self.xdp_mut()) };
        match NonNull::new(frame) {
            Some(frame) => {
                let _ = ManuallyDrop::new(self);
                // SAFETY: The copy is ours.
                Ok(unsafe { XdpFrame::from_ptr(frame) })
            }
            None => {
                self.trace(bindings::xdp_action_XDP_TX);
                Err(self)
            }
        }
    }

    /// By copying it, with its metadata.
    fn into_skb(self, poll: &RxPoll<'_>) -> Option<RxSkb> {
        let (len, metadata) = self.lens();
        let all = len.wrapping_add(metadata);
        let mut skb = RxSkb::new(poll, all)?;
        // SAFETY: By the type invariant.
        let bytes = unsafe {
            core::slice::from_raw_parts(
                self.xdp().data.wrapping_byte_sub(metadata).cast::<u8>(),
                all,
            )
        };
        (skb.put(bytes) && skb.pull_metadata(metadata)).then_some(skb)
    }

    #[cold]
    fn not_sent(&self) {
        self.trace(bindings::xdp_action_XDP_TX);
    }
}

impl Drop for XskFrame<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant; this is the queue's poll.
        unsafe { bindings::xp_free(self.xskb.as_ptr()) };
    }
}
