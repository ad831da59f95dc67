// SPDX-License-Identifier: GPL-2.0

//! Sending frames of a pool.

use super::{
    super::{napi::Poll, skb_tx::MAX_SEGMENTS, TxPacket},
    pool::{Part, Taken},
    XskPool,
};
use crate::{
    bindings,
    virtio::{page_to_phys, virt_to_page, SgTable, Virtqueue},
};
use core::{ops::Range, ptr::NonNull};
use kernel::{page::PAGE_SIZE, prelude::*};
use virtio_net_wire::HeaderLayout;

/// A frame that is in a transmit queue, or was.
pub struct XskSent {
    /// Its turn, counted up from any number.
    turn: u32,
    len: u32,
}

impl XskSent {
    /// Both numbers and a mark in one word.
    pub(in super::super) const MARK: usize = 2;

    #[inline]
    pub(in super::super) fn into_word(self) -> usize {
        // Turns are compared by their lower bits only.
        const { assert!(usize::BITS == 64) };
        (self.turn as usize) << 32 | (self.len as usize) << 2 | Self::MARK
    }

    #[inline]
    pub(in super::super) fn from_word(word: usize) -> Self {
        Self {
            turn: (word >> 32) as u32,
            len: (word as u32) >> 2,
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

/// A header that says nothing, mapped for the device for as long as this is there.
struct Header {
    start: NonNull<[u8; HeaderLayout::MAX_LEN]>,
    address: u64,
    /// Null if the device does without the DMA API.
    device: *mut bindings::device,
}

// SAFETY: The memory is written once, before anybody else has it.
unsafe impl Send for Header {}

impl Header {
    fn new(device: *mut bindings::device) -> Result<Self> {
        if device.is_null() {
            let start = KBox::new([0; HeaderLayout::MAX_LEN], GFP_KERNEL)?;
            let start = NonNull::from(KBox::leak(start));
            let at = start.as_ptr().cast_const().cast::<u8>();
            let offset = at as usize & (PAGE_SIZE - 1);
            let address = page_to_phys(virt_to_page(at)).wrapping_add(offset as u64);
            return Ok(Self {
                start,
                address,
                device,
            });
        }
        let mut address = 0;
        // SAFETY: The device is valid, and its queue has it.
        let start = unsafe {
            bindings::dma_alloc_attrs(
                device,
                HeaderLayout::MAX_LEN,
                &mut address,
                bindings::GFP_KERNEL | bindings::__GFP_ZERO,
                0,
            )
        };
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(ENOMEM)?,
            address,
            device,
        })
    }
}

impl Drop for Header {
    fn drop(&mut self) {
        // SAFETY: The memory came from the one or the other, and no queue has it any more.
        unsafe {
            if self.device.is_null() {
                drop(KBox::from_raw(self.start.as_ptr()));
            } else {
                bindings::dma_free_attrs(
                    self.device,
                    HeaderLayout::MAX_LEN,
                    self.start.as_ptr().cast(),
                    self.address,
                    0,
                );
            }
        }
    }
}

/// The part of a pool that a transmit queue sends from.
///
/// What is in the pool's completion ring is given to the process in the order in which it was
/// taken from it, and devices may send in another: so each frame has its turn, and those that
/// were sent are given back once all before them were.
pub struct XskTx {
    pool: Taken,
    header: Header,
    /// The turns of frames that are in the queue, or were sent before one that is.
    first: u32,
    next: u32,
    /// Of each of them, by the lower bits of its turn, whether it was sent.
    sent: KVec<bool>,
    /// Descriptors that were taken from the process, and did not get into the queue.
    left: Range<u32>,
}

impl XskTx {
    fn new(pool: Taken, size: usize, device: *mut bindings::device) -> Result<Self> {
        let turns = size.max(1).checked_next_power_of_two().ok_or(EINVAL)?;
        Ok(Self {
            pool,
            header: Header::new(device)?,
            first: 0,
            next: 0,
            sent: KVec::from_elem(false, turns, GFP_KERNEL)?,
            left: 0..0,
        })
    }

    #[inline]
    fn slot(&mut self, turn: u32) -> Option<&mut bool> {
        let mask = self.sent.len().wrapping_sub(1);
        self.sent.get_mut(turn as usize & mask)
    }

    /// Gives frames back to the process that were sent, if all before them were
    /// (`xsk_tx_completed`); how many.
    fn complete(&mut self) -> usize {
        let begin = self.first;
        while self.first != self.next && self.slot(self.first).is_some_and(|sent| *sent) {
            self.first = self.first.wrapping_add(1);
        }
        let n = self.first.wrapping_sub(begin);
        self.give_back(n);
        n as usize
    }

    /// The same with all frames, of which none is in the queue any more, and what did not get
    /// there.
    fn complete_all(&mut self) {
        let n = self.next.wrapping_sub(self.first);
        self.first = self.next;
        let left = self.left.end.saturating_sub(self.left.start);
        self.left = 0..0;
        self.give_back(n.saturating_add(left));
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
            if let Some(sent) = xsk.slot(frame.turn) {
                *sent = true;
            }
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

    /// Queues up to `most` frames that the process wants sent, each behind a header of
    /// `header_len` bytes that says nothing; how many. A queue that takes no more of them
    /// keeps the rest for the next time (`xsk_tx_peek_release_desc_batch`).
    pub fn send_pool_frames(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        header_len: usize,
        most: usize,
        _poll: &Poll<'_>,
    ) -> usize {
        let header_len = header_len.min(HeaderLayout::MAX_LEN);
        let Some(xsk) = &mut self.source_mut().xsk else {
            return 0;
        };
        let raw = xsk.pool.raw();
        if xsk.left.is_empty() {
            // Turns in use may not be used again.
            let in_use = xsk.next.wrapping_sub(xsk.first) as usize;
            let most = most.min(xsk.sent.len().saturating_sub(in_use));
            // SAFETY: The pool is live, and we have its part.
            let n = unsafe { bindings::xsk_tx_peek_release_desc_batch(raw, most as u32) };
            xsk.left = 0..n;
        }
        let (needs_sync, device) = (xsk.pool.needs_sync(), xsk.pool.device());
        let (header, left) = (xsk.header.address, xsk.left.clone());
        let (mut turn, mut sent) = (xsk.next, 0u32);
        for index in left.clone() {
            // SAFETY: The core has filled as many descriptors; it has checked that each is in
            // the pool's memory, which is mapped.
            let (address, len) = unsafe {
                let descriptor = *(*raw).tx_descs.add(index as usize);
                let address = bindings::xp_raw_get_dma(raw, descriptor.addr);
                if needs_sync {
                    bindings::__dma_sync_single_for_device(
                        device,
                        address,
                        descriptor.len as usize,
                        bindings::dma_data_direction::DMA_BIDIRECTIONAL,
                    );
                }
                (address, descriptor.len)
            };
            sg.clear();
            // SAFETY: The queue holds the pool and the header for as long as it has frames,
            // and the process has given the frame away.
            let result = unsafe {
                sg.push_mapped(header, header_len);
                sg.push_mapped(address, len as usize);
                self.push_out(sg, true, TxPacket::Xsk(XskSent { turn, len }))
            };
            if result.is_err() {
                break;
            }
            turn = turn.wrapping_add(1);
            sent = sent.wrapping_add(1);
        }
        if let Some(xsk) = &mut self.source_mut().xsk {
            for turn in 0..sent {
                let turn = xsk.next.wrapping_add(turn);
                if let Some(sent) = xsk.slot(turn) {
                    *sent = false;
                }
            }
            xsk.next = turn;
            xsk.left = left.start.wrapping_add(sent)..left.end;
        }
        sent as usize
    }
}
