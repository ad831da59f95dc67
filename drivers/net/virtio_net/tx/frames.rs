// SPDX-License-Identifier: GPL-2.0

//! Frames that a transmit queue sends beside the packets of the stack: those of programs, and
//! those of a process that has bound it.

use super::Queue;
use crate::xsk;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel::prelude::*;
use knet::net::{
    Poll, TxQueue, TxSkb, XdpFrame, XdpFrames, XskPool, XskQueued, XskTarget, MAX_SEGMENTS,
};

/// Descriptors that a part of a frame of a process takes, at most: one for the header.
const SEGMENTS_OF_SOCKET: usize = 2;

impl Queue {
    /// Sends frames beside the stack, and tells the device. Those that there is no room for
    /// are lost.
    pub(crate) fn send_frames(&mut self, queue: &TxQueue, frames: &mut KVec<XdpFrame>) {
        self.begin_frames(queue);
        let n = frames.len();
        let mut lost = 0usize;
        let (header_len, place) = (self.layout.len(), self.place);
        let Self { vq, sg, .. } = self;
        for frame in frames.drain_all() {
            if vq.send_frame(sg, frame, header_len, place).is_err() {
                lost = lost.wrapping_add(1);
            }
        }
        self.frames = self.frames.wrapping_add(n.wrapping_sub(lost));
        self.end_frames(queue, n, lost);
    }

    /// Sends frames that others have, as many as there is room for.
    pub(crate) fn xmit_frames(&mut self, queue: &TxQueue, frames: &mut XdpFrames<'_>) {
        self.begin_frames(queue);
        let n = frames.len();
        let mut sent = 0usize;
        let (header_len, place) = (self.layout.len(), self.place);
        let Self { vq, sg, .. } = self;
        while frames.offer(|frame| vq.send_frame(sg, frame, header_len, place)) {
            sent = sent.wrapping_add(1);
        }
        self.frames = self.frames.wrapping_add(sent);
        self.end_frames(queue, n, n.wrapping_sub(sent));
    }

    /// Makes room, where there is little.
    #[inline]
    fn begin_frames(&mut self, queue: &TxQueue) {
        self.vq.disable_interrupts();
        if !self.napi || self.vq.free() < self.vq.size() / 2 {
            self.reclaim(queue, TxSkb::consume_any);
            self.call_for_socket(queue);
        }
    }

    /// Has the queue's own poll see to a process that may have more to send.
    #[inline]
    pub(super) fn call_for_socket(&mut self, queue: &TxQueue) {
        if core::mem::take(&mut self.socket_waits) {
            self.vq.complete_frames();
            queue.schedule_poll(|| self.vq.disable_interrupts());
        }
    }

    /// Sends frames of the process that has bound the queue, but leaves room for the longest
    /// packet of the stack; true if there may be more.
    #[inline(never)]
    pub(super) fn send_for_socket(
        &mut self,
        queue: &TxQueue,
        sw_time: &AtomicBool,
        poll: &Poll<'_>,
    ) -> bool {
        self.vq.complete_frames();
        self.socket_waits = false;
        let mut room = self.vq.free().saturating_sub(self.reserve) / SEGMENTS_OF_SOCKET;
        if self.vq.is_empty() {
            // The longest frame of a process gets its turn, too.
            room = room.max(MAX_SEGMENTS.wrapping_sub(1));
        }
        // A poll of less than the longest frame, as processes have of their own, would never send it.
        let budget = poll.budget().max(MAX_SEGMENTS.wrapping_sub(1));
        // A broken queue takes nothing, which the process then still has.
        let most = if self.vq.is_broken() {
            0
        } else {
            budget.min(room)
        };
        let offloads = xsk::offloads(self.negotiated, sw_time.load(Ordering::Relaxed));
        let XskQueued {
            frames,
            parts,
            refused,
        } = self
            .vq
            .send_pool_frames(&mut self.sg, self.layout.len(), offloads, most, queue, poll);
        if refused != 0 {
            self.stats.xsk_refused.add(refused as u64);
        }
        if frames != 0 {
            self.stats.xdp_tx.add(frames as u64);
            self.leave_room(queue);
            self.kick();
        }
        // A frame of several parts that was too long for the budget's rest waits as well.
        parts != 0 && parts.saturating_add(MAX_SEGMENTS) > budget
    }

    /// Leaves room for the stack's packets, or has it wait.
    #[inline]
    fn leave_room(&mut self, queue: &TxQueue) {
        if self.vq.free() < self.reserve && !queue.is_stopped() {
            queue.stop();
            self.stats.stop.add(1);
        }
    }

    #[inline]
    fn end_frames(&mut self, queue: &TxQueue, n: usize, lost: usize) {
        self.stats.xdp_tx.add(n as u64);
        if lost != 0 {
            self.stats.xdp_tx_drops.add(lost as u64);
        }
        self.leave_room(queue);
        self.flush(queue);
    }

    /// Whether the queue could send frames of a process too.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if NAPI does not reclaim what was sent; `ENOSPC` if packets of the stack
    /// leave no room for others.
    fn check_pool(&self) -> Result {
        if !self.napi {
            return Err(EOPNOTSUPP);
        }
        if self.vq.size() <= self.reserve.saturating_add(SEGMENTS_OF_SOCKET) {
            return Err(ENOSPC);
        }
        Ok(())
    }

    /// What memory of processes is to be mapped for.
    ///
    /// # Errors
    ///
    /// Those of [`Self::check_pool`] and of [`Virtqueue::xsk_target`].
    pub(crate) fn target(&self) -> Result<XskTarget> {
        self.check_pool()?;
        self.vq.xsk_target()
    }

    /// Has the queue send them.
    ///
    /// # Errors
    ///
    /// Those of [`Self::check_pool`] and of [`Virtqueue::use_pool`].
    pub(crate) fn bind(&mut self, pool: &XskPool) -> Result {
        self.check_pool()?;
        self.vq.use_pool(Some(pool))
    }

    /// The end of that; true if the queue had to be emptied. What was in it is lost, and counted.
    ///
    /// # Errors
    ///
    /// Those of [`Virtqueue::empty_anyway`]; the queue has no pool then either.
    pub(crate) fn unbind(&mut self) -> Result<bool> {
        if !self.vq.has_pool() {
            return Ok(false);
        }
        let stats = &self.stats;
        let was_full = !self.vq.is_empty();
        let result = if was_full {
            self.vq.empty_anyway(|packet| stats.lose(packet))
        } else {
            Ok(())
        };
        self.emptied();
        self.stats.xdp_tx_drops.add(self.vq.left_parts() as u64);
        self.vq.use_pool(None)?;
        result.map(|()| was_full)
    }
}
