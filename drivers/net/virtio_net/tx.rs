// SPDX-License-Identifier: GPL-2.0

//! Transmit queues.

use crate::stats;
use core::sync::atomic::AtomicBool;
use kernel::{prelude::*, sync::Arc};
use knet::{
    net::{Poll, Polled, TxHeader, TxPacket, TxQueue, TxSkb, MAX_SEGMENTS},
    virtio::{SgTable, Virtqueue},
};
use virtio_net_wire::{
    header::{V1Hash, V1HashTunnel, V1},
    Features, HeaderLayout,
};
use zerocopy::{Immutable, IntoBytes};

mod frames;

/// One transmit queue.
pub(crate) struct Queue {
    vq: Virtqueue<TxPacket>,
    sg: KBox<SgTable<MAX_SEGMENTS>>,
    /// Descriptors to keep free, so that any packet fits: fewer than the longest packet
    /// takes where the ring has no more.
    reserve: usize,
    layout: HeaderLayout,
    place: TxHeader,
    /// Whether sent packets are reclaimed by NAPI. Otherwise the next packet's sender does,
    /// interrupts are for a full ring only, and byte limits do not apply.
    napi: bool,
    /// Whether the device segments packets inside UDP tunnels.
    tunnels: bool,
    /// Whether the device relies on `hdr_len` of segmented packets.
    exact_header_len: bool,
    negotiated: Features,
    /// Frames of a process were sent: it does not know yet, and others of it may wait.
    socket_waits: bool,
    /// Frames of programs that are in the ring.
    frames: usize,
    stats: Arc<stats::Tx>,
}

impl Queue {
    pub(crate) fn new(
        vq: Virtqueue<TxPacket>,
        negotiated: Features,
        napi: bool,
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
            napi,
            tunnels: negotiated.contains(Features::HOST_UDP_TUNNEL_GSO),
            exact_header_len: negotiated.contains(Features::GUEST_HDRLEN),
            negotiated,
            socket_waits: false,
            frames: 0,
            stats,
        })
    }

    /// The ring's size now, and the most that the device allows.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.vq.size(), self.vq.max_size())
    }

    /// Whether the ring, if it is empty, has room for a packet of as many pieces as any can have.
    pub(crate) fn takes_longest(&self) -> bool {
        self.reserve == MAX_SEGMENTS
    }

    pub(crate) fn has_napi(&self) -> bool {
        self.napi
    }

    /// Whether it can be another who reclaims sent packets: not while the device has some, which
    /// byte limits count or do not, nor while a process has bound the queue, whose frames only
    /// NAPI sends.
    pub(crate) fn can_set_napi(&mut self, queue: &TxQueue) -> bool {
        if self.vq.has_pool() {
            return false;
        }
        self.reclaim(queue, TxSkb::consume_any);
        self.vq.free() == self.vq.size()
    }

    /// Has sent packets reclaimed by NAPI, or not.
    ///
    /// # Errors
    ///
    /// `EBUSY` unless [`Self::can_set_napi`].
    pub(crate) fn set_napi(&mut self, napi: bool, queue: &TxQueue) -> Result {
        if !self.can_set_napi(queue) {
            return Err(EBUSY);
        }
        queue.reset();
        self.napi = napi;
        Ok(())
    }

    /// Whether nothing is in the ring.
    pub(crate) fn is_empty(&self) -> bool {
        self.vq.is_empty()
    }

    /// Tells the device once more of what is in the ring.
    pub(crate) fn notify_again(&mut self) {
        self.vq.notify();
    }

    /// Resets the ring. What was in it is lost, and counted.
    ///
    /// # Errors
    ///
    /// Those of [`Virtqueue::reset`].
    pub(crate) fn reset(&mut self) -> Result {
        let stats = &self.stats;
        let result = self.vq.reset(|packet| stats.lose(packet));
        self.emptied();
        result
    }

    /// Gives the ring `size` descriptors. What was in it is lost, and counted.
    ///
    /// # Errors
    ///
    /// Those of [`Virtqueue::resize`].
    pub(crate) fn resize(&mut self, size: usize) -> Result {
        let stats = &self.stats;
        let result = self.vq.resize(size, |packet| stats.lose(packet));
        self.emptied();
        self.reserve = MAX_SEGMENTS.min(self.vq.size());
        result
    }

    /// Processes get the frames back that were in the ring, if it was emptied.
    fn emptied(&mut self) {
        if self.vq.is_empty() {
            self.frames = 0;
            self.vq.complete_all_frames();
        }
    }

    /// The end of the queue. What was in it is lost, and counted.
    pub(crate) fn discard(self) {
        let Self { vq, stats, .. } = self;
        stats.xdp_tx_drops.add(vq.left_parts() as u64);
        vq.discard(|packet| stats.lose(packet));
    }

    /// Whether frames of programs are in the ring that the device has not sent yet.
    pub(crate) fn has_frames(&mut self, queue: &TxQueue) -> bool {
        self.reclaim(queue, TxSkb::consume_any);
        self.call_for_socket(queue);
        self.frames != 0
    }

    /// Takes what the device has sent off a paused queue: packets and bytes that byte
    /// limits have counted.
    pub(crate) fn take_sent(&mut self) -> (usize, usize) {
        let (packets, bytes) = self.pop_sent(TxSkb::consume_any);
        self.vq.complete_frames();
        if self.napi {
            (packets, bytes)
        } else {
            (0, 0)
        }
    }

    /// Queues a packet behind its header, or drops it.
    #[inline(always)]
    fn queue(&mut self, skb: TxSkb) -> Result {
        if skb.is_complete() {
            match self.layout {
                HeaderLayout::Mergeable12 => return self.send(skb, V1::default()),
                HeaderLayout::Tunnel24 => return self.send(skb, V1HashTunnel::default()),
                HeaderLayout::Legacy10 | HeaderLayout::Hash20 => {}
            }
        }
        self.queue_with_offload(skb)
    }

    fn queue_with_offload(&mut self, skb: TxSkb) -> Result {
        let mut offload = skb.tx_offload()?;
        if let Some(gso) = offload.gso.as_mut().filter(|_| self.exact_header_len) {
            gso.hdr_len = skb.gso_header_len(gso.kind, gso.tunnel.is_some());
        }
        if !self.tunnels && offload.gso.is_some_and(|gso| gso.tunnel.is_some()) {
            return Err(EINVAL);
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
            HeaderLayout::Tunnel24 => self.send(skb, offload.to_tunnel(v1)),
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
        if !self.napi {
            self.xmit_without_napi(queue, skb);
            return;
        }
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

    /// The same where nobody else reclaims.
    #[cold]
    fn xmit_without_napi(&mut self, queue: &TxQueue, mut skb: TxSkb) {
        if self.may_reclaim(queue.may_be_netpolls()) {
            self.reclaim(queue, TxSkb::consume_any);
        }
        skb.tx_timestamp();
        let sent = skb.orphan().and_then(|()| self.queue(skb));
        if sent.is_err() {
            self.stats.drops.add(1);
            self.kick();
        } else {
            if self.vq.free() < self.reserve {
                queue.stop();
                self.stats.stop.add(1);
            }
            if queue.sent(0) {
                self.kick();
            }
        }
        if queue.is_stopped() && !self.vq.enable_interrupts_delayed() {
            queue.schedule_poll(|| self.vq.disable_interrupts());
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
    pub(crate) fn kick(&mut self) {
        if self.vq.kick() {
            self.stats.kicks.add(1);
        }
    }

    /// Takes what the device has sent off the ring: packets and bytes of the stack, which
    /// `free` is called with.
    #[inline(always)]
    fn pop_sent(&mut self, free: impl Fn(TxSkb)) -> (usize, usize) {
        let (mut packets, mut bytes) = (0usize, 0usize);
        let (mut frames, mut frame_bytes) = (0usize, 0usize);
        let mut of_programs = 0usize;
        while let Some((packet, _)) = self.vq.pop() {
            match packet {
                TxPacket::Skb(skb) => {
                    packets = packets.wrapping_add(1);
                    bytes = bytes.wrapping_add(skb.len());
                    free(skb);
                }
                TxPacket::Xdp(frame) => {
                    frames = frames.wrapping_add(1);
                    frame_bytes = frame_bytes.wrapping_add(frame.len());
                    of_programs = of_programs.wrapping_add(1);
                    drop(frame);
                }
                TxPacket::Xsk(frame) => {
                    frames = frames.wrapping_add(1);
                    frame_bytes = frame_bytes.wrapping_add(frame.len());
                    self.vq.frame_sent(frame);
                    self.socket_waits = true;
                }
            }
        }
        self.frames = self.frames.wrapping_sub(of_programs);
        let all = packets.wrapping_add(frames);
        if all != 0 {
            self.stats.packets.add(all as u64);
            self.stats.bytes.add(bytes.wrapping_add(frame_bytes) as u64);
        }
        (packets, bytes)
    }

    /// Whether what the device has sent can be freed: for netpoll, which can have interrupted a
    /// poll, no frames of programs, whose pages go back to that poll's pool.
    #[inline]
    fn may_reclaim(&self, for_netpoll: bool) -> bool {
        !for_netpoll || self.frames == 0
    }

    /// Frees what the device has sent, and lets the stack go on if there is room.
    #[inline]
    fn reclaim(&mut self, queue: &TxQueue, free: impl Fn(TxSkb)) {
        let (packets, bytes) = self.pop_sent(free);
        if packets != 0 && self.napi {
            queue.completed(packets, bytes);
        }
        if queue.is_stopped() && self.vq.free() >= self.reserve {
            self.stats.wake.add(1);
            queue.wake();
        }
    }

    /// Reclaims from the receive queue's poll, which runs anyway.
    pub(crate) fn reclaim_beside(
        &mut self,
        queue: &TxQueue,
        sw_time: &AtomicBool,
        poll: &Poll<'_>,
    ) {
        if !self.napi {
            return;
        }
        self.vq.disable_interrupts();
        self.reclaim(queue, |skb| skb.consume(poll));
        // Who polls this queue only for what it receives wants to send as well.
        if !self.vq.has_only_receiver() && self.send_for_socket(queue, sw_time, poll) {
            queue.schedule_poll(|| ());
            return;
        }
        // What was sent meanwhile is for the queue's own poll, which has an end.
        if !self.vq.enable_interrupts_delayed() {
            queue.schedule_poll(|| self.vq.disable_interrupts());
        }
    }

    /// Reclaims from the queue's own poll.
    pub(crate) fn poll(
        &mut self,
        queue: &TxQueue,
        sw_time: &AtomicBool,
        poll: &Poll<'_>,
    ) -> Polled<'_> {
        let for_netpoll = poll.budget() == 0;
        self.vq.disable_interrupts();
        if self.may_reclaim(for_netpoll) {
            self.reclaim(queue, |skb| skb.consume(poll));
        }
        if !self.vq.has_only_receiver() {
            if for_netpoll {
                // It is for the stack's packets.
                self.call_for_socket(queue);
            } else if self.send_for_socket(queue, sw_time, poll) {
                return Polled::Again;
            }
        }
        poll.adapt(self.stats.packets.get(), self.stats.bytes.get());
        Polled::Done {
            work: 0,
            rearm: self.vq.enable_interrupts(),
        }
    }
}
