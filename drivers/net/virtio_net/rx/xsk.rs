// SPDX-License-Identifier: GPL-2.0

//! Packets of a queue that a process has bound (AF_XDP): they lie in the frames of its pool,
//! each behind its header, which is in the frame's headroom. Where the process takes packets
//! over several frames and some are so long, as many are posted together as the longest takes,
//! behind a header that is elsewhere.
//!
//! Frames that the process does not get are copied. So are packets over several buffers, such
//! as large ones, for all. While the process has no frames for the queue, some pages take their
//! place: what is the stack's gets there anyway, such as beside a socket that only sends, and
//! when a packet has come, the queue looks for frames again.

use super::{buffers_for_programs, mergeable, most_free, small, xdp, Refill};
use crate::{
    stats::{self, RxBatch},
    xdp::Receiver,
};
use kernel::{page::PAGE_SIZE, prelude::*};
use knet::{
    net::{
        Arrived, ArrivedChain, Frame, Memory, Pages, Program, RxFrame, RxNext, XdpRoom, XskPool,
    },
    virtio::Virtqueue,
};
use virtio_net_wire::{
    rx_buffer::{packet_room, Xdp, ETHERNET_LEN, FRAME_LEN, VLAN_LEN},
    HeaderLayout,
};

mod gather;

/// How many descriptors a ring uses at least when the process has been too slow.
const LEAST: usize = 20;

/// The ring that the queue had, and will have again.
enum Home {
    Mergeable(mergeable::Ring<()>),
    Small(small::Ring<()>),
}

impl Home {
    /// The longest IP packet, in bytes, where it may need several buffers.
    fn longest(&self) -> Option<usize> {
        match self {
            Self::Mergeable(ring) => Some(ring.longest()),
            Self::Small(_) => None,
        }
    }
}

/// A ring of frames, and pages.
pub(super) struct Ring {
    pub(super) vq: Virtqueue<RxFrame>,
    home: Home,
    /// Sizes of pages in the place of frames.
    sizes: Xdp,
    /// How many descriptors take the longest packet, whatever they stand for.
    least: usize,
    /// Whether the process has ever had frames for the queue.
    has_served: bool,
}

/// The ring with a pool, or as it was, if it cannot have it.
pub(super) fn bind(
    ring: super::Ring,
    pool: &XskPool,
    layout: HeaderLayout,
    result: &mut Result,
) -> super::Ring {
    use super::Ring as Any;
    let with_pool = |vq: Virtqueue<RxFrame>, home: Home| {
        let sizes = buffers_for_programs(layout);
        let least = match home.longest() {
            Some(longest) => packet_room(sizes.header_len, longest)
                .div_ceil(vq.frame_share().min(sizes.posted_len()).max(1)),
            None => 1,
        };
        Ring {
            vq,
            home,
            sizes,
            least,
            has_served: false,
        }
    };
    match ring {
        Any::Mergeable(ring) => {
            let (vq, home) = ring.without_queue();
            match vq.with_pool(pool, layout) {
                Ok(vq) => Any::Xsk(with_pool(vq, Home::Mergeable(home))),
                Err((error, vq)) => {
                    *result = Err(error);
                    Any::Mergeable(home.with_queue(vq))
                }
            }
        }
        Any::Small(ring) => {
            let (vq, home) = ring.without_queue();
            match vq.with_pool(pool, layout) {
                Ok(vq) => Any::Xsk(with_pool(vq, Home::Small(home))),
                Err((error, vq)) => {
                    *result = Err(error);
                    Any::Small(home.with_queue(vq))
                }
            }
        }
        other => {
            *result = Err(EBUSY);
            other
        }
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
        let is_mergeable = self.is_mergeable();
        let filled = self.vq.post_frames(|vq| {
            if is_mergeable {
                vq.mtu().saturating_add(ETHERNET_LEN + VLAN_LEN)
            } else {
                FRAME_LEN
            }
        });
        self.has_served |= filled.frames != 0 || filled.is_kept && self.vq.has_frames();
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

    /// How many descriptors may be free before the ring is filled again.
    #[inline]
    pub(super) fn most_free(&self) -> usize {
        most_free(self.vq.size(), self.least)
    }

    /// Bytes that are posted, at least.
    fn posted(&self) -> usize {
        let pages = self.vq.pages();
        let used = self.vq.size().wrapping_sub(self.vq.free());
        let in_pages = pages.saturating_mul(self.sizes.posted_len());
        let in_frames = used
            .saturating_sub(pages)
            .saturating_mul(self.vq.frame_share());
        in_pages.saturating_add(in_frames)
    }

    /// Posts pages where there are too few buffers, or the longest packet does not fit in them.
    #[cold]
    fn add_pages(&mut self, pages: &mut Pages<'_>, memory: Memory) -> Refill {
        let size = self.vq.size();
        let least = if self.has_served { LEAST } else { size };
        let (offset, len) = (self.sizes.offset(), self.sizes.posted_len());
        let header_len = self.sizes.header_len;
        let room = match self.home.longest() {
            Some(longest) if self.vq.receives_large() => packet_room(header_len, longest),
            Some(_) => packet_room(header_len, self.vq.mtu()),
            None => 0,
        };
        while size.wrapping_sub(self.vq.free()) < least.min(size) || self.posted() < room {
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
        let program = runner.poll.program();
        let takes_many = Receiver::of(program.map(Program::info)) != Receiver::SingleBuffer;
        let mut room = XdpRoom::new(runner.poll);
        let (skip, layout) = (runner.common.header_len(), runner.common.layout);
        while runner.goes_on(batch) {
            let arrived = match self.vq.receive_next(program) {
                None => break,
                Some(RxNext::Frame(frame)) => {
                    batch.packets = batch.packets.wrapping_add(1);
                    runner.frame(frame, drop, batch);
                    continue;
                }
                Some(RxNext::Other(arrived)) => arrived,
            };
            batch.packets = batch.packets.wrapping_add(1);
            let Ok(arrived) = arrived else {
                runner.common.count_length_error(batch);
                continue;
            };
            let header = layout.read(arrived.data());
            let buffers = if is_mergeable {
                u16::from_le_bytes([header[10], header[11]])
            } else {
                1
            };
            match arrived {
                Arrived::Frame(frame) if buffers == 1 => {
                    let frame = frame.begin(&header, program);
                    give(frame, &header, program.is_some(), runner, batch);
                }
                Arrived::Chain(chain) if buffers == 1 && (takes_many || chain.is_one()) => {
                    give_chain(chain, &header, program, runner, pages, batch);
                }
                arrived => match room.as_mut() {
                    Some(room) => {
                        let frame = gather::begin_frame(arrived, room, skip, &header, pages);
                        let vq = &mut self.vq;
                        gather::frame(frame, vq, buffers, runner, pages, batch);
                    }
                    None => {
                        batch.bytes = batch.bytes.wrapping_add(arrived.len().wrapping_sub(skip));
                        let packet = gather::begin_packet(arrived, skip, runner.poll, pages);
                        let vq = &mut self.vq;
                        gather::packet(packet, vq, buffers, &header, runner, pages, batch);
                    }
                },
            }
        }
    }
}

/// Has the program look at a frame, or gives it to the stack if there is none.
#[inline(never)]
fn give<F: Frame>(
    frame: F,
    header: &[u8; HeaderLayout::MAX_LEN],
    has_program: bool,
    runner: &mut xdp::Runner<'_>,
    batch: &mut RxBatch,
) {
    if has_program {
        return runner.frame(frame, drop, batch);
    }
    batch.bytes = batch.bytes.wrapping_add(frame.len());
    match frame.into_skb(runner.poll) {
        Some(skb) => runner.common.deliver(skb, header, runner.poll),
        None => batch.drops = batch.drops.wrapping_add(1),
    }
}

/// The same with the packet of a chain.
#[inline(never)]
fn give_chain<'q, 'a: 'q>(
    chain: ArrivedChain<'q>,
    header: &[u8; HeaderLayout::MAX_LEN],
    program: Option<Program<'q>>,
    runner: &mut xdp::Runner<'a>,
    pages: &'q mut Pages<'_>,
    batch: &mut RxBatch,
) {
    match chain.begin(header, program, pages) {
        Some(frame) => give(frame, header, program.is_some(), runner, batch),
        None if program.is_some() => runner.lost(),
        None => batch.drops = batch.drops.wrapping_add(1),
    }
}
