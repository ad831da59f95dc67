// SPDX-License-Identifier: GPL-2.0

//! Received frames and the program that is attached.
//!
//! A program sees complete checksums, but for frames that are to be cut into segments: these
//! keep what the device has said of them if the program passes them on as they came.

use super::{spare::Spare, Common};
use crate::stats::{RxBatch, XdpBatch};
use kernel::prelude::*;
use knet::net::{Frame, RxPoll, Verdict, XdpBuff, XdpFrame};
use virtio_net_wire::{
    checksum,
    header::{flag, Base},
    rx::{self, PartialChecksum, RxChecksum},
    HeaderLayout,
};

/// The header of a frame.
type Header = [u8; HeaderLayout::MAX_LEN];

/// How many frames are sent at once.
const BULK: usize = 64;

/// Frames that are to go out by the device that they came by, until the poll's end.
pub(super) struct Outgoing(KVec<XdpFrame>);

impl Outgoing {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(KVec::with_capacity(BULK, GFP_KERNEL)?))
    }

    /// Whether there is no room for another one.
    #[inline]
    fn is_full(&self) -> bool {
        self.0.len() == BULK
    }

    #[inline]
    pub(super) fn frames(&mut self) -> &mut KVec<XdpFrame> {
        &mut self.0
    }
}

/// What a poll needs to run the program on frames, and what came of it.
pub(super) struct Runner<'a> {
    pub(super) common: &'a Common,
    pub(super) poll: &'a RxPoll<'a>,
    pub(super) outgoing: &'a mut Outgoing,
    pub(super) counts: XdpBatch,
}

/// A frame cannot be given to a program.
struct Unfit;

impl Runner<'_> {
    /// Whether the poll can go on.
    #[inline]
    pub(super) fn goes_on(&self, batch: &RxBatch) -> bool {
        batch.packets < self.poll.budget() && !self.outgoing.is_full()
    }

    /// A frame that could not be put together.
    #[cold]
    pub(super) fn lost(&mut self) {
        self.counts.drops = self.counts.drops.wrapping_add(1);
    }

    /// Has the program look at a frame, and does what it says. The page of a frame that is of
    /// no use any more goes to `spare`.
    #[inline]
    pub(super) fn frame<F: Frame>(
        &mut self,
        mut frame: F,
        spare: impl FnOnce(F),
        batch: &mut RxBatch,
    ) {
        batch.bytes = batch.bytes.wrapping_add(frame.len());
        self.counts.packets = self.counts.packets.wrapping_add(1);
        if !base(frame.record()).is_plain() && self.complete(&mut frame).is_err() {
            self.common.stats.frame_errors.add(1);
            self.lost();
            return;
        }
        match frame.run() {
            Verdict::Drop(frame) => {
                spare(frame);
                self.counts.drops = self.counts.drops.wrapping_add(1);
            }
            Verdict::Pass(frame) => self.pass(frame),
            Verdict::Transmit(frame) => self.transmit(frame),
            Verdict::Redirect(frame) => self.redirect(frame),
        }
    }

    /// Completes the checksum of a frame that has a partial one, unless it is to be cut.
    #[cold]
    #[inline(never)]
    fn complete<F: Frame>(&self, frame: &mut F) -> Result<(), Unfit> {
        let decoded = rx::decode(self.common.layout, frame.record()).map_err(|_| Unfit)?;
        decoded.check_frame_len(frame.len()).map_err(|_| Unfit)?;
        if decoded.gso.is_some() {
            return Ok(());
        }
        match decoded.checksum {
            RxChecksum::Partial(partial) => {
                complete(frame, partial)?;
                set_verified(frame.record_mut());
            }
            // Flags that mean nothing to us.
            RxChecksum::Valid => set_verified(frame.record_mut()),
            RxChecksum::None => frame.record_mut()[0] = 0,
        }
        Ok(())
    }

    /// Makes of a frame that was to be cut one that is whole: its checksum is complete.
    /// Nothing for other frames.
    #[inline]
    fn make_whole<F: Frame>(&self, frame: &mut F) -> Result<(), Unfit> {
        if base(frame.record()).is_plain() {
            return Ok(());
        }
        self.make_whole_anyway(frame)
    }

    #[cold]
    #[inline(never)]
    fn make_whole_anyway<F: Frame>(&self, frame: &mut F) -> Result<(), Unfit> {
        let decoded = rx::decode(self.common.layout, frame.record()).map_err(|_| Unfit)?;
        if let RxChecksum::Partial(partial) = decoded.checksum {
            // It is where it was, wherever the frame begins now.
            let start = (partial.start as isize).wrapping_sub(frame.moved());
            let start = u16::try_from(start).map_err(|_| Unfit)?;
            complete(frame, PartialChecksum { start, ..partial })?;
        }
        set_verified(frame.record_mut());
        Ok(())
    }

    #[inline]
    fn pass<F: Frame>(&mut self, mut frame: F) {
        if !frame.is_where_it_was() && self.make_whole(&mut frame).is_err() {
            return self.lost();
        }
        let header = *frame.record();
        match frame.into_skb(self.poll) {
            Some(skb) => self.common.deliver(skb, &header, self.poll),
            None => self.lost(),
        }
    }

    #[inline]
    fn transmit<F: Frame>(&mut self, frame: F) {
        self.counts.tx = self.counts.tx.wrapping_add(1);
        if is_large(&frame) {
            frame.not_sent();
            return self.lost();
        }
        match frame.into_frame() {
            // There is room: the poll goes on only with some.
            Ok(frame) => drop(self.outgoing.0.push_within_capacity(frame)),
            Err(frame) => {
                drop(frame);
                self.lost();
            }
        }
    }

    #[inline]
    fn redirect<F: Frame>(&mut self, mut frame: F) {
        self.counts.redirects = self.counts.redirects.wrapping_add(1);
        if self.make_whole(&mut frame).is_err() || frame.redirect(self.poll).is_err() {
            self.lost();
        }
    }
}

/// Whether the frame is to be cut into segments.
#[inline]
fn is_large<F: Frame>(frame: &F) -> bool {
    !base(frame.record()).is_plain()
}

#[inline]
fn base(header: &Header) -> Base {
    let [flags, gso_type, ..] = *header;
    Base {
        flags,
        gso_type,
        ..Base::default()
    }
}

/// The header says no more than that the checksum is right, and what the hash is.
fn set_verified(header: &mut Header) {
    header[0] = flag::DATA_VALID;
    header[1] = 0;
}

fn complete<F: Frame>(frame: &mut F, partial: PartialChecksum) -> Result<(), Unfit> {
    let (data, frags) = frame.parts_mut();
    checksum::complete(data, frags, partial).map_err(|_| Unfit)
}

/// Where pages go that a ring can use again.
#[inline]
pub(super) fn keep<'r, 'p>(
    spare: &mut Spare,
    coherent: bool,
) -> impl FnOnce(XdpBuff<'r, 'p>) + use<'_, 'r, 'p> {
    move |frame| spare.put(frame.into_buffer(), coherent)
}
