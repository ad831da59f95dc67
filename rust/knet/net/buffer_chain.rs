// SPDX-License-Identifier: GPL-2.0

//! Chains of receive buffers, for devices that do not merge buffers.

use super::{
    page_pool::Memory,
    rx_buffer::{Received, RxBuffer},
};
use crate::{
    bindings,
    virtio::{PushError, Virtqueue},
};
use kernel::prelude::*;

/// The buffers of one frame where the device cannot merge buffers: a chain of
/// descriptors, long enough for the largest frame.
pub struct BufferChain {
    buffers: KVec<RxBuffer>,
}

impl BufferChain {
    /// An empty chain with room for `n` buffers.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn with_capacity(n: usize, memory: Memory) -> Result<KBox<Self>> {
        let flags = match memory {
            Memory::MaySleep => kernel::alloc::flags::GFP_KERNEL,
            Memory::Atomic => kernel::alloc::flags::GFP_ATOMIC,
        };
        Ok(KBox::new(
            Self {
                buffers: KVec::with_capacity(n, flags)?,
            },
            flags,
        )?)
    }

    /// How many buffers it has.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// Adds a buffer at the end; one that there is no room for is freed.
    pub fn push(&mut self, buffer: RxBuffer) {
        let _ = self.buffers.push_within_capacity(buffer);
    }

    /// Looks at the first `len` bytes of the first buffer, or all of it if it is shorter,
    /// after the device has written; `None` if there is no buffer.
    pub fn first_filled(&self, len: usize) -> Option<&[u8]> {
        let first = self.buffers.first()?;
        let len = len.min(first.capacity());
        first.sync_for_cpu(0, len);
        // SAFETY: The buffer owns at least `len` bytes there.
        Some(unsafe { core::slice::from_raw_parts(first.start(), len) })
    }

    /// Takes the first buffer, with `len` bytes written by the device, or all of it if
    /// it is shorter; `None` if there is no buffer.
    pub fn take_filled(&mut self, len: usize) -> Option<Received> {
        let buffer = self.buffers.remove(0).ok()?;
        let len = len.min(buffer.capacity());
        buffer.sync_for_cpu(0, len);
        Some(Received {
            buffer,
            headroom: 0,
            len: len as u16,
        })
    }
}

impl Virtqueue<KBox<BufferChain>> {
    /// Posts a chain: `header` bytes at the start of the first buffer as one
    /// descriptor, the rest of it from `gap` on as the next, and the other buffers.
    ///
    /// # Errors
    ///
    /// As [`PushError`]; `EINVAL` if the chain is empty, too long or too small.
    pub fn post_chain(
        &mut self,
        chain: KBox<BufferChain>,
        header: usize,
        gap: usize,
    ) -> Result<(), PushError<KBox<BufferChain>>> {
        const MOST: usize = bindings::MAX_SKB_FRAGS + 2;
        // SAFETY: All-zero is a valid `scatterlist`.
        let mut entries: [bindings::scatterlist; MOST] = unsafe { core::mem::zeroed() };
        let Some(first) = chain.buffers.first() else {
            return Err(PushError {
                error: EINVAL,
                token: chain,
            });
        };
        let n = chain.buffers.len().wrapping_add(1);
        if n > MOST || header > gap || gap >= first.capacity() {
            return Err(PushError {
                error: EINVAL,
                token: chain,
            });
        }
        // SAFETY: The pool lives at least as long as its pages.
        let dma_device = unsafe { (*first.pool()).p.dev };
        if dma_device != self.dma_device() {
            // Mapped for another device, if at all.
            return Err(PushError {
                error: EINVAL,
                token: chain,
            });
        }
        let mapped = !dma_device.is_null();
        first.fill(&mut entries[0], 0, header, mapped);
        first.fill(
            &mut entries[1],
            gap,
            first.capacity().wrapping_sub(gap),
            mapped,
        );
        for (entry, buffer) in entries[2..].iter_mut().zip(chain.buffers.iter().skip(1)) {
            buffer.fill(entry, 0, buffer.capacity(), mapped);
        }
        let used = entries.get_mut(..n).unwrap_or_default();
        if let Some(last) = used.last_mut() {
            last.page_link |= crate::virtio::SG_END;
        }
        // SAFETY: The chain owns the bytes; the entries are filled as `mapped` says.
        unsafe { self.push_in(used, mapped, chain) }
    }
}
