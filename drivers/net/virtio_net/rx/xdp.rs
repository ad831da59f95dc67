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

/// Where the checksum is in a UDP header.
const UDP_CHECKSUM: u16 = 6;
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

/// A frame cannot be given to a program, or to whom the program wants.
struct Unfit;

/// A frame before the program saw it.
#[derive(Clone, Copy)]
struct Came {
    len: usize,
    /// Where its second part begins, if that matters and there is one, or null.
    second: *const u8,
}

impl Came {
    fn new<F: Frame>(frame: &mut F) -> Self {
        Self {
            len: frame.len(),
            second: second(frame),
        }
    }

    /// How many bytes of what came the program has taken off the front, or, negative, added there.
    /// One that pulls more bytes into the first part than there is room behind it
    /// (`bpf_xdp_pull_data`) has the others moved to the front, which looks like bytes that it
    /// added: where it has changed the length too, nothing can be known.
    fn taken_off<F: Frame>(&self, frame: &mut F) -> Result<isize, Unfit> {
        let (moved, len) = (frame.moved(), frame.len());
        let is_plain = moved == 0 || moved.wrapping_add(len as isize) == self.len as isize;
        if is_plain || self.second.is_null() || second(frame) == self.second {
            return Ok(moved);
        }
        if len == self.len {
            Ok(0)
        } else {
            Err(Unfit)
        }
    }
}

fn second<F: Frame>(frame: &mut F) -> *const u8 {
    let (_, mut rest) = frame.parts_mut();
    rest.next().map_or(core::ptr::null(), <[u8]>::as_ptr)
}

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
            let second = core::ptr::null();
            self.run::<true, F>(frame, Came { len, second }, spare);
        } else {
            self.frame_with_state(frame, spare);
        }
    }

    /// The same with a frame of which the device has said more.
    #[cold]
    #[inline(never)]
    fn frame_with_state<F: Frame>(&mut self, mut frame: F, spare: impl FnOnce(F)) {
        if self.complete(&mut frame).is_ok() {
            let came = Came::new(&mut frame);
            self.run::<false, F>(frame, came, spare);
        } else {
            self.common.stats.frame_errors.add(1);
            self.lost();
        }
    }

    /// Runs the program on a frame. If it is plain, there is nothing to be seen to.
    #[inline(always)]
    fn run<const PLAIN: bool, F: Frame>(&mut self, frame: F, came: Came, spare: impl FnOnce(F)) {
        match frame.run() {
            Verdict::Drop(frame) => {
                spare(frame);
                self.counts.drops = self.counts.drops.wrapping_add(1);
            }
            Verdict::Pass(frame) => self.pass::<PLAIN, F>(frame, came),
            Verdict::Transmit(frame) => self.transmit::<PLAIN, F>(frame),
            Verdict::Redirect(frame) => self.redirect::<PLAIN, F>(frame, came),
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

    /// Makes of a frame that was to be cut one that is whole: its checksums are complete.
    /// Nothing for other frames.
    #[cold]
    #[inline(never)]
    fn make_whole<F: Frame>(&self, frame: &mut F, came: Came) -> Result<(), Unfit> {
        if base(frame.record()).is_plain() {
            return Ok(());
        }
        let taken_off = came.taken_off(frame)?;
        let decoded = rx::decode(self.common.layout, frame.record()).map_err(|_| Unfit)?;
        // They are where they were, wherever the frame begins now.
        let mut complete_at = |at: u16, offset: u16| {
            let start = (at as isize).wrapping_sub(taken_off);
            let start = u16::try_from(start).map_err(|_| Unfit)?;
            complete(frame, PartialChecksum { start, offset })
        };
        if let RxChecksum::Partial(partial) = decoded.checksum {
            complete_at(partial.start, partial.offset)?;
        }
        // That of the tunnel sums the inner one.
        if let Some(tunnel) = decoded.gso.and_then(|gso| gso.tunnel) {
            if tunnel.outer_checksum {
                complete_at(tunnel.outer_transport, UDP_CHECKSUM)?;
            }
        }
        set_verified(frame.record_mut());
        Ok(())
    }

    /// The stack gets a frame, as it came if the program has not moved its ends.
    #[inline]
    fn pass<const PLAIN: bool, F: Frame>(&mut self, mut frame: F, came: Came) {
        if !PLAIN {
            let is_as_it_came =
                frame.len() == came.len && matches!(came.taken_off(&mut frame), Ok(0));
            if !is_as_it_came && self.make_whole(&mut frame, came).is_err() {
                return self.lost();
            }
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
            frame.not_sent();
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
    fn redirect<const PLAIN: bool, F: Frame>(&mut self, mut frame: F, came: Came) {
        self.counts.redirects = self.counts.redirects.wrapping_add(1);
        let unfit = !PLAIN && self.make_whole(&mut frame, came).is_err();
        if unfit || !frame.redirect(self.poll) {
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
