// SPDX-License-Identifier: GPL-2.0

//! Frames that are kept back for what arrives in pages.
//!
//! What is in a page is copied by the core into the pool's next frame, if a program gives it to
//! the process. So that the process gets its frames in the order in which it gave them, frames
//! are kept back for the pages that are in the queue before others are posted behind these; each
//! is the pool's next one again when its page has arrived. Where frames may be over
//! several chunks, more may be kept for a page than what is in it takes: those left over come out
//! of turn.

use super::{
    chain::Frame,
    rx::{Sources, BATCH},
    RxFrame,
};
use crate::{bindings, virtio::Virtqueue};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Frames, the first to come first.
///
/// # Invariants
///
/// It owns the frames from `first` on. One that the process has given twice may be there twice.
pub(super) struct Reserve {
    frames: KVec<Frame>,
    first: usize,
}

// SAFETY: Memory is not bound to a thread.
unsafe impl Send for Reserve {}

impl Reserve {
    pub(super) const fn new() -> Self {
        Self {
            frames: KVec::new(),
            first: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len().saturating_sub(self.first)
    }

    /// Adds a frame behind the others, or frees it, and is false, if there is no memory.
    ///
    /// # Safety
    ///
    /// The frame is valid, and the caller gives it away.
    unsafe fn push(&mut self, frame: Frame) -> bool {
        if self.first != 0 && self.frames.len() == self.frames.capacity() {
            let len = self.len();
            self.frames.copy_within(self.first.., 0);
            self.frames.truncate(len);
            self.first = 0;
        }
        let is_there = self.frames.push(frame, GFP_NOWAIT).is_ok();
        if !is_there {
            // SAFETY: By the caller's promise.
            unsafe { bindings::xp_free(frame.as_ptr()) };
        }
        is_there
    }

    /// Gives up to `n` frames back to their pool, whose next one is the first of them then.
    pub(super) fn give_back(&mut self, n: usize) {
        let end = self.first.saturating_add(n).min(self.frames.len());
        // The pool gives the last that came first.
        for frame in self
            .frames
            .get(self.first..end)
            .unwrap_or_default()
            .iter()
            .rev()
        {
            // SAFETY: By the type invariant. The queue is in its poll, or paused. What is in
            // the pool already is not freed twice.
            unsafe { bindings::xp_free(frame.as_ptr()) };
        }
        self.first = end;
        if self.len() == 0 {
            self.frames.clear();
            self.first = 0;
        }
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        self.give_back(usize::MAX);
    }
}

impl Sources {
    /// How many frames what is in a page may take.
    fn page_share(&self) -> usize {
        match self.chains {
            Some(_) => self.page_len.div_ceil(self.frame_len.max(1)),
            None => 1,
        }
    }
}

impl Virtqueue<RxFrame> {
    /// Keeps frames back for the pages in the queue; false if there were too few.
    #[inline]
    pub(super) fn keep_for_pages(&mut self) -> bool {
        self.source().pages_posted == 0 || self.keep_frames()
    }

    #[cold]
    fn keep_frames(&mut self) -> bool {
        let source = self.source_mut();
        let most = source.pages_posted.saturating_mul(source.page_share());
        while let Some(missing @ 1..) = most.checked_sub(source.reserve.len()) {
            let want = missing.min(BATCH);
            let mut batch = [core::ptr::null_mut::<bindings::xdp_buff>(); BATCH];
            // SAFETY: The pool is live, we have its part, and there is room for as many.
            let n = unsafe {
                bindings::xp_alloc_batch(source.pool.raw(), batch.as_mut_ptr(), want as u32)
            };
            // They begin with their descriptions.
            let frames = batch.iter().take(n as usize);
            let mut is_short = (n as usize) < want;
            for frame in frames.filter_map(|xdp| NonNull::new(xdp.cast())) {
                // SAFETY: The frame is ours.
                is_short |= !unsafe { source.reserve.push(frame) };
            }
            if is_short {
                return false;
            }
        }
        true
    }

    /// A page is not in the queue any more: the frames for what is in it are the pool's next.
    pub(super) fn page_arrived(&mut self) {
        let source = self.source_mut();
        source.pages_posted = source.pages_posted.saturating_sub(1);
        let n = match source.pages_posted {
            0 => source.reserve.len(),
            _ => source.page_share(),
        };
        source.reserve.give_back(n);
    }
}
