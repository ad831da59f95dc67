// SPDX-License-Identifier: GPL-2.0

//! Headers of frames that lie in memory of processes, where there is no place for them.

use crate::{
    bindings,
    virtio::{page_to_phys, virt_to_page},
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{page::PAGE_SIZE, prelude::*};
use virtio_net_wire::HeaderLayout;

/// Room for a header. None is in two cache lines, or pages.
#[repr(C, align(32))]
#[derive(Clone, Copy)]
struct Slot([u8; HeaderLayout::MAX_LEN]);

/// Headers, all zero at first, mapped for the device for as long as this is there.
pub(super) struct Headers {
    start: NonNull<Slot>,
    len: usize,
    address: u64,
    /// Null if the device does without the DMA API.
    device: *mut bindings::device,
}

// SAFETY: The memory is not bound to a thread, and who has this has it alone.
unsafe impl Send for Headers {}

impl Headers {
    /// Room for `len` of them.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(len: usize, device: *mut bindings::device) -> Result<Self> {
        if device.is_null() {
            let slots = KVec::from_elem(Slot([0; HeaderLayout::MAX_LEN]), len, GFP_KERNEL)?;
            let mut slots = ManuallyDrop::new(slots);
            let start = NonNull::new(slots.as_mut_ptr()).ok_or(ENOMEM)?;
            let at = start.as_ptr().cast_const().cast::<u8>();
            let offset = at as usize & (PAGE_SIZE - 1);
            let address = page_to_phys(virt_to_page(at)).wrapping_add(offset as u64);
            return Ok(Self {
                start,
                len,
                address,
                device,
            });
        }
        let mut address = 0;
        // SAFETY: The device is valid, and its queue has it.
        let start = unsafe {
            bindings::dma_alloc_attrs(
                device,
                len.saturating_mul(size_of::<Slot>()),
                &mut address,
                bindings::GFP_KERNEL | bindings::__GFP_ZERO,
                0,
            )
        };
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(ENOMEM)?,
            len,
            address,
            device,
        })
    }

    /// Whether these are as many, for the same device.
    pub(super) fn are(&self, len: usize, device: *mut bindings::device) -> bool {
        self.len == len && self.device == device
    }

    /// Where the device has the first.
    #[inline]
    pub(super) fn first(&self) -> u64 {
        self.address
    }

    /// Room for one that the device writes: where it is, and where the device has it.
    pub(super) fn slot(&self, index: usize) -> Option<(NonNull<u8>, u64)> {
        if index >= self.len {
            return None;
        }
        let offset = index.wrapping_mul(size_of::<Slot>()) as u64;
        // SAFETY: There are more.
        let slot = unsafe { self.start.add(index) };
        Some((slot.cast(), self.address.wrapping_add(offset)))
    }

    /// Writes one, and tells where the device has it.
    #[inline]
    pub(super) fn write(&mut self, index: usize, header: &[u8]) -> Option<u64> {
        if index >= self.len || header.len() > HeaderLayout::MAX_LEN {
            return None;
        }
        // SAFETY: There are more, all of them ours, and a device that reads one that was
        // given to it sees the old or the new bytes.
        unsafe {
            let slot = self.start.as_ptr().add(index).cast::<u8>();
            slot.copy_from_nonoverlapping(header.as_ptr(), header.len());
        }
        let offset = index.wrapping_mul(size_of::<Slot>());
        Some(self.address.wrapping_add(offset as u64))
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: The memory came from the one or the other, and no queue has it any more.
        unsafe {
            if self.device.is_null() {
                drop(KVec::from_raw_parts(
                    self.start.as_ptr(),
                    self.len,
                    self.len,
                ));
            } else {
                bindings::dma_free_attrs(
                    self.device,
                    self.len.saturating_mul(size_of::<Slot>()),
                    self.start.as_ptr().cast(),
                    self.address,
                    0,
                );
            }
        }
    }
}
