// SPDX-License-Identifier: GPL-2.0

//! Buffers whose packet was copied, for the ring to take again.

use super::Refill;
use crate::stats;
use kernel::prelude::*;
use knet::{
    net::{Memory, Pages, RxBuffer},
    virtio::Virtqueue,
};

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

    /// Fills a ring with buffers of at least `len` bytes, of which `place` says where the device
    /// is to write, and how many bytes.
    #[inline(always)]
    pub(super) fn fill(
        &mut self,
        vq: &mut Virtqueue<RxBuffer>,
        len: usize,
        pages: &mut Pages<'_>,
        memory: Memory,
        stats: &stats::Rx,
        place: impl Fn(&RxBuffer) -> (usize, usize),
    ) -> Refill {
        let mut refill = Refill::Full;
        while vq.free() > 0 {
            let Some(buffer) = self.take(len, pages, memory) else {
                refill = Refill::NoMemory;
                break;
            };
            let (skip, posted) = place(&buffer);
            if let Err(refused) = vq.post(buffer, skip, posted) {
                // It could not be mapped.
                if refused.error == ENOMEM {
                    refill = Refill::NoMemory;
                }
                break;
            }
        }
        if vq.kick() {
            stats.kicks.add(1);
        }
        refill
    }
}
