// SPDX-License-Identifier: GPL-2.0

//! Packets in one buffer each, no longer than an ordinary frame: neither mergeable
//! buffers nor large receive.

use super::{buffers_for_programs, copied, spare::Spare, xdp, Common, Refill, COPY_LEN, ETH_HLEN};
use crate::{
    stats::{self, RxBatch},
    xdp::Receiver,
};
use kernel::{page::PAGE_SIZE, prelude::*};
use knet::{
    net::{Memory, PagePool, Pages, RxBuffer, RxPoll, RxSkb, CACHE_LINE, RX_HEADROOM},
    virtio::Virtqueue,
};
use virtio_net_wire::{
    rx_buffer::{Small, Xdp},
    HeaderLayout,
};

/// A ring of small buffers; `Q` is nothing while its queue is used in another way.
pub(super) struct Ring<Q = Virtqueue<RxBuffer>> {
    pub(super) vq: Q,
    spare: Spare,
    sizes: Small,
    /// Sizes of buffers for programs.
    xdp: Xdp,
}

impl Ring {
    pub(super) fn new(vq: Virtqueue<RxBuffer>, layout: HeaderLayout) -> Result<Self> {
        let sizes = Small {
            headroom: RX_HEADROOM,
            header_len: layout.len(),
            tailroom: PagePool::SKB_OVERHEAD,
            align: CACHE_LINE,
        };
        Ok(Self {
            vq,
            spare: Spare::new()?,
            sizes,
            xdp: buffers_for_programs(layout),
        })
    }

    /// The ring without its queue, and back: [`Ring::with_queue`].
    pub(super) fn without_queue(mut self) -> (Virtqueue<RxBuffer>, Ring<()>) {
        // They may be another pool's when the ring is used again.
        self.spare.clear();
        let ring = Ring {
            vq: (),
            spare: self.spare,
            sizes: self.sizes,
            xdp: self.xdp,
        };
        (self.vq, ring)
    }

    /// How many descriptors may be free before the ring is filled again.
    #[inline]
    pub(super) fn most_free(&self) -> usize {
        self.vq.size() / 2
    }

    pub(super) fn empty(&mut self) -> Result {
        self.vq.reset(drop)?;
        self.spare.clear();
        Ok(())
    }

    pub(super) fn resize(&mut self, size: usize) -> Result {
        self.vq.resize(size, drop)
    }

    pub(super) fn refill(
        &mut self,
        pages: &mut Pages<'_>,
        memory: Memory,
        receiver: Receiver,
        stats: &stats::Rx,
    ) -> Refill {
        let (len, skip) = match receiver {
            Receiver::Stack => (self.sizes.allocated_len(), self.sizes.headroom),
            _ => (PAGE_SIZE, self.xdp.offset()),
        };
        let posted = self.sizes.posted_len();
        self.spare
            .fill(&mut self.vq, len, pages, memory, stats, |_| (skip, posted))
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
        let skip = common.header_len();
        while batch.packets < poll.budget() {
            let Some((buffer, len)) = self.vq.pop() else {
                break;
            };
            batch.packets = batch.packets.wrapping_add(1);
            let received = match buffer.received(len, skip + ETH_HLEN) {
                Ok(received) => received,
                Err((_, buffer)) => {
                    common.count_length_error(batch);
                    drop(buffer);
                    continue;
                }
            };
            let header = common.layout.read(received.data());
            batch.bytes = batch.bytes.wrapping_add(received.len().wrapping_sub(skip));
            let skb = match received.data().get(skip..) {
                Some(data) if data.len() <= COPY_LEN => {
                    let skb = copied(poll, data);
                    self.spare.put(received.into_buffer(), coherent);
                    skb
                }
                _ => RxSkb::around(poll, received, skip).ok(),
            };
            match skb {
                Some(skb) => common.deliver(skb, &header, poll),
                None => batch.drops = batch.drops.wrapping_add(1),
            }
        }
    }

    pub(super) fn receive_for_program(
        &mut self,
        runner: &mut xdp::Runner<'_>,
        pages: &mut Pages<'_>,
        batch: &mut RxBatch,
    ) {
        let Self { vq, spare, .. } = self;
        xdp::receive(vq, spare, runner, pages, batch, |frame, _, _, _, _| frame);
    }
}

impl Ring<()> {
    /// The ring with a queue again.
    pub(super) fn with_queue(self, vq: Virtqueue<RxBuffer>) -> Ring {
        Ring {
            vq,
            spare: self.spare,
            sizes: self.sizes,
            xdp: self.xdp,
        }
    }
}
