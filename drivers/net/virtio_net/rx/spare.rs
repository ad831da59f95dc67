// SPDX-License-Identifier: GPL-2.0

//! Buffers whose packet was copied, for the ring to take again.

use kernel::prelude::*;
use knet::net::{Memory, Pages, RxBuffer};

/// A few buffers on their way back into the ring, which saves the page pool's work.
pub(super) struct Spare {
    buffers: KVec<RxBuffer>,
}

/// As many as a poll can receive.
const MOST: usize = 64;

impl Spare {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            buffers: KVec::with_capacity(MOST, GFP_KERNEL)?,
        })
    }

    /// Keeps a buffer, or gives it to its pool if there are enough, or if the pool
    /// must hand it to the device (`coherent` is [`Pages::is_coherent`]).
    #[inline]
    pub(super) fn put(&mut self, buffer: RxBuffer, coherent: bool) {
        if coherent && self.buffers.len() < MOST {
            // There is room, so nothing is allocated.
            let _ = self.buffers.push_within_capacity(buffer);
        }
    }

    /// Gives all of them to their pool.
    pub(super) fn clear(&mut self) {
        self.buffers.clear();
    }

    /// A buffer of at least `len` bytes, from here or from the pool.
    #[inline]
    pub(super) fn take(
        &mut self,
        len: usize,
        pages: &mut Pages<'_>,
        memory: Memory,
    ) -> Option<RxBuffer> {
        match self.buffers.pop() {
            Some(buffer) if buffer.capacity() >= len => Some(buffer),
            _ => pages.alloc(len, memory),
        }
    }
}
