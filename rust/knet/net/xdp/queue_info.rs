// SPDX-License-Identifier: GPL-2.0

//! What programs are told of the receive queue that a frame came by.

use super::super::page_pool::PagePool;
use crate::bindings;
use kernel::{error::to_result, page::PAGE_SIZE, prelude::*, types::Opaque};

/// A `struct xdp_rxq_info`. It holds no resources: the pool is registered by itself.
pub(in super::super) struct QueueInfo(Opaque<bindings::xdp_rxq_info>);

// SAFETY: Written under the instance lock while the queue does not run, read in its poll.
unsafe impl Send for QueueInfo {}

impl QueueInfo {
    /// For queue `index` of `dev`, whose buffers are of `pool`.
    ///
    /// # Safety
    ///
    /// `dev` is valid, and stays so while the value is used.
    pub(in super::super) unsafe fn new(
        dev: *mut bindings::net_device,
        index: usize,
        pool: &PagePool,
    ) -> Result<Self> {
        // Fragments of frames are in whole pages, which programs can use to the end.
        // SAFETY: By the caller's promise.
        let this = unsafe { Self::register(dev, index, PAGE_SIZE)? };
        this.use_pool(pool);
        Ok(this)
    }

    /// For the same queue with frames of an AF_XDP pool, of which the next begins `step` bytes
    /// behind one, or nowhere, if it is 0.
    ///
    /// # Safety
    ///
    /// As for [`Self::new`].
    pub(in super::super) unsafe fn of_frames(
        dev: *mut bindings::net_device,
        index: usize,
        step: usize,
    ) -> Result<Self> {
        // SAFETY: By the caller's promise; the structure is registered, and this model has no
        // allocator.
        unsafe {
            let this = Self::register(dev, index, step)?;
            to_result(bindings::xdp_rxq_info_reg_mem_model(
                this.0.get(),
                bindings::xdp_mem_type_MEM_TYPE_XSK_BUFF_POOL,
                core::ptr::null_mut(),
            ))?;
            Ok(this)
        }
    }

    /// # Safety
    ///
    /// As for [`Self::new`].
    unsafe fn register(
        dev: *mut bindings::net_device,
        index: usize,
        frag_size: usize,
    ) -> Result<Self> {
        let this = Self(Opaque::zeroed());
        // SAFETY: By the caller's promise; all-zero is a new structure.
        to_result(unsafe {
            bindings::__xdp_rxq_info_reg(this.0.get(), dev, index as u32, 0, frag_size as u32)
        })?;
        Ok(this)
    }

    /// Buffers are of another pool.
    pub(in super::super) fn use_pool(&self, pool: &PagePool) {
        // SAFETY: Both are valid, and the pool is registered.
        unsafe { bindings::xdp_rxq_info_attach_page_pool(self.0.get(), pool.as_raw()) };
    }

    #[inline]
    pub(in super::super) fn as_raw(&self) -> *mut bindings::xdp_rxq_info {
        self.0.get()
    }
}
