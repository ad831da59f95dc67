// SPDX-License-Identifier: GPL-2.0

//! What stands between memory and a device.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use crate::bindings;

/// Whether DMA memory of `dev` must be handed over explicitly (`dma_dev_need_sync`).
///
/// # Safety
///
/// `dev` is valid.
#[inline]
pub(crate) unsafe fn needs_sync(dev: *const bindings::device) -> bool {
    // SAFETY: By the caller's promise.
    let skips = unsafe { has_flag(dev, bindings::struct_device_flags_DEV_FLAG_DMA_SKIP_SYNC) };
    !skips || cfg!(CONFIG_DMA_API_DEBUG)
}

/// Whether `dev` has memory by physical addresses: no IOMMU gives it others (`use_dma_iommu`), and
/// nothing is copied to where it can be had.
///
/// # Safety
///
/// `dev` is valid.
pub(crate) unsafe fn is_direct(dev: *mut bindings::device) -> bool {
    // SAFETY: By the caller's promise.
    unsafe {
        !has_flag(dev, bindings::struct_device_flags_DEV_FLAG_DMA_IOMMU)
            && !bindings::is_swiotlb_force_bounce(dev)
    }
}

/// # Safety
///
/// `dev` is valid, and `flag` is one of `struct_device_flags`.
#[inline]
unsafe fn has_flag(dev: *const bindings::device, flag: bindings::struct_device_flags) -> bool {
    let (flag, bits) = (flag as usize, usize::BITS as usize);
    // SAFETY: By the caller's promise; a whole-word read.
    let word = unsafe { (&raw const (*dev).flags[flag / bits]).read_volatile() };
    word & 1 << (flag % bits) != 0
}
