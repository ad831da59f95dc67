// SPDX-License-Identifier: GPL-2.0

//! Sending frames of a pool.

use super::{
    super::{napi::Poll, skb_tx::MAX_SEGMENTS, TxPacket, TxQueue},
    alarm::Alarm,
    headers::Headers,
    metadata::{now, Metadata, XskOffloads},
    pool::{Part, Taken},
    XskPool,
};
use crate::{
    bindings,
    virtio::{SgTable, Virtqueue},
};
use core::ops::Range;
use kernel::{page::PAGE_SIZE, prelude::*};
use virtio_net_wire::{tx::TxOffload, HeaderLayout};
use zerocopy::IntoBytes;

/// A frame that is in a transmit queue, or was.
pub struct XskSent {
    /// Its turn, counted up from any number; each of its parts has one.
    turn: u32,
    parts: u32,
    len: u32,
}

/// What came of frames that a process wants sent.
#[derive(Default)]
pub struct XskQueued {
    /// Parts that are queued.
    pub parts: usize,
    /// Frames that are queued without what the process asked for.
    pub refused: usize,
}

/// How many parts a frame can have at most (`net_device::xdp_zc_max_segs`): as the table of
/// segments has one for the header.
pub(in super::super) const MAX_PARTS: usize = MAX_SEGMENTS - 1;

impl XskSent {
    /// All numbers and a mark are in one word.
    pub(in super::super) const MARK: usize = 2;
    const PARTS_SHIFT: u32 = 26;

    #[inline]
    pub(in super::super) fn into_word(self) -> usize {
        const {
            assert!(usize::BITS == 64);
            assert!(MAX_PARTS < 1 << (32 - Self::PARTS_SHIFT));
            // No part is longer than a page.
            assert!(MAX_PARTS * PAGE_SIZE < 1 << (Self::PARTS_SHIFT - 2));
        };
        (self.turn as usize) << 32
            | (self.parts as usize) << Self::PARTS_SHIFT
            | (self.len as usize) << 2
            | Self::MARK
    }

    #[inline]
    pub(in super::super) fn from_word(word: usize) -> Self {
        let low = word as u32;
        Self {
            turn: (word >> 32) as u32,
            parts: low >> Self::PARTS_SHIFT,
            len: (low & ((1 << Self::PARTS_SHIFT) - 1)) >> 2,
        }
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The part of a pool that a transmit queue sends from.
///
/// What is in the pool's completion ring is given to the process in the order in which it was
/// taken from it, and devices may send in another: so each frame has its turn, and those that
/// were sent are given back once all before them were.
pub struct XskTx {
    pool: Taken,
    /// The first says nothing; each of the others, if there are any, is for one turn.
    headers: Headers,
    /// Of each turn, if frames can have metadata, where the process wants to know when its
    /// frame was sent.
    to_stamp: KVec<Option<Metadata>>,
    /// For frames that wait, likewise.
    alarm: Option<Alarm>,
    /// The turns of frames that are in the queue, or were sent before one that is.
    first: u32,
    next: u32,
    /// Of each of them, by the lower bits of its turn, whether it was sent.
    sent: KVec<bool>,
    /// Whether any of them was.
    early: bool,
    /// The turn of the first that the process was not given back.
    given: u32,
    /// Descriptors that were taken from the process, and did not get into the queue.
    left: Range<u32>,
}

/// What comes of a frame with metadata.
enum Prepared {
    /// It can be sent, behind the header at this address; true if something that was asked
    /// for it cannot be.
    Send(u64, bool),
    /// It is to be sent so many nanoseconds from now.
    Wait(u64),
}

impl XskTx {
    /// How long frames wait at most, in nanoseconds. Those that would have to for longer are
    /// sent at once.
    const HORIZON: u64 = 1_000_000_000;

    fn new(pool: Taken, size: usize, device: *mut bindings::device) -> Result<Self> {
        let turns = size.max(1).checked_next_power_of_two().ok_or(EINVAL)?;
        let with_metadata = if pool.has_metadata() { turns } else { 0 };
        let mut to_stamp = KVec::with_capacity(with_metadata, GFP_KERNEL)?;
        for _ in 0..with_metadata {
            to_stamp.push(None, GFP_KERNEL)?;
        }
        let alarm = pool.has_metadata().then(Alarm::new).transpose()?;
        Ok(Self {
            pool,
            headers: Headers::new(with_metadata.saturating_add(1), device)?,
            to_stamp,
            alarm,
            first: 0,
            next: 0,
            sent: KVec::from_elem(false, turns, GFP_KERNEL)?,
            early: false,
            given: 0,
            left: 0..0,
        })
    }

    #[inline]
    fn slot(&mut self, turn: u32) -> Option<&mut bool> {
        let mask = self.sent.len().wrapping_sub(1);
        self.sent.get_mut(turn as usize & mask)
    }

    /// Does what is asked for a frame whose turn this is.
    #[cold]
    fn prepare(
        &mut self,
        turn: u32,
        metadata: Metadata,
        len: usize,
        offloads: XskOffloads,
    ) -> Prepared {
        let empty = self.headers.first();
        let refused = Prepared::Send(empty, true);
        let Ok(request) = metadata.request(len, offloads) else {
            return refused;
        };
        let mut too_late = false;
        if let Some(after) = request.launch.map(|at| at.saturating_sub(now())) {
            if (1..=XskTx::HORIZON).contains(&after) {
                return Prepared::Wait(after);
            }
            too_late = after != 0;
        }
        let index = turn as usize & self.sent.len().wrapping_sub(1);
        if let Some(place) = self.to_stamp.get_mut(index) {
            *place = request.stamp.then_some(metadata);
        }
        let Some(checksum) = request.checksum else {
            return Prepared::Send(empty, too_late);
        };
        let header = TxOffload {
            checksum: Some(checksum),
            gso: None,
        };
        // What longer layouts append stays zero.
        let header = header.to_v1();
        match self.headers.write(index.wrapping_add(1), header.as_bytes()) {
            Some(address) => Prepared::Send(address, too_late),
            None => refused,
        }
    }

    /// Tells the process that the frame was sent now, if it has asked.
    #[inline]
    fn stamp(&mut self, turn: u32) {
        let mask = self.sent.len().wrapping_sub(1);
        if let Some(place) = self.to_stamp.get_mut(turn as usize & mask) {
            if let Some(metadata) = place.take() {
                metadata.stamp(now());
            }
        }
    }

    /// Notes that a frame was sent.
    #[inline]
    fn note(&mut self, frame: &XskSent) {
        if frame.turn == self.first {
            self.first = self.first.wrapping_add(frame.parts);
        } else {
            for part in 0..frame.parts {
                if let Some(slot) = self.slot(frame.turn.wrapping_add(part)) {
                    *slot = true;
                }
            }
            self.early = true;
        }
    }

    /// Gives frames back to the process that were sent, if all before them were
    /// (`xsk_tx_completed`); how many.
    fn complete(&mut self) -> usize {
        if self.early {
            self.early = false;
            while self.first != self.next {
                match self.slot(self.first) {
                    Some(sent) if *sent => *sent = false,
                    _ => {
                        self.early = true;
                        break;
                    }
                }
                self.first = self.first.wrapping_add(1);
            }
        }
        let n = self.first.wrapping_sub(self.given);
        self.given = self.first;
        self.give_back(n);
        n as usize
    }

    /// The same with all frames, of which none is in the queue any more, and what did not get
    /// there.
    fn complete_all(&mut self) {
        self.sent.fill(false);
        self.early = false;
        self.first = self.next;
        self.complete();
        let left = self.left.end.saturating_sub(self.left.start);
        self.left = 0..0;
        self.give_back(left);
    }

    /// What the process wants sent: what was left the last time, or more, at most so many
    /// descriptors.
    #[inline]
    fn peek(&mut self, most: usize) -> Outgoing {
        let pool = self.pool.raw();
        if self.left.is_empty() {
            // Turns in use may not be used again.
            let in_use = self.next.wrapping_sub(self.given) as usize;
            let most = most.min(self.sent.len().saturating_sub(in_use));
            // SAFETY: The pool is live, and we have its part.
            let n = unsafe { bindings::xsk_tx_peek_release_desc_batch(pool, most as u32) };
            self.left = 0..n;
        }
        Outgoing {
            pool,
            // SAFETY: The pool is live.
            descriptors: unsafe { (*pool).tx_descs },
            left: self.left.clone(),
            first: self.next,
            to_sync: if self.pool.needs_sync() {
                self.pool.device()
            } else {
                core::ptr::null_mut()
            },
        }
    }

    fn give_back(&mut self, n: u32) {
        if n != 0 {
            // SAFETY: The pool is live, and we have its part; as many were taken.
            unsafe { bindings::xsk_tx_completed(self.pool.raw(), n) };
        }
    }
}

impl Drop for XskTx {
    fn drop(&mut self) {
        // The queue has none any more: it was emptied, or is gone.
        self.complete_all();
    }
}

impl Virtqueue<TxPacket> {
    /// Whether the queue has a pool.
    #[inline]
    pub fn has_pool(&self) -> bool {
        self.source().xsk.is_some()
    }

    /// Has the queue send frames of `pool` too, or of none.
    ///
    /// # Errors
    ///
    /// `EBUSY` while frames of a pool are in the queue, or another queue sends from it;
    /// `EINVAL` if it is mapped for another device; `ENOMEM`.
    pub fn use_pool(&mut self, pool: Option<&XskPool>) -> Result {
        if self.has_pool() && !self.is_empty() {
            return Err(EBUSY);
        }
        let xsk = match pool {
            None => None,
            Some(pool) => {
                let pool = pool.take(Part::Tx)?;
                if !pool.is_for(self) {
                    return Err(EINVAL);
                }
                let turns = self.max_size().max(self.size());
                Some(XskTx::new(pool, turns, self.dma_device())?)
            }
        };
        self.source_mut().xsk = xsk;
        Ok(())
    }

    /// Notes that a frame was taken off the queue.
    #[inline]
    pub fn frame_sent(&mut self, frame: XskSent) {
        if let Some(xsk) = &mut self.source_mut().xsk {
            xsk.stamp(frame.turn);
            xsk.note(&frame);
        }
    }

    /// Gives frames that were sent back to the process; how many.
    #[inline]
    pub fn complete_frames(&mut self) -> usize {
        match &mut self.source_mut().xsk {
            Some(xsk) => xsk.complete(),
            None => 0,
        }
    }

    /// Gives all frames back, after the queue was emptied. Nothing if it was not.
    pub fn complete_all_frames(&mut self) {
        if !self.is_empty() {
            return;
        }
        if let Some(xsk) = &mut self.source_mut().xsk {
            xsk.complete_all();
        }
    }

    /// Queues frames that the process wants sent, of up to `most` parts, each frame behind a
    /// header of `header_len` bytes that says nothing, or what the process has asked for, of
    /// `offloads`. A queue that takes no more of them keeps the rest for the next time, and so
    /// it does for a frame whose time has not come, when `queue` is polled again
    /// (`xsk_tx_peek_release_desc_batch`).
    pub fn send_pool_frames(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        header_len: usize,
        offloads: XskOffloads,
        most: usize,
        queue: &TxQueue,
        _poll: &Poll<'_>,
    ) -> XskQueued {
        /// What a frame like most others has not.
        const SPECIAL: u32 = bindings::XDP_PKT_CONTD | bindings::XDP_TX_METADATA;
        let header_len = header_len.min(HeaderLayout::MAX_LEN);
        let Some(xsk) = &mut self.source_mut().xsk else {
            return XskQueued::default();
        };
        let outgoing = xsk.peek(most);
        let empty = (xsk.headers.first(), header_len);
        let (mut at, mut refused, mut is_paired) = (outgoing.left.start, 0usize, false);
        while at != outgoing.left.end {
            let descriptor = outgoing.get(at);
            let turn = outgoing.turn(at);
            let parts = if descriptor.options & SPECIAL == 0 {
                let len = descriptor.len;
                let token = TxPacket::Xsk(XskSent {
                    turn,
                    parts: 1,
                    len,
                });
                // SAFETY: The queue holds the pool and the header for as long as it has frames,
                // and the process has given the frame away.
                let result = unsafe {
                    if !is_paired {
                        sg.clear();
                        sg.push_mapped(empty.0, empty.1);
                        sg.push_mapped(0, 0);
                        is_paired = true;
                    }
                    sg.set_last(outgoing.address(descriptor), len);
                    self.push_out(sg, true, token)
                };
                u32::from(result.is_ok())
            } else {
                is_paired = false;
                let asked = (offloads, header_len, queue);
                self.send_special_frame(sg, &outgoing, at, asked, &mut refused)
            };
            if parts == 0 {
                break;
            }
            at = at.wrapping_add(parts);
        }
        if let Some(xsk) = &mut self.source_mut().xsk {
            xsk.next = outgoing.turn(at);
            xsk.left = at..outgoing.left.end;
        }
        XskQueued {
            parts: at.wrapping_sub(outgoing.left.start) as usize,
            refused,
        }
    }

    /// Queues the frame whose first descriptor is at `at`, of several parts or with metadata;
    /// how many parts. None, if it is not for now.
    #[inline(never)]
    fn send_special_frame(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        outgoing: &Outgoing,
        at: u32,
        (offloads, header_len, queue): (XskOffloads, usize, &TxQueue),
        refused: &mut usize,
    ) -> u32 {
        let turn = outgoing.turn(at);
        let Some(xsk) = &mut self.source_mut().xsk else {
            return 0;
        };
        let mut header = xsk.headers.first();
        let first = outgoing.get(at);
        // SAFETY: The pool is live as long as the queue has it, and the core has checked the
        // descriptor.
        if let Some(metadata) = unsafe { Metadata::of(outgoing.pool, first) } {
            match xsk.prepare(turn, metadata, first.len as usize, offloads) {
                Prepared::Send(at, without) => {
                    header = at;
                    // There is no way to tell the process.
                    *refused = refused.wrapping_add(usize::from(without));
                }
                Prepared::Wait(after) => {
                    if let Some(alarm) = &mut xsk.alarm {
                        // SAFETY: The queue's slot has the virtqueue, which has this.
                        unsafe { alarm.set(queue, after) };
                    }
                    return 0;
                }
            }
        }
        let (mut parts, mut len) = (0u32, 0u32);
        sg.clear();
        // SAFETY: As in `send_pool_frames`.
        unsafe { sg.push_mapped(header, header_len) };
        for index in at..outgoing.left.end {
            let descriptor = outgoing.get(index);
            let address = outgoing.address(descriptor);
            // SAFETY: As above.
            if !unsafe { sg.push_mapped(address, descriptor.len as usize) } {
                return 0;
            }
            parts = parts.wrapping_add(1);
            len = len.wrapping_add(descriptor.len);
            if descriptor.options & bindings::XDP_PKT_CONTD == 0 {
                let token = TxPacket::Xsk(XskSent { turn, parts, len });
                // SAFETY: As above.
                let result = unsafe { self.push_out(sg, true, token) };
                return if result.is_ok() { parts } else { 0 };
            }
        }
        0
    }
}

/// Descriptors that the process wants sent.
struct Outgoing {
    pool: *mut bindings::xsk_buff_pool,
    descriptors: *const bindings::xdp_desc,
    left: Range<u32>,
    /// The turn of the first of them.
    first: u32,
    /// The device, if it is to be told of what is in the memory.
    to_sync: *mut bindings::device,
}

impl Outgoing {
    #[inline]
    fn turn(&self, at: u32) -> u32 {
        self.first.wrapping_add(at.wrapping_sub(self.left.start))
    }

    /// One of those that are left.
    #[inline]
    fn get(&self, at: u32) -> &bindings::xdp_desc {
        // SAFETY: The core has filled as many descriptors.
        unsafe { &*self.descriptors.add(at as usize) }
    }

    /// Where the device has its bytes, which are in the memory for it.
    #[inline]
    fn address(&self, descriptor: &bindings::xdp_desc) -> u64 {
        // SAFETY: The core has checked that these bytes are in the pool's memory, which is
        // mapped.
        unsafe {
            let address = bindings::xp_raw_get_dma(self.pool, descriptor.addr);
            if !self.to_sync.is_null() {
                bindings::__dma_sync_single_for_device(
                    self.to_sync,
                    address,
                    descriptor.len as usize,
                    bindings::dma_data_direction::DMA_BIDIRECTIONAL,
                );
            }
            address
        }
    }
}
