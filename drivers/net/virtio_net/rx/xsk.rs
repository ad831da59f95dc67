// SPDX-License-Identifier: GPL-2.0

//! Packets of a queue that a process has bound (AF_XDP): they lie in the frames of its pool,
//! each behind its header, which is in the frame's headroom.
//!
//! Frames that the process does not get are copied. So are packets over several buffers, for
//! all. While the process has no frames for the queue, some pages take their place: what is the
//! stack's gets there anyway, such as beside a socket that only sends, and when a packet has
//! come, the queue looks for frames again.

use super::{buffers_for_programs, copy_header, mergeable, rest, small, xdp, Refill, ETH_HLEN};
use crate::{
    stats::{self, RxBatch},
    xdp::Receiver,
};
use kernel::{page::PAGE_SIZE, prelude::*};
use knet::{
    net::{Arrived, ArrivedFrame, Frame, Memory, Pages, Received, RxFrame, XdpRoom, XskPool},
    virtio::Virtqueue,
};
use virtio_net_wire::{rx_buffer::Xdp, HeaderLayout};

/// How many pages a ring has at least when the process has been too slow: one of the longest
/// packets fits.
const LEAST: usize = 20;

/// The ring that the queue had, and will have again.
enum Home {
    Mergeable(mergeable::Ring<()>),
    Small(small::Ring<()>),
}

/// A ring of frames, and pages.
pub(super) struct Ring {
    pub(super) vq: Virtqueue<RxFrame>,
    home: Home,
    /// Sizes of pages in the place of frames.
    sizes: Xdp,
    /// Whether the process has ever had frames for the queue.
    has_served: bool,
}

/// The ring with a pool, or as it was, if it cannot have it.
pub(super) fn bind(ring: super::Ring, pool: &XskPool, layout: HeaderLayout) -> super::Ring {
    use super::Ring as Any;
    let with_pool = |vq, home| Ring {
        vq,
        home,
        sizes: buffers_for_programs(layout),
        has_served: false,
    };
    match ring {
        Any::Mergeable(ring) => {
            let (vq, home) = ring.without_queue();
            match vq.with_pool(pool) {
                Ok(vq) => Any::Xsk(with_pool(vq, Home::Mergeable(home))),
                Err(vq) => Any::Mergeable(home.with_queue(vq)),
            }
        }
        Any::Small(ring) => {
            let (vq, home) = ring.without_queue();
            match vq.with_pool(pool) {
                Ok(vq) => Any::Xsk(with_pool(vq, Home::Small(home))),
                Err(vq) => Any::Small(home.with_queue(vq)),
            }
        }
        other => other,
    }
}

/// The ring without a pool.
pub(super) fn unbind(ring: super::Ring, result: &mut Result) -> super::Ring {
    use super::Ring as Any;
    let Any::Xsk(Ring { vq, home, .. }) = ring else {
        return ring;
    };
    let (vq, emptied) = vq.without_pool();
    *result = emptied;
    match home {
        Home::Mergeable(home) => Any::Mergeable(home.with_queue(vq)),
        Home::Small(home) => Any::Small(home.with_queue(vq)),
    }
}

impl Ring {
    pub(super) fn empty(&mut self) -> Result {
        self.vq.reset_frames()
    }

    pub(super) fn resize(&mut self, size: usize) -> Result {
        self.vq.resize_frames(size)
    }

    pub(super) fn refill(
        &mut self,
        pages: &mut Pages<'_>,
        memory: Memory,
        _receiver: Receiver,
        stats: &stats::Rx,
    ) -> Refill {
        let filled = self.vq.post_frames(self.sizes.header_len);
        self.has_served |= filled.frames != 0;
        let refill = if filled.is_short {
            self.add_pages(pages, memory)
        } else {
            Refill::Full
        };
        if self.vq.kick() {
            stats.kicks.add(1);
        }
        refill
    }

    /// Posts pages where there are too few buffers.
    #[cold]
    fn add_pages(&mut self, pages: &mut Pages<'_>, memory: Memory) -> Refill {
        let size = self.vq.size();
        let least = if self.has_served { LEAST } else { size };
        let offset = self.sizes.offset();
        let len = self.sizes.header_len.wrapping_add(self.sizes.frame_len());
        while size.wrapping_sub(self.vq.free()) < least.min(size) {
            let Some(page) = pages.alloc(PAGE_SIZE, memory) else {
                return Refill::NoMemory;
            };
            if !self.vq.post_page(page, offset, len) {
                break;
            }
        }
        Refill::Full
    }

    fn is_mergeable(&self) -> bool {
        matches!(self.home, Home::Mergeable(_))
    }

    /// Gives frames to the program, or to the stack if there is none.
    pub(super) fn receive_for_program(
        &mut self,
        runner: &mut xdp::Runner<'_>,
        pages: &mut Pages<'_>,
        batch: &mut RxBatch,
    ) {
        let is_mergeable = self.is_mergeable();
        let mut room = XdpRoom::new(runner.poll);
        let skip = runner.common.header_len();
        while runner.goes_on(batch) {
            let arrived = match self.vq.receive(skip + ETH_HLEN) {
                None => break,
                Some(arrived) => arrived,
            };
            batch.packets = batch.packets.wrapping_add(1);
            let Ok(arrived) = arrived else {
                runner.common.count_length_error(batch);
                continue;
            };
            let header = copy_header(arrived.data(), runner.common.layout);
            let buffers = if is_mergeable {
                u16::from_le_bytes([header[10], header[11]])
            } else {
                1
            };
            match arrived {
                Arrived::Frame(frame) if buffers == 1 => {
                    give(frame, &header, room.is_some(), runner, batch);
                }
                arrived => {
                    let first = arrived.into_page(pages);
                    self.in_pages(first, buffers, &header, room.as_mut(), runner, pages, batch);
                }
            }
        }
    }

    /// The packet whose first buffer is, or was copied to, the page `first`; none, if there was
    /// no memory.
    #[allow(clippy::too_many_arguments)]
    fn in_pages(
        &mut self,
        first: Option<Received>,
        buffers: u16,
        header: &[u8; HeaderLayout::MAX_LEN],
        room: Option<&mut XdpRoom<'_>>,
        runner: &mut xdp::Runner<'_>,
        pages: &mut Pages<'_>,
        batch: &mut RxBatch,
    ) {
        let skip = runner.common.header_len();
        let Some(room) = room else {
            let skb = first.and_then(|first| {
                batch.bytes = batch.bytes.wrapping_add(first.len().wrapping_sub(skip));
                rest::with_buffer(first, skip, runner.poll)
            });
            let next = || next(&mut self.vq, pages);
            match rest::of_packet(skb, buffers, runner.common, batch, next) {
                Some(skb) => runner.common.deliver(skb, header, runner.poll),
                None => batch.drops = batch.drops.wrapping_add(1),
            }
            return;
        };
        let mut frame = first.and_then(|first| room.begin(first, skip, header, pages));
        if buffers != 1 {
            let next = |pages: &mut Pages<'_>| next(&mut self.vq, pages);
            frame = rest::of_frame(frame, buffers, runner.common, pages, next);
        }
        match frame.and_then(|frame| frame.finish(pages)) {
            Some(frame) => runner.frame(frame, drop, batch),
            None => runner.lost(),
        }
    }
}

/// A further buffer of a packet, as a page.
fn next(vq: &mut Virtqueue<RxFrame>, pages: &mut Pages<'_>) -> Option<Option<Received>> {
    Some(match vq.receive(1)? {
        Ok(arrived) => arrived.into_page(pages),
        Err(_) => None,
    })
}

/// A packet in one frame of the process.
#[inline]
fn give<'q, 'a: 'q>(
    frame: ArrivedFrame<'q>,
    header: &[u8; HeaderLayout::MAX_LEN],
    has_program: bool,
    runner: &mut xdp::Runner<'a>,
    batch: &mut RxBatch,
) {
    let frame = frame.begin(header, runner.poll);
    if has_program {
        return runner.frame(frame, drop, batch);
    }
    batch.bytes = batch.bytes.wrapping_add(frame.len());
    match frame.into_skb(runner.poll) {
        Some(skb) => runner.common.deliver(skb, header, runner.poll),
        None => batch.drops = batch.drops.wrapping_add(1),
    }
}
