// SPDX-License-Identifier: GPL-2.0

//! Frames of a pool that the device fills one after another, for packets that are longer than
//! one.
//!
//! The header is in front of them, in a slot of its own: so each frame is filled from where the
//! process expects it, and nothing has to be moved. What a packet has left of a chain goes back
//! to the pool, and into the next chain.

use super::{
    super::XDP_HEADROOM,
    headers::Headers,
    pool::{Kept, Mapped, Part},
    rx::BATCH,
    tx::MAX_PARTS,
    Filled, RxFrame,
};
use crate::{
    bindings,
    virtio::{Virtqueue, SG_END},
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::prelude::*;

mod arrived;

pub use arrived::ArrivedChain;

/// A frame of a pool.
pub(super) type Frame = NonNull<bindings::xdp_buff_xsk>;

/// What a queue knows of one chain.
///
/// # Invariants
///
/// The first `n` frames are there, and the record owns them.
pub(super) struct Record {
    frames: [Option<Frame>; MAX_PARTS],
    n: usize,
    /// Bytes of the slot that the device has.
    header_len: usize,
    slot: NonNull<u8>,
    address: u64,
    index: u16,
}

/// The records of all chains that can be in a queue at a time.
pub(super) struct Chains {
    records: KVVec<Record>,
    /// The numbers of those that are in no use.
    free: KVVec<u16>,
    /// Keeps their slots.
    slots: Headers,
}

// SAFETY: Memory is not bound to a thread.
unsafe impl Send for Chains {}

/// A chain that is the device's to fill.
///
/// # Invariants
///
/// The record stays as long as the value, and is its own.
pub(super) struct Chain(NonNull<Record>);

impl Chain {
    /// The address of the record, for who puts the chain together again from it.
    #[inline]
    pub(super) fn into_ptr(self) -> NonNull<Record> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// `record` is what [`Self::into_ptr`] gave, once.
    #[inline]
    pub(super) unsafe fn from_ptr(record: NonNull<Record>) -> Self {
        Self(record)
    }

    #[inline]
    fn record(&self) -> &Record {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn frames(&self) -> &[Option<Frame>] {
        let record = self.record();
        record.frames.get(..record.n).unwrap_or_default()
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for frame in self.frames().iter().flatten() {
            // SAFETY: The record owns the frame. Queues are in their poll, or paused. One
            // that the process has given twice is not freed twice.
            unsafe { bindings::xp_free(frame.as_ptr()) };
        }
        // SAFETY: By the type invariant.
        unsafe { self.0.as_mut().n = 0 };
    }
}

impl Kept for Chains {
    fn part(mapped: &Mapped) -> &Part<Self> {
        &mapped.rx
    }
}

impl Chains {
    /// How many there can be in a queue of up to `size` descriptors: the least is a slot and a frame.
    fn most(size: usize) -> usize {
        (size / 2).min(usize::from(u16::MAX))
    }

    /// Whether these are for a queue like that of [`Self::new`].
    pub(super) fn are_for(&self, device: *mut bindings::device, size: usize) -> bool {
        self.slots.are(Self::most(size), device)
    }

    /// For a queue of up to `size` descriptors, whose DMA mappings are for `device`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(device: *mut bindings::device, size: usize) -> Result<Self> {
        let n = Self::most(size);
        let slots = Headers::new(n, device)?;
        let mut records = KVVec::with_capacity(n, GFP_KERNEL)?;
        let mut free = KVVec::with_capacity(n, GFP_KERNEL)?;
        for index in 0..n {
            let (slot, address) = slots.slot(index).ok_or(EINVAL)?;
            let record = Record {
                frames: [None; MAX_PARTS],
                n: 0,
                header_len: 0,
                slot,
                address,
                index: index as u16,
            };
            records.push(record, GFP_KERNEL)?;
            free.push(index as u16, GFP_KERNEL)?;
        }
        Ok(Self {
            records,
            free,
            slots,
        })
    }

    /// A chain of `frames`, of which the first [`MAX_PARTS`] count. None if all are in use.
    ///
    /// # Safety
    ///
    /// The caller gives the frames away, and keeps `self` longer than the chain.
    #[inline]
    unsafe fn take(
        &mut self,
        header_len: usize,
        frames: &[*mut bindings::xdp_buff],
    ) -> Option<Chain> {
        let index = usize::from(self.free.pop()?);
        if index >= self.records.len() {
            return None;
        }
        let mut record = NonNull::new(self.records.as_mut_ptr().wrapping_add(index))?;
        // SAFETY: The record is in bounds, and nobody's.
        let fields = unsafe { record.as_mut() };
        fields.header_len = header_len;
        fields.n = 0;
        for (place, frame) in fields.frames.iter_mut().zip(frames) {
            // They begin with their descriptions.
            *place = NonNull::new(frame.cast());
            fields.n = fields.n.wrapping_add(1);
        }
        // INVARIANT: By the caller's promise.
        Some(Chain(record))
    }

    /// Its chain is not in the queue any more.
    #[inline]
    fn put(&mut self, index: u16) {
        // There is room for all.
        let _ = self.free.push_within_capacity(index);
    }

    /// No chain is in the queue any more.
    pub(super) fn put_all(&mut self) {
        self.free.clear();
        for index in 0..self.records.len() {
            self.put(index as u16);
        }
    }
}

/// Where a frame is filled from.
///
/// # Safety
///
/// The frame is valid.
#[inline]
pub(super) unsafe fn start_of(frame: Frame) -> *mut u8 {
    // SAFETY: By the caller's promise.
    let hard_start = unsafe { (*frame.as_ptr()).xdp.data_hard_start };
    hard_start.wrapping_byte_add(XDP_HEADROOM).cast()
}

/// A table with nothing in it.
fn table() -> [bindings::scatterlist; MAX_PARTS + 1] {
    // SAFETY: All-zero is a valid `scatterlist`.
    unsafe { core::mem::zeroed() }
}

/// Gives frames back to their pool.
///
/// # Safety
///
/// They are the caller's.
#[cold]
unsafe fn free(frames: &[*mut bindings::xdp_buff]) {
    // The pool gives the last that came first.
    for frame in frames.iter().rev().filter(|frame| !frame.is_null()) {
        // SAFETY: By the caller's promise. They begin with their descriptions.
        unsafe { bindings::xp_free(frame.cast()) };
    }
}

impl Virtqueue<RxFrame> {
    /// Posts chains of `most` frames each, as [`Virtqueue::post_frames`] does with single ones.
    #[inline(never)]
    pub(super) fn post_chains(&mut self, most: usize) -> Filled {
        let (raw, header_len) = (self.source().pool.raw(), self.source().header_len);
        let most = most
            .min(MAX_PARTS)
            .min(self.size().saturating_sub(1))
            .max(1);
        let mut entries = table();
        let is_kept = !self.keep_for_pages();
        let (mut frames, mut is_short) = (0usize, is_kept);
        while !is_short {
            let chains = (self.free() / most.wrapping_add(1)).min(BATCH / most);
            if chains == 0 {
                break;
            }
            let want = chains.wrapping_mul(most);
            let mut batch = [core::ptr::null_mut(); BATCH];
            // SAFETY: The pool is live, we have its part, and there is room for as many.
            let n = unsafe { bindings::xp_alloc_batch(raw, batch.as_mut_ptr(), want as u32) };
            is_short = (n as usize) < want;
            for some in batch.get(..n as usize).unwrap_or_default().chunks(most) {
                // SAFETY: The frames are ours. Those that are too few for a chain are the
                // first to come again.
                let is_posted = unsafe {
                    if some.len() == most {
                        self.post_chain(header_len, some, &mut entries)
                    } else {
                        free(some);
                        false
                    }
                };
                if is_posted {
                    frames = frames.wrapping_add(most);
                } else {
                    is_short = true;
                }
            }
        }
        self.ask_for_frames(is_short);
        Filled {
            frames,
            is_short,
            is_kept,
        }
    }

    /// Posts a chain of frames, or frees them.
    ///
    /// # Safety
    ///
    /// The caller gives the frames away.
    #[inline]
    unsafe fn post_chain(
        &mut self,
        header_len: usize,
        frames: &[*mut bindings::xdp_buff],
        entries: &mut [bindings::scatterlist; MAX_PARTS + 1],
    ) -> bool {
        // SAFETY: By the caller's promise; the queue keeps the records.
        let chain = unsafe {
            self.source_mut()
                .chains
                .as_mut()
                .and_then(|chains| chains.take(header_len, frames))
        };
        let Some(chain) = chain else {
            // SAFETY: By the caller's promise.
            unsafe { free(frames) };
            return false;
        };
        let frame_len = self.source().frame_len;
        let record = chain.record();
        let (index, used) = (record.index, record.n.wrapping_add(1));
        let [first, others @ ..] = entries;
        first.dma_address = record.address;
        first.dma_length = record.header_len as u32;
        let mut last = first;
        for (entry, frame) in others.iter_mut().zip(chain.frames().iter().flatten()) {
            last.page_link = 0;
            // SAFETY: The frame is the chain's.
            entry.dma_address = unsafe { (*frame.as_ptr()).dma };
            entry.dma_length = frame_len as u32;
            last = entry;
        }
        last.page_link = SG_END;
        let entries = entries.get_mut(..used).unwrap_or_default();
        // SAFETY: The slot is the chain's, and its frames own the other bytes; the queue holds
        // the pool, which maps them.
        let result = unsafe { self.push_in(entries, true, RxFrame::from(chain)) };
        if let (Err(_), Some(chains)) = (&result, &mut self.source_mut().chains) {
            chains.put(index);
        }
        result.is_ok()
    }
}
