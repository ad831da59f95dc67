// SPDX-License-Identifier: GPL-2.0

//! Transmit queues.

use crate::stats;
use kernel::{prelude::*, sync::Arc};
use knet::{
    net::{Poll, Polled, TxHeader, TxQueue, TxSkb, MAX_SEGMENTS},
    virtio::{SgTable, Virtqueue},
};
use virtio_net_wire::{
    header::{V1Hash, V1HashTunnel, V1},
    Features, HeaderLayout,
};
use zerocopy::{Immutable, IntoBytes};

/// One transmit queue.
pub(crate) struct Queue {
    vq: Virtqueue<TxSkb>,
    sg: KBox<SgTable<MAX_SEGMENTS>>,
    /// Descriptors to keep free, so that any packet fits: fewer than the longest packet
    /// takes where the ring has no more.
    reserve: usize,
    layout: HeaderLayout,
    place: TxHeader,
    /// Whether the device relies on `hdr_len` of segmented packets.
    exact_header_len: bool,
    stats: Arc<stats::Tx>,
}

impl Queue {
    pub(crate) fn new(
        vq: Virtqueue<TxSkb>,
        negotiated: Features,
        stats: Arc<stats::Tx>,
    ) -> Result<Self> {
        let any_layout = negotiated.intersects(Features::ANY_LAYOUT.union(Features::VERSION_1));
        Ok(Self {
            reserve: MAX_SEGMENTS.min(vq.size()),
            vq,
            sg: KBox::new(SgTable::new(), GFP_KERNEL)?,
            layout: HeaderLayout::from_features(negotiated),
            place: if any_layout {
                TxHeader::Joined
            } else {
                TxHeader::Separate
            },
            exact_header_len: negotiated.contains(Features::GUEST_HDRLEN),
            stats,
        })
    }

    /// The ring's size now, and the most that the device allows.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.vq.size(), self.vq.max_size())
    }

    /// Queues a packet behind its header, or drops it.
    #[inline(always)]
    fn queue(&mut self, skb: TxSkb) -> Result {
        if skb.is_complete() && self.layout == HeaderLayout::Mergeable12 {
            return self.send(skb, V1::default());
        }
        self.queue_with_offload(skb)
    }

    fn queue_with_offload(&mut self, skb: TxSkb) -> Result {
        let mut offload = skb.tx_offload()?;
        if let Some(gso) = offload.gso.as_mut().filter(|_| self.exact_header_len) {
            gso.hdr_len = skb.gso_header_len(gso.kind);
        }
        let v1 = offload.to_v1();
        let v1_hash = V1Hash {
            v1,
            ..V1Hash::default()
        };
        match self.layout {
            HeaderLayout::Mergeable12 => self.send(skb, v1),
            HeaderLayout::Legacy10 => self.send(skb, v1.base),
            HeaderLayout::Hash20 => self.send(skb, v1_hash),
            HeaderLayout::Tunnel24 => self.send(
                skb,
                V1HashTunnel {
                    v1_hash,
                    ..V1HashTunnel::default()
                },
            ),
        }
    }

    #[inline(always)]
    fn send<H: IntoBytes + Immutable + Copy>(&mut self, skb: TxSkb, header: H) -> Result {
        self.vq
            .send(&mut self.sg, skb, header, self.place)
            .map_err(|refused| refused.error)
    }

    /// Sends a packet, and tells the device unless more follow.
    #[inline]
    pub(crate) fn xmit(&mut self, queue: &TxQueue, mut skb: TxSkb) {
        // Interrupts are for when the stack waits, or for the end of a burst.
        self.vq.disable_interrupts();
        skb.tx_timestamp();
        let bytes = skb.len();
        if self.queue(skb).is_err() {
            // The stack is stopped before the ring is full: this is a broken device, or
            // a packet that was never promised.
            self.stats.drops.add(1);
            self.flush(queue);
            return;
        }
        if self.vq.free() < self.reserve {
            queue.stop();
            self.stats.stop.add(1);
        }
        if queue.sent(bytes) {
            self.flush(queue);
        }
    }

    /// Tells the device of what is queued, and hears from it when most is sent.
    #[inline]
    fn flush(&mut self, queue: &TxQueue) {
        self.kick();
        if !self.vq.enable_interrupts_delayed() {
            queue.schedule_poll(|| self.vq.disable_interrupts());
        }
    }

    #[inline]
    fn kick(&mut self) {
        if self.vq.kick() {
            self.stats.kicks.add(1);
        }
    }

    /// Frees what the device has sent, and lets the stack go on if there is room.
    #[inline]
    fn reclaim(&mut self, queue: &TxQueue, poll: &Poll<'_>) {
        let (mut packets, mut bytes) = (0usize, 0usize);
        while let Some((skb, _)) = self.vq.pop() {
            packets = packets.wrapping_add(1);
            bytes = bytes.wrapping_add(skb.len());
            skb.consume(poll);
        }
        if packets != 0 {
            queue.completed(packets, bytes);
            self.stats.packets.add(packets as u64);
            self.stats.bytes.add(bytes as u64);
        }
        if queue.is_stopped() && self.vq.free() >= self.reserve {
            self.stats.wake.add(1);
            queue.wake();
        }
    }

    /// Reclaims from the receive queue's poll, which runs anyway.
    pub(crate) fn reclaim_beside(&mut self, queue: &TxQueue, poll: &Poll<'_>) {
        loop {
            self.vq.disable_interrupts();
            self.reclaim(queue, poll);
            if self.vq.enable_interrupts_delayed() {
                break;
            }
        }
    }

    /// Reclaims from the queue's own poll.
    pub(crate) fn poll(&mut self, queue: &TxQueue, poll: &Poll<'_>) -> Polled<'_> {
        self.vq.disable_interrupts();
        self.reclaim(queue, poll);
        Polled::Done {
            work: 0,
            rearm: self.vq.enable_interrupts(),
        }
    }
}
