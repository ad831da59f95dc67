// SPDX-License-Identifier: GPL-2.0

//! What frames in pages and frames of AF_XDP pools have in common.

use super::{
    super::{napi::RxPoll, RxSkb},
    buff::{Record, Verdict, XdpBuff},
    frame::XdpFrame,
};

/// A received frame for a program to look at, in memory of any kind.
pub trait Frame: Sized {
    /// Bytes of the frame.
    fn len(&self) -> usize;
    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// What the device has said of the frame: its header.
    fn record(&self) -> &Record;
    /// The same, to be changed.
    fn record_mut(&mut self) -> &mut Record;
    /// The data at its beginning, to be changed, and what follows it.
    fn parts_mut(&mut self) -> (&mut [u8], impl Iterator<Item = &[u8]>);
    /// How many bytes the program has taken off the front, or, negative, added there.
    fn moved(&self) -> isize;
    /// Has the program look at it that it is for.
    fn run(self) -> Verdict<Self>;
    /// Sends it where the program has said; it is on its way when the poll ends. False if it
    /// cannot go there, and is gone.
    fn redirect(self, poll: &RxPoll<'_>) -> bool;
    /// The frame as what can be sent.
    ///
    /// # Errors
    ///
    /// The frame, if there is no room in front of it, or no memory.
    fn into_frame(self, poll: &RxPoll<'_>) -> Result<XdpFrame, Self>;
    /// The frame as a packet for the stack. None if there is no memory.
    fn into_skb(self, poll: &RxPoll<'_>) -> Option<RxSkb>;
    /// It was to be sent and could not be: tells who traces.
    fn not_sent(&self);
}

impl Frame for XdpBuff<'_, '_> {
    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn record(&self) -> &Record {
        self.record()
    }

    #[inline]
    fn record_mut(&mut self) -> &mut Record {
        self.record_mut()
    }

    #[inline]
    fn parts_mut(&mut self) -> (&mut [u8], impl Iterator<Item = &[u8]>) {
        self.parts_mut()
    }

    #[inline]
    fn moved(&self) -> isize {
        self.moved()
    }

    #[inline]
    fn run(self) -> Verdict<Self> {
        self.run()
    }

    #[inline]
    fn redirect(self, poll: &RxPoll<'_>) -> bool {
        self.redirect(poll).is_ok()
    }

    #[inline]
    fn into_frame(self, _poll: &RxPoll<'_>) -> Result<XdpFrame, Self> {
        self.into_frame()
    }

    #[inline]
    fn into_skb(self, poll: &RxPoll<'_>) -> Option<RxSkb> {
        RxSkb::from_frame(poll, self)
    }

    #[cold]
    fn not_sent(&self) {
        self.not_sent();
    }
}
