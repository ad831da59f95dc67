// SPDX-License-Identifier: GPL-2.0

//! Packets over as many buffers as they need (`VIRTIO_NET_F_MRG_RXBUF`).
//!
//! The first buffer begins with the header, which says how many there are.

use super::{
    buffers_for_programs, copied, copy_header, spare::Spare, xdp, Common, Refill, COPY_LEN,
    ETH_HLEN,
};
use crate::{
    stats::{self, RxBatch},
    xdp::Receiver,
};
use kernel::{page::PAGE_SIZE, prelude::*};
use knet::{
    net::{Assembly, Memory, Pages, Received, RxBuffer, RxPoll, RxSkb, XdpAssembly, XdpRoom},
    virtio::Virtqueue,
};
use virtio_net_wire::{
    rx_buffer::{AveragePacketLen, Mergeable, Xdp},
    HeaderLayout,
};

/// A ring of mergeable buffers.
pub(super) struct Ring {
    pub(super) vq: Virtqueue<RxBuffer>,
    spare: Spare,
    sizes: Mergeable,
    /// Sizes of buffers for programs.
    xdp: Xdp,
    /// The longest IP packet, in bytes.
    longest: usize,
    average: AveragePacketLen,
}

impl Ring {
    /// `longest` is the longest IP packet, in bytes.
    pub(super) fn new(
        vq: Virtqueue<RxBuffer>,
        layout: HeaderLayout,
        longest: usize,
    ) -> Result<Self> {
        let sizes = Mergeable {
            header_len: layout.len(),
            min_data_len: Mergeable::min_data_len(layout.len(), longest, vq.size()),
            page_size: PAGE_SIZE,
            reserved: 0,
            align: knet::net::CACHE_LINE,
        };
        Ok(Self {
            vq,
            spare: Spare::new()?,
            sizes,
            xdp: buffers_for_programs(layout),
            longest,
            average: AveragePacketLen::new(),
        })
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
        // The whole ring is to take the longest packet.
        self.sizes.min_data_len =
            Mergeable::min_data_len(self.sizes.header_len, self.longest, self.vq.size());
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
        let mut refill = Refill::Full;
        while self.vq.free() > 0 {
            let Some(buffer) = self.spare.take(len, pages, memory) else {
                refill = Refill::NoMemory;
                break;
            };
            let posted = buffer.capacity().wrapping_sub(skip).min(most);
            if self.vq.post(buffer, skip, posted).is_err() {
                break;
            }
        }
        if self.vq.kick() {
            stats.kicks.add(1);
        }
        refill
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
        let header = copy_header(first.data(), common.layout);
        let buffers = u16::from_le_bytes([header[10], header[11]]);
        let skip = common.header_len();
        batch.bytes = batch.bytes.wrapping_add(first.len().wrapping_sub(skip));

        let skb = match first.data().get(skip..) {
            // The usual short packet: one buffer, which the ring takes again.
            Some(data) if data.len() <= COPY_LEN => {
                let skb = copied(poll, data);
                self.spare.put(first.into_buffer(), coherent);
                skb
            }
            _ => Self::with_buffer(first, skip, poll),
        };
        let skb = match (skb, buffers) {
            (Some(skb), 1) => skb,
            (skb, buffers) => match self.rest(skb, buffers, common, batch) {
                Some(skb) => skb,
                None => {
                    batch.drops = batch.drops.wrapping_add(1);
                    return;
                }
            },
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
        let coherent = pages.is_coherent();
        let Some(mut room) = XdpRoom::new(runner.poll) else {
            return;
        };
        let skip = runner.common.header_len();
        while runner.goes_on(batch) {
            let Some((buffer, len)) = self.vq.pop() else {
                break;
            };
            batch.packets = batch.packets.wrapping_add(1);
            let Ok(first) = buffer.received(len, skip + ETH_HLEN) else {
                runner.common.count_length_error(batch);
                continue;
            };
            let header = copy_header(first.data(), runner.common.layout);
            let buffers = u16::from_le_bytes([header[10], header[11]]);
            let mut frame = room.begin(first, skip, &header, pages);
            if buffers != 1 {
                frame = self.rest_for_program(frame, buffers, runner.common, pages);
            }
            match frame.and_then(|frame| frame.finish(pages)) {
                Some(frame) => {
                    let spare = xdp::keep(&mut self.spare, coherent);
                    runner.frame(frame, spare, batch);
                }
                None => runner.lost(),
            }
        }
    }

    /// Takes the further buffers of a frame off the ring and appends them to it. If that is
    /// not there, or they are not, all go back.
    fn rest_for_program<'r, 'p>(
        &mut self,
        mut frame: Option<XdpAssembly<'r, 'p>>,
        buffers: u16,
        common: &Common,
        pages: &mut Pages<'_>,
    ) -> Option<XdpAssembly<'r, 'p>> {
        if buffers == 0 {
            common.stats.length_errors.add(1);
            return None;
        }
        for _ in 1..buffers {
            let Some((buffer, len)) = self.vq.pop() else {
                common.stats.length_errors.add(1);
                return None;
            };
            let is_in = match (buffer.received(len, 1), frame.as_mut()) {
                (Ok(received), Some(frame)) => frame.append(received, pages),
                (Ok(_), None) => false,
                (Err(_), _) => {
                    common.stats.length_errors.add(1);
                    false
                }
            };
            if !is_in {
                frame = None;
            }
        }
        frame
    }

    /// A packet that keeps the buffer: around it, if there is room, or beside a copy of
    /// the Ethernet header.
    #[inline]
    fn with_buffer(first: Received, skip: usize, poll: &RxPoll<'_>) -> Option<RxSkb> {
        match RxSkb::around(poll, first, skip) {
            Ok(skb) => Some(skb),
            Err(first) => {
                let mut skb = RxSkb::new(poll, COPY_LEN)?;
                let ethernet = first.data().get(skip..skip + ETH_HLEN)?;
                if !skb.put(ethernet) {
                    return None;
                }
                skb.append(first, skip + ETH_HLEN).ok()?;
                Some(skb)
            }
        }
    }

    /// Takes the further buffers of a packet off the ring and appends them to `skb`. If
    /// that is not there, or they are not, all go back.
    fn rest(
        &mut self,
        skb: Option<RxSkb>,
        buffers: u16,
        common: &Common,
        batch: &mut RxBatch,
    ) -> Option<RxSkb> {
        if buffers == 0 {
            common.stats.length_errors.add(1);
            return None;
        }
        let mut assembly = skb.map(Assembly::new);
        for _ in 1..buffers {
            let Some((buffer, len)) = self.vq.pop() else {
                common.stats.length_errors.add(1);
                return None;
            };
            let refused = match (buffer.received(len, 1), assembly.as_mut()) {
                (Ok(received), Some(packet)) => {
                    batch.bytes = batch.bytes.wrapping_add(received.len());
                    packet.append(received).err()
                }
                (Ok(received), None) => Some(received.into_buffer()),
                (Err((_, buffer)), _) => {
                    common.stats.length_errors.add(1);
                    Some(buffer)
                }
            };
            if let Some(buffer) = refused {
                drop(buffer);
                assembly = None;
            }
        }
        assembly.map(Assembly::finish)
    }
}
