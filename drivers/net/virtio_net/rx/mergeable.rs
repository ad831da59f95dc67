// SPDX-License-Identifier: GPL-2.0

//! Packets over as many buffers as they need (`VIRTIO_NET_F_MRG_RXBUF`).
//!
//! The first buffer begins with the header, which says how many there are.

use super::{
    buffers_for_programs, copied, most_free, rest, spare::Spare, xdp, Common, Refill, COPY_LEN,
    ETH_HLEN,
};
use crate::{
    stats::{self, RxBatch},
    xdp::Receiver,
};
use kernel::{page::PAGE_SIZE, prelude::*};
use knet::{
    net::{Memory, Pages, Received, RxBuffer, RxPoll, XdpAssembly},
    virtio::Virtqueue,
};
use virtio_net_wire::{
    rx_buffer::{AveragePacketLen, Mergeable, Xdp},
    HeaderLayout,
};

/// A ring of mergeable buffers; `Q` is nothing while its queue is used in another way.
pub(super) struct Ring<Q = Virtqueue<RxBuffer>> {
    pub(super) vq: Q,
    spare: Spare,
    sizes: Mergeable,
    /// Sizes of buffers for programs.
    xdp: Xdp,
    /// The longest IP packet, in bytes.
    longest: usize,
    /// How many descriptors may be free before the ring is filled again.
    most_free: usize,
    average: AveragePacketLen,
}

/// A further buffer of a packet, if it is there and its length can be.
#[inline]
fn next(vq: &mut Virtqueue<RxBuffer>) -> Option<Option<Received>> {
    let (buffer, len) = vq.pop()?;
    Some(buffer.received(len, 1).ok())
}

/// A frame that a program is to see, with its further buffers, if it has some.
#[inline(always)]
fn rest_of_frame<'r, 'p>(
    frame: Option<XdpAssembly<'r, 'p>>,
    header: &xdp::Header,
    common: &Common,
    vq: &mut Virtqueue<RxBuffer>,
    pages: &mut Pages<'_>,
) -> Option<XdpAssembly<'r, 'p>> {
    match number_of_buffers(header) {
        1 => frame,
        buffers => rest::of_frame(frame, buffers, common, pages, |_| next(vq)),
    }
}

/// Over how many buffers the packet is.
#[inline]
fn number_of_buffers(header: &xdp::Header) -> u16 {
    u16::from_le_bytes([header[10], header[11]])
}

impl Ring {
    /// The ring without its queue, and back: [`Ring::with_queue`].
    pub(super) fn without_queue(mut self) -> (Virtqueue<RxBuffer>, Ring<()>) {
        // They may be another pool's when the ring is used again.
        self.spare.clear();
        let ring = Ring {
            vq: (),
            spare: self.spare,
            sizes: self.sizes,
            xdp: self.xdp,
            longest: self.longest,
            most_free: self.most_free,
            average: self.average,
        };
        (self.vq, ring)
    }

    /// `longest` is the longest IP packet, in bytes.
    pub(super) fn new(
        vq: Virtqueue<RxBuffer>,
        layout: HeaderLayout,
        longest: usize,
    ) -> Result<Self> {
        let sizes = Mergeable {
            header_len: layout.len(),
            min_data_len: 0,
            page_size: PAGE_SIZE,
            reserved: 0,
            align: knet::net::CACHE_LINE,
        };
        let mut ring = Self {
            vq,
            spare: Spare::new()?,
            sizes,
            xdp: buffers_for_programs(layout),
            longest,
            most_free: 0,
            average: AveragePacketLen::new(),
        };
        ring.fit_to_size();
        Ok(ring)
    }

    fn fit_to_size(&mut self) {
        // The whole ring is to take the longest packet.
        self.sizes.min_data_len =
            Mergeable::min_data_len(self.sizes.header_len, self.longest, self.vq.size());
        let least = self.sizes.most_buffers(self.longest);
        self.most_free = most_free(self.vq.size(), least);
    }

    /// How many descriptors may be free before the ring is filled again.
    #[inline]
    pub(super) fn most_free(&self) -> usize {
        self.most_free
    }

    /// Bytes of the buffers that the ring is filled with next.
    pub(super) fn buffer_len(&self) -> usize {
        self.sizes.buffer_len(self.average)
    }

    pub(super) fn empty(&mut self) -> Result {
        self.vq.reset(drop)?;
        self.spare.clear();
        Ok(())
    }

    pub(super) fn resize(&mut self, size: usize) -> Result {
        let result = self.vq.resize(size, drop);
        self.fit_to_size();
        result
    }

    pub(super) fn refill(
        &mut self,
        pages: &mut Pages<'_>,
        memory: Memory,
        receiver: Receiver,
        stats: &stats::Rx,
    ) -> Refill {
        // Where the posted bytes begin, and how many there are: all where there is more.
        let (len, skip, most) = match receiver {
            Receiver::Stack => (self.buffer_len(), 0, usize::MAX),
            Receiver::SingleBuffer => (PAGE_SIZE, self.xdp.offset(), self.xdp.posted_len()),
            Receiver::MultiBuffer => (PAGE_SIZE, self.xdp.offset(), self.xdp.posted_len_of_many()),
        };
        stats.buffer_len.set(len.min(most) as u64);
        let posted = |buffer: &RxBuffer| buffer.capacity().wrapping_sub(skip).min(most);
        self.spare
            .fill(&mut self.vq, len, pages, memory, stats, |buffer| {
                (skip, posted(buffer))
            })
    }

    #[inline]
    pub(super) fn receive(
        &mut self,
        common: &Common,
        pages: &Pages<'_>,
        poll: &RxPoll<'_>,
        batch: &mut RxBatch,
    ) {
        let coherent = pages.is_coherent();
        while batch.packets < poll.budget() {
            let Some((buffer, len)) = self.vq.pop() else {
                break;
            };
            batch.packets = batch.packets.wrapping_add(1);
            match buffer.received(len, common.header_len() + ETH_HLEN) {
                Ok(first) => self.packet(first, common, coherent, poll, batch),
                Err((_, buffer)) => {
                    common.count_length_error(batch);
                    drop(buffer);
                }
            }
        }
    }

    /// The packet whose first buffer is `first`.
    #[inline]
    fn packet(
        &mut self,
        first: Received,
        common: &Common,
        coherent: bool,
        poll: &RxPoll<'_>,
        batch: &mut RxBatch,
    ) {
        let header = common.layout.read(first.data());
        let buffers = number_of_buffers(&header);
        let skip = common.header_len();
        batch.bytes = batch.bytes.wrapping_add(first.len().wrapping_sub(skip));

        let skb = match first.data().get(skip..) {
            // The usual short packet: one buffer, which the ring takes again.
            Some(data) if data.len() <= COPY_LEN => {
                let skb = copied(poll, data);
                self.spare.put(first.into_buffer(), coherent);
                skb
            }
            _ => rest::with_buffer(first, skip, poll),
        };
        let skb = match (skb, buffers) {
            (Some(skb), 1) => skb,
            (skb, buffers) => {
                match rest::of_packet(skb, buffers, common, batch, || next(&mut self.vq)) {
                    Some(skb) => skb,
                    None => {
                        batch.drops = batch.drops.wrapping_add(1);
                        return;
                    }
                }
            }
        };
        self.average.add(skb.len());
        common.deliver(skb, &header, poll);
    }

    pub(super) fn receive_for_program(
        &mut self,
        runner: &mut xdp::Runner<'_>,
        pages: &mut Pages<'_>,
        batch: &mut RxBatch,
    ) {
        let Self { vq, spare, .. } = self;
        xdp::receive(vq, spare, runner, pages, batch, rest_of_frame);
    }
}

impl Ring<()> {
    /// The longest IP packet, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The ring with a queue again, which may have another size.
    pub(super) fn with_queue(self, vq: Virtqueue<RxBuffer>) -> Ring {
        let mut ring = Ring {
            vq,
            spare: self.spare,
            sizes: self.sizes,
            xdp: self.xdp,
            longest: self.longest,
            most_free: self.most_free,
            average: self.average,
        };
        ring.fit_to_size();
        ring
    }
}
