// SPDX-License-Identifier: GPL-2.0

//! Packets in one chain of pages each, long enough for the longest: large receive
//! or a large MTU without mergeable buffers.
//!
//! Pages that a packet does not need stay in the chain, which is posted again.

use super::{copied, xdp, Common, Refill, COPY_LEN, ETH_HLEN};
use crate::{
    stats::{self, RxBatch},
    xdp::Receiver,
};
use kernel::{page::PAGE_SIZE, prelude::*};
use knet::{
    net::{BufferChain, Memory, Pages, RxPoll, XdpAssembly, XdpRoom},
    virtio::{DeviceLength, Virtqueue},
};
use virtio_net_wire::{rx_buffer::Big, Features, HeaderLayout};

/// The device claims a length that cannot be.
struct LengthError;

/// Where the packet begins in the first page: behind the longest header, aligned.
const GAP: usize = 32;

/// A ring of chains.
pub(super) struct Ring {
    pub(super) vq: Virtqueue<BufferChain>,
    /// Chains that are not in the ring.
    spare: KVec<BufferChain>,
    sizes: Big,
    header_len: usize,
}

impl Ring {
    pub(super) fn new(
        vq: Virtqueue<BufferChain>,
        layout: HeaderLayout,
        negotiated: Features,
        max_mtu: usize,
    ) -> Result<Self> {
        let sizes = Big::new(negotiated, max_mtu, GAP, PAGE_SIZE).ok_or(EINVAL)?;
        // Every chain has a place here, so that none needs memory to come back.
        let spare = KVec::with_capacity(vq.size(), GFP_KERNEL)?;
        Ok(Self {
            vq,
            spare,
            sizes,
            header_len: layout.len(),
        })
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
        // Each chain of the new ring will have a place.
        self.spare.reserve(size, GFP_KERNEL)?;
        self.vq.resize(size, drop)
    }

    /// A chain with all its pages.
    fn chain(&mut self, pages: &mut Pages<'_>, memory: Memory) -> Option<BufferChain> {
        let mut chain = match self.spare.pop() {
            Some(chain) => chain,
            None => BufferChain::with_capacity(self.sizes.pages, memory).ok()?,
        };
        while chain.len() < self.sizes.pages {
            match pages.alloc(PAGE_SIZE, memory) {
                Some(buffer) => chain.push(buffer),
                None => {
                    self.keep(chain);
                    return None;
                }
            }
        }
        Some(chain)
    }

    fn keep(&mut self, chain: BufferChain) {
        // Without room, which cannot be, the chain would be freed.
        let _ = self.spare.push_within_capacity(chain);
    }

    pub(super) fn refill(
        &mut self,
        pages: &mut Pages<'_>,
        memory: Memory,
        _receiver: Receiver,
        stats: &stats::Rx,
    ) -> Refill {
        let mut refill = Refill::Full;
        while self.vq.free() > 0 {
            let Some(chain) = self.chain(pages, memory) else {
                refill = Refill::NoMemory;
                break;
            };
            if let Err(refused) = self.vq.post_chain(chain, self.header_len, GAP) {
                self.keep(refused.token);
                if refused.error == ENOMEM {
                    refill = Refill::NoMemory;
                }
                break;
            }
        }
        if self.vq.kick() {
            stats.kicks.add(1);
        }
        refill
    }

    pub(super) fn receive(
        &mut self,
        common: &Common,
        pages: &Pages<'_>,
        poll: &RxPoll<'_>,
        batch: &mut RxBatch,
    ) {
        while batch.packets < poll.budget() {
            let Some((mut chain, len)) = self.vq.pop() else {
                break;
            };
            batch.packets = batch.packets.wrapping_add(1);
            self.packet(&mut chain, len, common, poll, batch);
            if !pages.is_coherent() {
                // What the CPU has read goes to the device again by way of the pool.
                chain.drop_first();
            }
            self.keep(chain);
        }
    }

    /// Programs work on copies: the chain has neither headroom nor tailroom.
    pub(super) fn receive_for_program(
        &mut self,
        runner: &mut xdp::Runner<'_>,
        pages: &mut Pages<'_>,
        batch: &mut RxBatch,
    ) {
        let Some(mut room) = XdpRoom::new(runner.poll) else {
            return;
        };
        while runner.goes_on(batch) {
            let Some((mut chain, len)) = self.vq.pop() else {
                break;
            };
            batch.packets = batch.packets.wrapping_add(1);
            match self.copy(&mut chain, len, &mut room, runner.common, pages) {
                Ok(frame) => match frame.and_then(|frame| frame.finish(pages)) {
                    Some(frame) => runner.frame(frame, drop, batch),
                    None => runner.lost(),
                },
                Err(LengthError) => runner.common.count_length_error(batch),
            }
            // Otherwise what the CPU has read goes to the device again by way of the pool.
            if pages.is_coherent() {
                self.keep(chain);
            }
        }
    }

    /// A copy of the frame in a chain, if there is memory.
    fn copy<'r, 'p>(
        &self,
        chain: &mut BufferChain,
        len: DeviceLength,
        room: &'r mut XdpRoom<'p>,
        common: &Common,
        pages: &mut Pages<'_>,
    ) -> Result<Option<XdpAssembly<'r, 'p>>, LengthError> {
        let skip = common.header_len();
        let received = chain
            .received(
                len,
                skip.wrapping_add(ETH_HLEN),
                skip.saturating_add(self.sizes.data_len),
            )
            .map_err(|_| LengthError)?;
        let mut parts = received.parts();
        let first = parts.next().unwrap_or_default();
        let header = common.layout.read(first);
        let mut frame = room.copy(first.get(GAP..).unwrap_or_default(), &header, pages);
        for bytes in parts {
            frame = frame.and_then(|mut frame| frame.append_copy(bytes, pages).then_some(frame));
        }
        Ok(frame)
    }

    fn packet(
        &self,
        chain: &mut BufferChain,
        len: DeviceLength,
        common: &Common,
        poll: &RxPoll<'_>,
        batch: &mut RxBatch,
    ) {
        let skip = common.header_len();
        // The device counts the header, but not the gap behind it.
        let Ok(mut received) = chain.received(
            len,
            skip.wrapping_add(ETH_HLEN),
            skip.saturating_add(self.sizes.data_len),
        ) else {
            common.count_length_error(batch);
            return;
        };
        let rest = received.len().wrapping_sub(skip);
        batch.bytes = batch.bytes.wrapping_add(rest);
        let first = received.first();
        let header = common.layout.read(first);
        if let Some(data) = first
            .get(GAP..)
            .filter(|data| data.len() == rest && rest <= COPY_LEN)
        {
            match copied(poll, data) {
                Some(skb) => common.deliver(skb, &header, poll),
                None => batch.drops = batch.drops.wrapping_add(1),
            }
            return;
        }
        let skb = first
            .get(GAP..GAP + ETH_HLEN)
            .and_then(|ethernet| copied(poll, ethernet));
        let Some(mut skb) = skb else {
            batch.drops = batch.drops.wrapping_add(1);
            return;
        };
        let mut before = GAP + ETH_HLEN;
        while let Some(received) = received.take() {
            if skb.append(received, before).is_err() {
                batch.drops = batch.drops.wrapping_add(1);
                return;
            }
            before = 0;
        }
        common.deliver(skb, &header, poll);
    }
}
