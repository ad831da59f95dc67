// SPDX-License-Identifier: GPL-2.0

//! Page pools.
//!
//! C header: [`include/net/page_pool/helpers.h`](srctree/include/net/page_pool/helpers.h)

use super::{device::Device, ops::Driver, rx_buffer::RxBuffer};
use crate::{
    bindings,
    virtio::{self, Token, Virtqueue},
};
use core::ptr::NonNull;
use kernel::{error::from_err_ptr, page::PAGE_SIZE, prelude::*};

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
        // What the stack keeps behind the data wants to be aligned.
        let size = size.wrapping_add(7) & !7;
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
pub(super) unsafe fn needs_sync(dev: *const bindings::device) -> bool {
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
