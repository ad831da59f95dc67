// SPDX-License-Identifier: GPL-2.0

//! What programs are told of the receive queue that a frame came by.

use super::super::page_pool::PagePool;
use crate::bindings;
use kernel::{page::PAGE_SIZE, prelude::*, types::Opaque};

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
        let this = Self(Opaque::zeroed());
        // Fragments of frames are in whole pages, which programs can use to the end.
        // SAFETY: By the caller's promise; all-zero is a new structure.
        kernel::error::to_result(unsafe {
            bindings::__xdp_rxq_info_reg(this.0.get(), dev, index as u32, 0, PAGE_SIZE as u32)
        })?;
        this.use_pool(pool);
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
