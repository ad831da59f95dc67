// SPDX-License-Identifier: GPL-2.0

//! Received frames and the program that is attached.
//!
//! A program sees complete checksums, but for frames that are to be cut into segments: these
//! keep what the device has said of them if the program passes them on as they came.

use super::{spare::Spare, Common, ETH_HLEN};
use crate::stats::{RxBatch, XdpBatch};
use kernel::prelude::*;
use knet::{
    net::{Frame, Pages, RxBuffer, RxPoll, Verdict, XdpAssembly, XdpBuff, XdpFrame, XdpRoom},
    virtio::Virtqueue,
};
use virtio_net_wire::{
    checksum,
    header::{flag, Base},
    rx::{self, PartialChecksum, RxChecksum},
    HeaderLayout,
};

/// The header of a frame.
pub(super) type Header = [u8; HeaderLayout::MAX_LEN];

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
    outgoing: &'a mut Outgoing,
    pub(super) counts: XdpBatch,
    /// How many packets there are for this poll: none any more if there is no room for one that
    /// is to go out.
    most: usize,
}

/// A frame cannot be given to a program.
struct Unfit;

impl<'a> Runner<'a> {
    /// For a poll that begins; nothing is to go out yet.
    pub(super) fn new(
        common: &'a Common,
        poll: &'a RxPoll<'a>,
        outgoing: &'a mut Outgoing,
    ) -> Self {
        Self {
            common,
            poll,
            outgoing,
            counts: XdpBatch::default(),
            most: poll.budget(),
        }
    }

    /// Whether the poll can go on.
    #[inline]
    pub(super) fn goes_on(&self, batch: &RxBatch) -> bool {
        batch.packets < self.most
    }

    /// A frame that could not be put together.
    #[cold]
    pub(super) fn lost(&mut self) {
        self.counts.drops = self.counts.drops.wrapping_add(1);
    }

    /// Has the program look at a frame, and does what it says. The page of a frame that is of
    /// no use any more goes to `spare`.
    #[inline(always)]
    pub(super) fn frame<F: Frame>(&mut self, frame: F, spare: impl FnOnce(F), batch: &mut RxBatch) {
        let len = frame.len();
        batch.bytes = batch.bytes.wrapping_add(len);
        self.counts.packets = self.counts.packets.wrapping_add(1);
        if base(frame.record()).is_plain() {
            self.run::<true, F>(frame, len, spare);
        } else {
            self.frame_with_state(frame, len, spare);
        }
    }

    /// The same with a frame of which the device has said more, `len` bytes long.
    #[cold]
    #[inline(never)]
    fn frame_with_state<F: Frame>(&mut self, mut frame: F, len: usize, spare: impl FnOnce(F)) {
        if self.complete(&mut frame).is_ok() {
            self.run::<false, F>(frame, len, spare);
        } else {
            self.common.stats.frame_errors.add(1);
            self.lost();
        }
    }

    /// Runs the program on a frame of `len` bytes. If it is plain, there is nothing to be seen
    /// to.
    #[inline(always)]
    fn run<const PLAIN: bool, F: Frame>(&mut self, frame: F, len: usize, spare: impl FnOnce(F)) {
        match frame.run(self.poll) {
            Verdict::Drop(frame) => {
                spare(frame);
                self.counts.drops = self.counts.drops.wrapping_add(1);
            }
            Verdict::Pass(frame) => self.pass::<PLAIN, F>(frame, len),
            Verdict::Transmit(frame) => self.transmit::<PLAIN, F>(frame),
            Verdict::Redirect(frame) => self.redirect::<PLAIN, F>(frame),
        }
    }

    /// Completes the checksum of a frame that has a partial one, unless it is to be cut.
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
    fn make_whole<const PLAIN: bool, F: Frame>(&self, frame: &mut F) -> Result<(), Unfit> {
        if PLAIN || base(frame.record()).is_plain() {
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

    /// The stack gets a frame that had `came_len` bytes before the program saw it.
    #[inline]
    fn pass<const PLAIN: bool, F: Frame>(&mut self, mut frame: F, came_len: usize) {
        let is_where_it_was = || frame.moved() == 0 && frame.len() == came_len;
        if !PLAIN && !is_where_it_was() && self.make_whole::<PLAIN, F>(&mut frame).is_err() {
            return self.lost();
        }
        let header = *frame.record();
        match frame.into_skb(self.poll) {
            Some(skb) => self.common.deliver(skb, &header, self.poll),
            None => self.lost(),
        }
    }

    #[inline]
    fn transmit<const PLAIN: bool, F: Frame>(&mut self, frame: F) {
        self.counts.tx = self.counts.tx.wrapping_add(1);
        // What is not whole is to be cut into segments.
        if !PLAIN && !base(frame.record()).is_plain() {
            frame.not_sent(self.poll);
            return self.lost();
        }
        match frame.into_frame(self.poll) {
            // There is room: the poll goes on only with some.
            Ok(frame) => {
                let _ = self.outgoing.0.push_within_capacity(frame);
                if self.outgoing.is_full() {
                    self.most = 0;
                }
            }
            Err(frame) => {
                drop(frame);
                self.lost();
            }
        }
    }

    #[inline]
    fn redirect<const PLAIN: bool, F: Frame>(&mut self, mut frame: F) {
        self.counts.redirects = self.counts.redirects.wrapping_add(1);
        if self.make_whole::<PLAIN, F>(&mut frame).is_err() || frame.redirect(self.poll).is_err() {
            self.lost();
        }
    }
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

/// Has the program look at frames whose first buffer the ring has, at its beginning the header.
/// `rest` puts the others to it.
#[inline(always)]
pub(super) fn receive<'p>(
    vq: &mut Virtqueue<RxBuffer>,
    spare: &mut Spare,
    runner: &mut Runner<'p>,
    pages: &mut Pages<'_>,
    batch: &mut RxBatch,
    rest: impl for<'r> Fn(
        Option<XdpAssembly<'r, 'p>>,
        &Header,
        &Common,
        &mut Virtqueue<RxBuffer>,
        &mut Pages<'_>,
    ) -> Option<XdpAssembly<'r, 'p>>,
) {
    let coherent = pages.is_coherent();
    let Some(mut room) = XdpRoom::new(runner.poll) else {
        return;
    };
    let skip = runner.common.header_len();
    while runner.goes_on(batch) {
        let Some((buffer, len)) = vq.pop() else {
            break;
        };
        batch.packets = batch.packets.wrapping_add(1);
        let Ok(first) = buffer.received(len, skip + ETH_HLEN) else {
            runner.common.count_length_error(batch);
            continue;
        };
        let header = runner.common.layout.read(first.data());
        let frame = room.begin(first, skip, &header, pages);
        let frame = rest(frame, &header, runner.common, vq, pages);
        match frame.and_then(|frame| frame.finish(pages)) {
            Some(frame) => runner.frame(frame, keep(spare, coherent), batch),
            None => runner.lost(),
        }
    }
}

/// Where pages go that a ring can use again.
#[inline]
fn keep<'r, 'p>(
    spare: &mut Spare,
    coherent: bool,
) -> impl FnOnce(XdpBuff<'r, 'p>) + use<'_, 'r, 'p> {
    move |frame| spare.put(frame.into_buffer(), coherent)
}
