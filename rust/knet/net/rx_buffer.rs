// SPDX-License-Identifier: GPL-2.0

//! Receive buffers: parts of pages of a page pool.

use super::page_pool::PoolRef;
use crate::{
    bindings, dma,
    virtio::{DeviceLength, LengthError, Portable, PushError, Token, Virtqueue},
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{ffi::c_void, prelude::*};

/// A receive buffer: a part of a page that belongs to a page pool.
///
/// # Invariants
///
/// The value owns one reference to `page`, for the `capacity` bytes at `offset`. The page
/// keeps its pool. Of these bytes, the device had `posted` from `headroom` on, when the
/// buffer was last posted.
///
/// Dropping it gives the memory back to its pool, quickly so in the poll of the pool's
/// queue (`page_pool_put_full_page`).
pub struct RxBuffer {
    pub(super) page: NonNull<bindings::page>,
    pub(super) offset: u16,
    pub(super) capacity: u16,
    pub(super) headroom: u16,
    pub(super) posted: u16,
}

// SAFETY: Memory is not bound to a thread.
unsafe impl Send for RxBuffer {}

// SAFETY: The two words hold all fields.
unsafe impl Token for RxBuffer {
    const CONTEXT: bool = true;

    type Source = PoolRef;

    #[inline]
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        let this = ManuallyDrop::new(self);
        let context = usize::from(this.posted) << 48
            | usize::from(this.headroom) << 32
            | usize::from(this.capacity) << 16
            | usize::from(this.offset);
        (this.page.cast(), context as *mut c_void)
    }

    #[inline]
    unsafe fn from_raw(data: NonNull<c_void>, context: *mut c_void) -> Self {
        let context = context as usize;
        Self {
            page: data.cast(),
            offset: context as u16,
            capacity: (context >> 16) as u16,
            headroom: (context >> 32) as u16,
            posted: (context >> 48) as u16,
        }
    }
}

impl Portable for RxBuffer {}

impl RxBuffer {
    /// How many bytes the buffer has.
    #[inline]
    pub fn capacity(&self) -> usize {
        usize::from(self.capacity)
    }

    #[inline]
    fn descriptor(&self) -> *const bindings::netmem_desc {
        // A page of a pool is described by a `netmem_desc` over the `struct page`.
        self.page.as_ptr().cast()
    }

    #[inline]
    pub(super) fn pool(&self) -> *mut bindings::page_pool {
        // SAFETY: By the type invariant.
        unsafe { (*self.descriptor()).pp.cast() }
    }

    /// Where the bytes are.
    #[inline]
    pub(super) fn start(&self) -> *mut u8 {
        crate::virtio::page_address(self.page.as_ptr()).wrapping_add(usize::from(self.offset))
    }

    /// The parts, without giving up the reference: page, offset.
    #[inline]
    pub(super) fn location(&self) -> (*mut bindings::page, usize) {
        (self.page.as_ptr(), usize::from(self.offset))
    }

    /// Fills one scatter-gather entry with `len` bytes from `skip` on.
    #[inline]
    pub(super) fn fill(
        &self,
        entry: &mut bindings::scatterlist,
        skip: usize,
        len: usize,
        mapped: bool,
    ) {
        let offset = usize::from(self.offset).wrapping_add(skip);
        if mapped {
            // SAFETY: By the type invariant.
            let page = unsafe { (*self.descriptor()).dma_addr };
            entry.dma_address = page.wrapping_add(offset) as u64;
            entry.dma_length = len as u32;
        } else {
            entry.page_link = self.page.as_ptr() as usize;
            entry.offset = offset as u32;
            entry.length = len as u32;
        }
    }

    /// Makes the entry of a table for `len` bytes from `headroom` on, which are posted with
    /// it. None if they are not inside the buffer, or it is not of `pool`.
    #[inline]
    pub(super) fn describe(
        &mut self,
        pool: *mut bindings::page_pool,
        headroom: usize,
        len: usize,
        mapped: bool,
    ) -> Option<bindings::scatterlist> {
        // Another pool's buffer is mapped for another device, or not at all.
        if len == 0 || headroom.saturating_add(len) > self.capacity() || self.pool() != pool {
            return None;
        }
        (self.headroom, self.posted) = (headroom as u16, len as u16);
        // SAFETY: All-zero is a valid `scatterlist`.
        let mut entry: bindings::scatterlist = unsafe { core::mem::zeroed() };
        self.fill(&mut entry, headroom, len, mapped);
        entry.page_link |= crate::virtio::SG_END;
        Some(entry)
    }

    /// Says that the device has written: checks the claimed length against `least` and
    /// what was posted, and hands the memory to the CPU.
    ///
    /// # Errors
    ///
    /// The buffer itself, and what is wrong with the length.
    #[inline]
    pub fn received(
        self,
        len: DeviceLength,
        least: usize,
    ) -> Result<Received, (LengthError, RxBuffer)> {
        let len = match len.checked(least, usize::from(self.posted)) {
            Ok(len) => len,
            Err(error) => return Err((error, self)),
        };
        self.sync_for_cpu(usize::from(self.headroom), len);
        Ok(Received {
            headroom: self.headroom,
            buffer: self,
            len: len as u16,
        })
    }

    /// Makes what the device wrote visible to the CPU, where that is needed.
    #[inline]
    pub(super) fn sync_for_cpu(&self, headroom: usize, len: usize) {
        let pool = self.pool();
        // SAFETY: The pool lives at least as long as its pages; its device too, if
        // it has one.
        unsafe {
            let dev = (*pool).p.dev;
            if !dev.is_null() && dma::needs_sync(dev) {
                let offset = usize::from(self.offset).wrapping_add(headroom);
                bindings::page_pool_dma_sync_for_cpu(
                    pool,
                    self.page.as_ptr(),
                    offset as u32,
                    len as u32,
                );
            }
        }
    }
}

impl Drop for RxBuffer {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::page_pool_put_full_page(self.pool(), self.page.as_ptr(), false) };
    }
}

/// A receive buffer that the device has filled.
///
/// # Invariants
///
/// `headroom + len` is at most the buffer's capacity, and the CPU may read it.
pub struct Received {
    pub(super) buffer: RxBuffer,
    pub(super) headroom: u16,
    pub(super) len: u16,
}

impl Received {
    /// How many bytes the device wrote.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether it wrote none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes are before the data.
    #[inline]
    pub fn headroom(&self) -> usize {
        usize::from(self.headroom)
    }

    /// What the device wrote.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: By the type invariant.
        unsafe {
            core::slice::from_raw_parts(
                self.buffer.start().wrapping_add(self.headroom()),
                self.len(),
            )
        }
    }

    /// The buffer, empty again.
    #[inline]
    pub fn into_buffer(self) -> RxBuffer {
        self.buffer
    }

    /// The buffer, while the data is still of interest.
    #[inline]
    pub(super) fn buffer(&self) -> &RxBuffer {
        &self.buffer
    }
}

impl Virtqueue<RxBuffer> {
    /// Posts the bytes of `buffer` from `headroom` on, `len` of them, in one
    /// descriptor.
    ///
    /// # Errors
    ///
    /// As [`PushError`]; `EINVAL` if the range is not inside the buffer, or the buffer is
    /// not of the queue's pool.
    #[inline]
    pub fn post(
        &mut self,
        mut buffer: RxBuffer,
        headroom: usize,
        len: usize,
    ) -> Result<(), PushError<RxBuffer>> {
        let mapped = self.uses_dma();
        let pool = self.source().as_raw();
        let Some(mut entry) = buffer.describe(pool, headroom, len, mapped) else {
            return Err(PushError {
                error: EINVAL,
                token: buffer,
            });
        };
        // SAFETY: The buffer owns the bytes; the entry is filled as `mapped` says.
        unsafe { self.push_in(core::slice::from_mut(&mut entry), mapped, buffer) }
    }
}
