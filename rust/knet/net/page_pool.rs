// SPDX-License-Identifier: GPL-2.0

//! Receive buffers from page pools.
//!
//! C header: [`include/net/page_pool/helpers.h`](srctree/include/net/page_pool/helpers.h)

use super::{device::Device, ops::Driver};
use crate::{
    bindings,
    virtio::{self, DeviceLength, LengthError, PushError, Token, Virtqueue},
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{error::from_err_ptr, ffi::c_void, page::PAGE_SIZE, prelude::*};

/// How hard to try for memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// May sleep (`GFP_KERNEL`).
    MaySleep,
    /// Must not (`GFP_ATOMIC`).
    Atomic,
}

impl Memory {
    #[inline]
    fn flags(self) -> bindings::gfp_t {
        match self {
            Self::MaySleep => bindings::GFP_KERNEL,
            Self::Atomic => bindings::GFP_ATOMIC,
        }
    }
}

/// A pool of pages for one receive queue, mapped for the device once.
pub struct PagePool {
    pool: NonNull<bindings::page_pool>,
    /// Whether the pool maps its pages, or the queue must for each buffer.
    mapped: bool,
}

// SAFETY: A pool is not bound to a thread; allocation takes `&mut self`.
unsafe impl Send for PagePool {}

impl PagePool {
    /// Makes a pool for the buffers of `queue`, charged to `netdev`
    /// (`page_pool_create`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EINVAL`.
    pub fn new<T: Token, D: Driver>(
        device: &virtio::Device,
        queue: &Virtqueue<T>,
        netdev: &Device<D>,
    ) -> Result<Self> {
        let dma_device = queue.dma_device();
        let mapped = !dma_device.is_null();
        let mut params = bindings::page_pool_params::default();
        // SAFETY: These are plain fields of a union-wrapped parameter struct.
        unsafe {
            let fast = params.__bindgen_anon_1.fast.as_mut();
            fast.order = 0;
            fast.pool_size = queue.size() as u32;
            fast.nid = device.node();
            let slow = &mut params.__bindgen_anon_2.slow;
            slow.netdev = netdev.as_raw();
            if mapped {
                fast.dev = dma_device;
                fast.dma_dir = bindings::dma_data_direction::DMA_FROM_DEVICE;
                fast.max_len = PAGE_SIZE as u32;
                slow.flags = bindings::PP_FLAG_DMA_MAP | bindings::PP_FLAG_DMA_SYNC_DEV;
            }
        }
        // SAFETY: The parameters are valid, and copied.
        let pool = from_err_ptr(unsafe { bindings::page_pool_create(&params) })?;
        Ok(Self {
            pool: NonNull::new(pool).ok_or(ENOMEM)?,
            mapped,
        })
    }

    pub(super) fn as_raw(&self) -> *mut bindings::page_pool {
        self.pool.as_ptr()
    }

    /// A buffer of at least `size` bytes, at most a page; the rest of a page that
    /// is too small for another buffer is added to it (`page_pool_alloc`).
    #[inline]
    pub fn alloc(&mut self, size: usize, memory: Memory) -> Option<RxBuffer> {
        if size > PAGE_SIZE {
            return None;
        }
        let (mut offset, mut capacity) = (0u32, size as u32);
        // SAFETY: The pool is live, and `&mut self` serialises allocation.
        let page = unsafe {
            bindings::page_pool_alloc(self.as_raw(), &mut offset, &mut capacity, memory.flags())
        };
        Some(RxBuffer {
            page: NonNull::new(page)?,
            offset: offset as u16,
            capacity: capacity as u16,
        })
    }

    /// Whether buffers can go back to the device without being told so: the DMA
    /// is coherent and nothing bounces.
    #[inline]
    pub fn is_coherent(&self) -> bool {
        // SAFETY: The pool is live, and so is its device.
        !self.mapped || unsafe { !needs_sync((*self.as_raw()).p.dev) }
    }
}

/// Whether DMA memory of `dev` must be handed over explicitly (`dma_dev_need_sync`).
///
/// # Safety
///
/// `dev` is valid.
#[inline]
unsafe fn needs_sync(dev: *const bindings::device) -> bool {
    const SKIP: usize = bindings::struct_device_flags_DEV_FLAG_DMA_SKIP_SYNC as usize;
    const BITS: usize = usize::BITS as usize;
    // SAFETY: By the caller's promise; a whole-word read.
    let word = unsafe { (&raw const (*dev).flags[SKIP / BITS]).read_volatile() };
    word & 1 << (SKIP % BITS) == 0 || cfg!(CONFIG_DMA_API_DEBUG)
}

impl Drop for PagePool {
    fn drop(&mut self) {
        // SAFETY: The pool is live; pages that are still out keep it until they return.
        unsafe { bindings::page_pool_destroy(self.as_raw()) };
    }
}

/// A receive buffer: a part of a page that belongs to a page pool.
///
/// # Invariants
///
/// The value owns one reference to `page`, for the `capacity` bytes at `offset`.
pub struct RxBuffer {
    page: NonNull<bindings::page>,
    offset: u16,
    capacity: u16,
}

// SAFETY: Memory is not bound to a thread.
unsafe impl Send for RxBuffer {}

// SAFETY: The two words hold all three fields.
unsafe impl Token for RxBuffer {
    const CONTEXT: bool = true;

    #[inline]
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        let this = ManuallyDrop::new(self);
        let context = usize::from(this.capacity) << 16 | usize::from(this.offset);
        (this.page.cast(), context as *mut c_void)
    }

    #[inline]
    unsafe fn from_raw(data: NonNull<c_void>, context: *mut c_void) -> Self {
        let context = context as usize;
        Self {
            page: data.cast(),
            offset: context as u16,
            capacity: (context >> 16) as u16,
        }
    }
}

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
    fn pool(&self) -> *mut bindings::page_pool {
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
    fn fill(&self, entry: &mut bindings::scatterlist, skip: usize, len: usize, mapped: bool) {
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

    /// Says that the device has written: checks the claimed length against the
    /// `posted` bytes from `headroom` on, and hands the memory to the CPU.
    ///
    /// # Errors
    ///
    /// The buffer itself, and what is wrong with the length.
    #[inline]
    pub fn received(
        self,
        len: DeviceLength,
        least: usize,
        headroom: usize,
        posted: usize,
    ) -> Result<Received, (LengthError, RxBuffer)> {
        let posted = posted.min(self.capacity().saturating_sub(headroom));
        let len = match len.checked(least, posted) {
            Ok(len) => len,
            Err(error) => return Err((error, self)),
        };
        self.sync_for_cpu(headroom, len);
        Ok(Received {
            buffer: self,
            headroom: headroom as u16,
            len: len as u16,
        })
    }

    /// Makes what the device wrote visible to the CPU, where that is needed.
    #[inline]
    fn sync_for_cpu(&self, headroom: usize, len: usize) {
        let pool = self.pool();
        // SAFETY: The pool lives at least as long as its pages; its device too, if
        // it has one.
        unsafe {
            let dev = (*pool).p.dev;
            if !dev.is_null() && needs_sync(dev) {
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

    /// Gives the buffer back from the pool's own NAPI context, the quick way
    /// (`page_pool_put_full_page`).
    #[inline]
    pub fn recycle(self, _poll: &super::Poll<'_>) {
        let this = ManuallyDrop::new(self);
        // SAFETY: By the type invariant; a poll is softirq context.
        unsafe { bindings::page_pool_put_full_page(this.pool(), this.page.as_ptr(), false) };
    }
}

impl Drop for RxBuffer {
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
    buffer: RxBuffer,
    headroom: u16,
    len: u16,
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
    /// As [`PushError`]; `EINVAL` if the range is not inside the buffer.
    #[inline]
    pub fn post(
        &mut self,
        buffer: RxBuffer,
        headroom: usize,
        len: usize,
    ) -> Result<(), PushError<RxBuffer>> {
        if len == 0 || headroom.saturating_add(len) > buffer.capacity() {
            return Err(PushError {
                error: EINVAL,
                token: buffer,
            });
        }
        // SAFETY: The pool lives at least as long as its pages.
        let dma_device = unsafe { (*buffer.pool()).p.dev };
        if dma_device != self.dma_device() {
            // Mapped for another device, if at all.
            return Err(PushError {
                error: EINVAL,
                token: buffer,
            });
        }
        let mapped = !dma_device.is_null();
        // SAFETY: All-zero is a valid `scatterlist`.
        let mut entry: bindings::scatterlist = unsafe { core::mem::zeroed() };
        buffer.fill(&mut entry, headroom, len, mapped);
        entry.page_link |= crate::virtio::SG_END;
        // SAFETY: The buffer owns the bytes; the entry is filled as `mapped` says.
        unsafe { self.push_in(core::slice::from_mut(&mut entry), mapped, buffer) }
    }
}

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
