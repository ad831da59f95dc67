// SPDX-License-Identifier: GPL-2.0

//! Page pools.
//!
//! C header: [`include/net/page_pool/helpers.h`](srctree/include/net/page_pool/helpers.h)

use super::{builder::NetDevice, rx_buffer::RxBuffer};
use crate::{
    bindings, dma,
    virtio::{FoundQueue, Token, Virtqueue},
};
use core::ptr::NonNull;
use kernel::{
    error::{from_err_ptr, to_result},
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
};

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

// Offsets and sizes of buffers are kept in 16 bits.
const _: () = assert!(PAGE_SIZE <= u16::MAX as usize);

/// The C pool, until nothing uses it any more.
///
/// # Invariants
///
/// `pool` is live and registered as memory of XDP frames, and maps its pages if `mapped`.
struct Pool {
    pool: NonNull<bindings::page_pool>,
    mapped: bool,
    params: bindings::page_pool_params,
    /// What the pool's memory is charged to.
    netdev: Arc<NetDevice>,
}

// SAFETY: A pool is not bound to a thread.
unsafe impl Send for Pool {}
// SAFETY: Allocation is serialised by `Pages`.
unsafe impl Sync for Pool {}

impl Pool {
    /// What pages are mapped for, or null.
    fn device(&self) -> *mut bindings::device {
        if !self.mapped {
            return core::ptr::null_mut();
        }
        // SAFETY: By the type invariant; it is never changed.
        unsafe { (*self.pool.as_ptr()).p.dev }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: The pool is live, and registered; pages that are still out keep it until
        // they return.
        unsafe {
            bindings::xdp_unreg_page_pool(self.pool.as_ptr());
            bindings::page_pool_destroy(self.pool.as_ptr());
        }
    }
}

/// A pool of pages for one receive queue, mapped for the device once.
///
/// Its pages are had through [`Pages`], when the pool has its place in a network device.
pub struct PagePool(Arc<Pool>);

/// A page pool as the source of a queue's buffers, which stays with the queue.
pub struct PoolRef {
    raw: *mut bindings::page_pool,
    _pool: Arc<Pool>,
}

// SAFETY: Only the address is used.
unsafe impl Send for PoolRef {}

impl PoolRef {
    #[inline]
    pub(super) fn as_raw(&self) -> *mut bindings::page_pool {
        self.raw
    }

    /// The same for another queue.
    pub(super) fn share(&self) -> Self {
        Self {
            raw: self.raw,
            _pool: self._pool.clone(),
        }
    }

    /// Whether its pages are mapped for what `queue` maps for, or like that for nothing.
    pub(super) fn is_for<T: Token>(&self, queue: &Virtqueue<T>) -> bool {
        self._pool.device() == queue.dma_device()
    }
}

impl<T: Token<Source = PoolRef>> Virtqueue<T> {
    /// Has the buffers come from another pool from here on.
    ///
    /// # Errors
    ///
    /// `EBUSY` while there are any in the queue; `EINVAL` if the pool is another device's.
    pub fn use_source(&mut self, pool: PoolRef) -> Result {
        if !self.is_empty() {
            return Err(EBUSY);
        }
        if !pool.is_for(self) {
            return Err(EINVAL);
        }
        *self.source_mut() = pool;
        Ok(())
    }
}

impl PagePool {
    /// Fixes the type of the tokens that go through `queue`, and makes the pool for
    /// them, charged to `netdev` (`page_pool_create`). The queue takes buffers of this
    /// pool only.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if `T` needs a queue with context and this is not one.
    pub fn new<T: Token<Source = PoolRef>>(
        netdev: &Arc<NetDevice>,
        queue: FoundQueue,
    ) -> Result<(Virtqueue<T>, Self)> {
        let dma_device = queue.dma_device();
        let mapped = !dma_device.is_null();
        let mut params = bindings::page_pool_params::default();
        // SAFETY: These are plain fields of a union-wrapped parameter struct.
        unsafe {
            let fast = params.__bindgen_anon_1.fast.as_mut();
            fast.order = 0;
            fast.pool_size = queue.size() as u32;
            fast.nid = queue.binding().device().node();
            let slow = &mut params.__bindgen_anon_2.slow;
            slow.netdev = netdev.as_raw();
            if mapped {
                fast.dev = dma_device;
                // Programs send what was received.
                fast.dma_dir = bindings::dma_data_direction::DMA_BIDIRECTIONAL;
                fast.max_len = PAGE_SIZE as u32;
                slow.flags = bindings::PP_FLAG_DMA_MAP | bindings::PP_FLAG_DMA_SYNC_DEV;
            }
        }
        let pool = Self::create(params, mapped, netdev)?;
        Ok((queue.with_source(pool.source())?, pool))
    }

    fn create(
        params: bindings::page_pool_params,
        mapped: bool,
        netdev: &Arc<NetDevice>,
    ) -> Result<Self> {
        // SAFETY: The parameters are valid, and copied.
        let raw = from_err_ptr(unsafe { bindings::page_pool_create(&params) })?;
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;
        // SAFETY: The pool is new and ours.
        unsafe {
            to_result(bindings::xdp_reg_page_pool(raw.as_ptr()))
                .inspect_err(|_| bindings::page_pool_destroy(raw.as_ptr()))?;
        }
        let pool = Pool {
            pool: raw,
            mapped,
            params,
            netdev: netdev.clone(),
        };
        Ok(Self(Arc::new(pool, GFP_KERNEL)?))
    }

    /// Another pool for the same queue.
    pub(super) fn another(&self) -> Result<Self> {
        // SAFETY: The parameters are plain data, which C only reads.
        let params = unsafe { core::ptr::read(&self.0.params) };
        Self::create(params, self.0.mapped, &self.0.netdev)
    }

    /// The pool as it is, for who keeps it for a while.
    pub(super) fn share(&self) -> Self {
        Self(self.0.clone())
    }

    /// The pool as the source of a queue's buffers.
    pub(super) fn source(&self) -> PoolRef {
        PoolRef {
            raw: self.as_raw(),
            _pool: self.0.clone(),
        }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::page_pool {
        self.0.pool.as_ptr()
    }

    /// # Safety
    ///
    /// While the value lives, the pool's NAPI instance polls nowhere but here, and this
    /// is the only such value.
    #[inline]
    pub(super) unsafe fn pages(&self) -> Pages<'_> {
        Pages { pool: &self.0 }
    }
}

/// The pages of a queue's pool, in its poll or while it is paused.
///
/// # Invariants
///
/// Nobody else allocates from the pool, or recycles into it by way of its NAPI instance.
pub struct Pages<'a> {
    pool: &'a Pool,
}

impl Pages<'_> {
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
        // SAFETY: The pool is live; allocation is serialised by the type invariant.
        let page = unsafe {
            bindings::page_pool_alloc(
                self.pool.pool.as_ptr(),
                &mut offset,
                &mut capacity,
                memory.flags(),
            )
        };
        Some(RxBuffer {
            page: NonNull::new(page)?,
            offset: offset as u16,
            capacity: capacity as u16,
            headroom: 0,
            posted: 0,
        })
    }

    /// Whether buffers can go back to the device without being told so: the DMA
    /// is coherent and nothing bounces.
    #[inline]
    pub fn is_coherent(&self) -> bool {
        // SAFETY: The pool is live, and so is its device.
        !self.pool.mapped || unsafe { !dma::needs_sync((*self.pool.pool.as_ptr()).p.dev) }
    }
}
