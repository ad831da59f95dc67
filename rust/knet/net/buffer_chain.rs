// SPDX-License-Identifier: GPL-2.0

//! Chains of receive buffers, for devices that do not merge buffers.

use super::{
    page_pool::{Memory, PoolRef},
    rx_buffer::{Received, RxBuffer},
};
use crate::{
    bindings,
    virtio::{DeviceLength, LengthError, Portable, PushError, Token, Virtqueue},
};
use core::ptr::NonNull;
use kernel::{ffi::c_void, prelude::*};

/// The buffers of one frame where the device cannot merge buffers: a chain of
/// descriptors, long enough for the largest frame.
pub struct BufferChain(KBox<Chain>);

/// # Invariants
///
/// All buffers are of one pool.
struct Chain {
    buffers: KVec<RxBuffer>,
    /// Bytes at the start of the first buffer that are not posted, when it was last
    /// posted: those between header and frame.
    gap: usize,
    /// Bytes that a device can have written since then; none where buffers have changed.
    posted: usize,
}

// SAFETY: A box is its pointer.
unsafe impl Token for BufferChain {
    type Source = PoolRef;

    #[inline]
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        (
            NonNull::from(KBox::leak(self.0)).cast(),
            core::ptr::null_mut(),
        )
    }

    #[inline]
    unsafe fn from_raw(data: NonNull<c_void>, _context: *mut c_void) -> Self {
        // SAFETY: By the caller's promise.
        Self(unsafe { KBox::from_raw(data.cast().as_ptr()) })
    }
}

impl Portable for BufferChain {}

impl BufferChain {
    /// An empty chain with room for `n` buffers.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn with_capacity(n: usize, memory: Memory) -> Result<Self> {
        let flags = match memory {
            Memory::MaySleep => kernel::alloc::flags::GFP_KERNEL,
            Memory::Atomic => kernel::alloc::flags::GFP_ATOMIC,
        };
        let buffers = KVec::with_capacity(n, flags)?;
        Ok(Self(KBox::new(
            Chain {
                buffers,
                gap: 0,
                posted: 0,
            },
            flags,
        )?))
    }

    /// How many buffers it has.
    pub fn len(&self) -> usize {
        self.0.buffers.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.buffers.is_empty()
    }

    /// Adds a buffer at the end. One that there is no room for, or of another pool than
    /// those before, is freed.
    pub fn push(&mut self, buffer: RxBuffer) {
        self.0.posted = 0;
        let first = self.0.buffers.first();
        if first.is_none_or(|first| first.pool() == buffer.pool()) {
            let _ = self.0.buffers.push_within_capacity(buffer);
        }
    }

    /// Frees the first buffer.
    pub fn drop_first(&mut self) {
        self.0.posted = 0;
        let _ = self.0.buffers.remove(0);
    }

    /// Says that the device has written: checks the claimed length, which counts header
    /// and frame, against `least` and `most` and what was posted.
    ///
    /// # Errors
    ///
    /// What is wrong with the length.
    pub fn received(
        &mut self,
        len: DeviceLength,
        least: usize,
        most: usize,
    ) -> Result<ReceivedChain<'_>, LengthError> {
        // Buffers may be taken from here on.
        let (gap, posted) = (self.0.gap, core::mem::take(&mut self.0.posted));
        let len = len.checked(least, most.min(posted))?;
        Ok(ReceivedChain {
            rest: len.wrapping_add(gap),
            len,
            chain: &mut self.0,
        })
    }
}

/// A chain of buffers that the device has filled.
pub struct ReceivedChain<'a> {
    chain: &'a mut Chain,
    len: usize,
    /// Bytes in the buffers that were not taken yet, with the gap.
    rest: usize,
}

impl ReceivedChain<'_> {
    /// How many bytes the device wrote: header and frame.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it wrote none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is in the first buffer: header, gap and (the beginning of) the frame.
    pub fn first(&self) -> &[u8] {
        let Some(first) = self.chain.buffers.first() else {
            return &[];
        };
        let len = self.rest.min(first.capacity());
        first.sync_for_cpu(0, len);
        // SAFETY: The buffer owns at least `len` bytes there.
        unsafe { core::slice::from_raw_parts(first.start(), len) }
    }

    /// What is in each buffer, beginning with the first.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.rest;
        self.chain.buffers.iter().map_while(move |buffer| {
            let len = rest.min(buffer.capacity());
            rest = rest.wrapping_sub(len);
            buffer.sync_for_cpu(0, len);
            // SAFETY: The buffer owns at least `len` bytes there.
            (len != 0).then(|| unsafe { core::slice::from_raw_parts(buffer.start(), len) })
        })
    }

    /// Takes the first buffer off the chain, if there is anything in it.
    pub fn take(&mut self) -> Option<Received> {
        if self.rest == 0 {
            return None;
        }
        let buffer = self.chain.buffers.remove(0).ok()?;
        let len = self.rest.min(buffer.capacity());
        self.rest = self.rest.wrapping_sub(len);
        buffer.sync_for_cpu(0, len);
        Some(Received {
            buffer,
            headroom: 0,
            len: len as u16,
        })
    }
}

impl Virtqueue<BufferChain> {
    /// Posts a chain: `header` bytes at the start of the first buffer as one
    /// descriptor, the rest of it from `gap` on as the next, and the other buffers.
    ///
    /// # Errors
    ///
    /// As [`PushError`]; `EINVAL` if the chain is empty, too long or too small, or its
    /// buffers are not of the queue's pool.
    pub fn post_chain(
        &mut self,
        mut chain: BufferChain,
        header: usize,
        gap: usize,
    ) -> Result<(), PushError<BufferChain>> {
        const MOST: usize = bindings::MAX_SKB_FRAGS + 2;
        // SAFETY: All-zero is a valid `scatterlist`.
        let mut entries: [bindings::scatterlist; MOST] = unsafe { core::mem::zeroed() };
        let n = chain.len().wrapping_add(1);
        let Some(first) = chain.0.buffers.first().filter(|first| {
            n <= MOST
                && (1..=gap).contains(&header)
                && gap < first.capacity()
                // By the type invariant, so are the others.
                && first.pool() == self.source().as_raw()
        }) else {
            return Err(PushError {
                error: EINVAL,
                token: chain,
            });
        };
        let mapped = self.uses_dma();
        first.fill(&mut entries[0], 0, header, mapped);
        first.fill(
            &mut entries[1],
            gap,
            first.capacity().wrapping_sub(gap),
            mapped,
        );
        for (entry, buffer) in entries[2..].iter_mut().zip(chain.0.buffers.iter().skip(1)) {
            buffer.fill(entry, 0, buffer.capacity(), mapped);
        }
        let used = entries.get_mut(..n).unwrap_or_default();
        if let Some(last) = used.last_mut() {
            last.page_link |= crate::virtio::SG_END;
        }
        let all: usize = chain.0.buffers.iter().map(RxBuffer::capacity).sum();
        chain.0.gap = gap.wrapping_sub(header);
        chain.0.posted = all.saturating_sub(chain.0.gap);
        // SAFETY: The chain owns the bytes; the entries are filled as `mapped` says.
        unsafe { self.push_in(used, mapped, chain) }
    }
}
