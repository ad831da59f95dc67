// SPDX-License-Identifier: GPL-2.0

//! Sending frames of a pool.

use super::{
    super::{skb_tx::MAX_SEGMENTS, TxPacket},
    alarm::Alarm,
    headers::Headers,
    metadata::{now, Metadata},
    pool::{Kept, Mapped, Part, Taken},
    XskPool,
};
use crate::{bindings, virtio::Virtqueue};
use core::{mem::ManuallyDrop, ops::Range};
use kernel::{page::PAGE_SIZE, prelude::*};

/// A frame that is in a transmit queue, or was.
pub struct XskSent {
    /// Its turn, counted up from any number; each of its parts has one.
    pub(super) turn: u32,
    pub(super) parts: u32,
    pub(super) len: u32,
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

/// What a queue has for each turn of a frame, a power of two of them.
pub(super) struct Turns {
    /// The first says nothing; each of the others, if there are any, is for one turn.
    pub(super) headers: Headers,
    /// If frames can have metadata, where the process wants to know when its frame was sent.
    pub(super) to_stamp: KVec<Option<Metadata>>,
    /// For frames that wait, likewise.
    pub(super) alarm: Option<Alarm>,
    /// Whether its frame was sent, before one that was not.
    pub(super) sent: KVec<bool>,
}

impl Kept for Turns {
    fn part(mapped: &Mapped) -> &Part<Self> {
        &mapped.tx
    }
}

impl Turns {
    fn new(n: usize, has_metadata: bool, device: *mut bindings::device) -> Result<Self> {
        let with_metadata = if has_metadata { n } else { 0 };
        let mut to_stamp = KVec::with_capacity(with_metadata, GFP_KERNEL)?;
        for _ in 0..with_metadata {
            to_stamp.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            headers: Headers::new(with_metadata.saturating_add(1), device)?,
            to_stamp,
            alarm: has_metadata.then(Alarm::new).transpose()?,
            sent: KVec::from_elem(false, n, GFP_KERNEL)?,
        })
    }

    /// Whether these are like those of [`Self::new`].
    fn are(&self, n: usize, has_metadata: bool, device: *mut bindings::device) -> bool {
        let with_metadata = if has_metadata { n } else { 0 };
        self.sent.len() == n && self.headers.are(with_metadata.saturating_add(1), device)
    }

    /// None of them is any frame's.
    fn clear(&mut self) {
        self.sent.fill(false);
        // Nobody is told of a time.
        for place in &mut self.to_stamp {
            *place = None;
        }
    }
}

/// The part of a pool that a transmit queue sends from.
///
/// What is in the pool's completion ring is given to the process in the order in which it was
/// taken from it, and devices may send in another: so each frame has its turn, and those that
/// were sent are given back once all before them were.
pub struct XskTx {
    /// What marks that a frame goes on in the next descriptor, where it may: a process can say so
    /// anywhere.
    pub(super) goes_on: u32,
    /// By the lower bits of turns; there until this is dropped.
    pub(super) turns: ManuallyDrop<Turns>,
    /// The turns of frames that are in the queue, or were sent before one that is.
    first: u32,
    pub(super) next: u32,
    /// Whether any of them was.
    early: bool,
    /// The turn of the first that the process was not given back.
    pub(super) given: u32,
    /// Descriptors that were taken from the process, and did not get into the queue.
    pub(super) left: Range<u32>,
    /// The last to go: who waits for it may free what the others point to.
    pub(super) pool: Taken<Turns>,
}

impl XskTx {
    fn new(mut pool: Taken<Turns>, size: usize, device: *mut bindings::device) -> Result<Self> {
        let n = size.max(1).checked_next_power_of_two().ok_or(EINVAL)?;
        let has_metadata = pool.has_metadata();
        let turns = pool.kept_or(
            |turns| turns.are(n, has_metadata, device),
            || Turns::new(n, has_metadata, device),
        )?;
        let goes_on = if pool.takes_many() {
            bindings::XDP_PKT_CONTD
        } else {
            0
        };
        Ok(Self {
            pool,
            goes_on,
            turns: ManuallyDrop::new(turns),
            first: 0,
            next: 0,
            early: false,
            given: 0,
            left: 0..0,
        })
    }

    #[inline]
    fn slot(&mut self, turn: u32) -> Option<&mut bool> {
        let sent = &mut self.turns.sent;
        let mask = sent.len().wrapping_sub(1);
        sent.get_mut(turn as usize & mask)
    }

    /// Tells the process that the frame was sent now, if it has asked.
    #[inline]
    fn stamp(&mut self, turn: u32) {
        let mask = self.turns.sent.len().wrapping_sub(1);
        if let Some(place) = self.turns.to_stamp.get_mut(turn as usize & mask) {
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

    /// The same with all frames, of which none is in the queue any more.
    fn complete_all(&mut self) {
        self.turns.clear();
        self.early = false;
        self.first = self.next;
        self.complete();
    }

    /// Gives back what did not get into the queue.
    fn give_up(&mut self) {
        let left = self.left.end.saturating_sub(self.left.start);
        self.left = 0..0;
        self.give_back(left);
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
        self.give_up();
        if let Some(alarm) = &mut self.turns.alarm {
            alarm.unset();
        }
        // SAFETY: They are not used any more.
        let turns = unsafe { ManuallyDrop::take(&mut self.turns) };
        self.pool.keep(turns);
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
                let pool = pool.take::<Turns>()?;
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

    /// Whether the queue's process, if it has one, has nothing in it and no ring to send from, as
    /// one that only receives. If it gets one, it has the queue polled.
    #[inline]
    pub fn has_only_receiver(&self) -> bool {
        match &self.source().xsk {
            None => true,
            Some(xsk) => xsk.next == xsk.given && xsk.left.is_empty() && xsk.pool.has_no_sender(),
        }
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

    /// How many parts of frames were taken from the process and did not get into the queue.
    pub fn left_parts(&self) -> usize {
        self.source().xsk.as_ref().map_or(0, |xsk| xsk.left.len())
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
}
