// SPDX-License-Identifier: GPL-2.0

//! Scatter-gather tables, and addresses in the direct map.
//!
//! C header: [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h)

use crate::bindings;
use kernel::page::PAGE_SIZE;

/// A scatter-gather table of up to `N` segments, filled for each packet anew.
pub struct SgTable<const N: usize> {
    pub(super) entries: [bindings::scatterlist; N],
    pub(super) used: usize,
}

// SAFETY: The addresses in it are only numbers until a queue reads them.
unsafe impl<const N: usize> Send for SgTable<N> {}

impl<const N: usize> SgTable<N> {
    /// An empty table.
    pub fn new() -> Self {
        // SAFETY: All-zero is a valid `scatterlist`.
        let entries = unsafe { core::mem::zeroed() };
        Self { entries, used: 0 }
    }

    /// Forgets all segments.
    #[inline]
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Adds `len` bytes at `offset` of `page`; false if the table is full.
    ///
    /// # Safety
    ///
    /// The bytes stay allocated for as long as the token, pushed with them, is in
    /// the queue, and nobody else writes to them meanwhile.
    #[inline]
    pub(crate) unsafe fn push_page(
        &mut self,
        page: *mut bindings::page,
        offset: usize,
        len: usize,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(self.used) else {
            return false;
        };
        // The lowest bits are the chain and end marks; `finish` sets the latter.
        entry.page_link = page as usize;
        entry.offset = offset as u32;
        entry.length = len as u32;
        self.used = self.used.wrapping_add(1);
        true
    }

    /// Adds `len` bytes at a DMA address, for a table all of whose segments are so; false if
    /// the table is full.
    ///
    /// # Safety
    ///
    /// The token that is pushed with the table owns the mapping.
    #[inline]
    pub(crate) unsafe fn push_mapped(&mut self, address: u64, len: usize) -> bool {
        let Some(entry) = self.entries.get_mut(self.used) else {
            return false;
        };
        entry.page_link = 0;
        entry.dma_address = address;
        entry.dma_length = len as u32;
        self.used = self.used.wrapping_add(1);
        true
    }

    /// Has the last segment, which was added by [`Self::push_mapped`], be another.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline]
    pub(crate) unsafe fn set_last(&mut self, address: u64, len: u32) {
        let last = self.used.wrapping_sub(1);
        if let Some(entry) = self.entries.get_mut(last) {
            entry.dma_address = address;
            entry.dma_length = len;
        }
    }

    /// Adds `len` bytes at the kernel address `start` of the direct map, which may
    /// cross pages of one allocation; false if the table is full.
    ///
    /// # Safety
    ///
    /// As for [`Self::push_page`].
    #[inline]
    pub(crate) unsafe fn push_linear(&mut self, start: *const u8, len: usize) -> bool {
        // SAFETY: By the caller's promise.
        unsafe { self.push_page(virt_to_page(start), start as usize & (PAGE_SIZE - 1), len) }
    }

    /// Marks the last segment; false if there is none.
    #[inline]
    pub(super) fn finish(&mut self) -> bool {
        match self
            .used
            .checked_sub(1)
            .and_then(|last| self.entries.get_mut(last))
        {
            Some(entry) => {
                entry.page_link |= SG_END;
                true
            }
            None => false,
        }
    }

    /// How many segments it holds.
    #[inline]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }
}

impl<const N: usize> Default for SgTable<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The end mark in `scatterlist::page_link`.
pub(crate) const SG_END: usize = 2;

/// The page of an address in the direct map (`virt_to_page`).
#[inline]
pub(crate) fn virt_to_page(address: *const u8) -> *mut bindings::page {
    // SAFETY: Both are set once, early in boot.
    let (direct, vmemmap) = unsafe { (bindings::page_offset_base, bindings::vmemmap_base) };
    let pfn = (address as usize).wrapping_sub(direct) / PAGE_SIZE;
    vmemmap.wrapping_add(pfn.wrapping_mul(size_of::<bindings::page>())) as *mut bindings::page
}

/// The address of a page in the direct map (`page_address`).
#[inline]
pub(crate) fn page_address(page: *const bindings::page) -> *mut u8 {
    // SAFETY: As in `virt_to_page`.
    let (direct, vmemmap) = unsafe { (bindings::page_offset_base, bindings::vmemmap_base) };
    let pfn = (page as usize).wrapping_sub(vmemmap) / size_of::<bindings::page>();
    direct.wrapping_add(pfn.wrapping_mul(PAGE_SIZE)) as *mut u8
}

/// The physical address of a page (`page_to_phys`).
#[inline]
pub(crate) fn page_to_phys(page: *const bindings::page) -> u64 {
    // SAFETY: As in `virt_to_page`.
    let vmemmap = unsafe { bindings::vmemmap_base };
    let pfn = (page as usize).wrapping_sub(vmemmap) / size_of::<bindings::page>();
    pfn.wrapping_mul(PAGE_SIZE) as u64
}
