// SPDX-License-Identifier: GPL-2.0

//! Putting a frame together from received buffers, for a program to work on.

use super::{
    super::{
        page_pool::{Memory, Pages},
        rx_buffer::Received,
    },
    buff::{Record, XdpBuff, XdpRoom},
    XDP_HEADROOM,
};
use crate::bindings;
use core::{mem::ManuallyDrop, ptr::copy_nonoverlapping};
use kernel::page::PAGE_SIZE;

/// Where the data of a first page must end, for a list of fragments to have its place.
const END: usize = PAGE_SIZE - bindings::SKB_SHINFO_SIZE;
/// Bytes of a frame that fit in the first page.
const MOST: usize = END - XDP_HEADROOM;

/// A frame that is not complete yet.
pub struct XdpAssembly<'r, 'p> {
    buff: XdpBuff<'r, 'p>,
    /// Bytes of the frame behind `END`, which must go into a fragment before there is a list
    /// of them.
    overhang: usize,
}

impl<'p> XdpRoom<'p> {
    /// Begins with what was received, from `skip` on, of which the device has said `record`.
    /// It is not copied if it is in a whole page and has headroom, as programs want it. None
    /// if there is no memory.
    #[inline]
    pub fn begin<'r>(
        &'r mut self,
        received: Received,
        skip: usize,
        record: &Record,
        pages: &mut Pages<'_>,
    ) -> Option<XdpAssembly<'r, 'p>> {
        let headroom = received.headroom().wrapping_add(skip);
        let len = received.len().checked_sub(skip)?;
        let is_whole = received.buffer().capacity() == PAGE_SIZE;
        if !is_whole || !(XDP_HEADROOM..=END).contains(&headroom) {
            return self.copy(received.data().get(skip..)?, record, pages);
        }
        let overhang = headroom.wrapping_add(len).saturating_sub(END);
        let buffer = ManuallyDrop::new(received.into_buffer());
        self.record = *record;
        // SAFETY: The buffer is the whole page, which is ours now. What hangs over is not
        // counted as the frame's yet.
        let buff =
            unsafe { self.take_page(buffer.location().0, headroom, len.wrapping_sub(overhang)) };
        Some(XdpAssembly { buff, overhang })
    }

    /// Begins with a copy of `bytes`. None if there is no memory.
    pub fn copy<'r>(
        &'r mut self,
        bytes: &[u8],
        record: &Record,
        pages: &mut Pages<'_>,
    ) -> Option<XdpAssembly<'r, 'p>> {
        let buffer = pages.alloc(PAGE_SIZE, Memory::Atomic)?;
        if buffer.capacity() != PAGE_SIZE {
            return None;
        }
        self.record = *record;
        let (first, rest) = bytes.split_at(bytes.len().min(MOST));
        let buffer = ManuallyDrop::new(buffer);
        // SAFETY: The whole page is ours, and new. There is room by the choice of `first`.
        let buff = unsafe {
            copy_nonoverlapping(
                first.as_ptr(),
                buffer.start().wrapping_add(XDP_HEADROOM),
                first.len(),
            );
            self.take_page(buffer.location().0, XDP_HEADROOM, first.len())
        };
        let mut this = XdpAssembly { buff, overhang: 0 };
        this.append_copy(rest, pages).then_some(this)
    }

    /// # Safety
    ///
    /// The caller gives away a whole page of a pool. `headroom + len` is at most `END`.
    #[inline]
    unsafe fn take_page<'r>(
        &'r mut self,
        page: *mut bindings::page,
        headroom: usize,
        len: usize,
    ) -> XdpBuff<'r, 'p> {
        let start = crate::virtio::page_address(page).cast();
        let raw = &mut self.raw;
        raw.data_hard_start = start;
        raw.data = start.wrapping_byte_add(headroom);
        raw.data_meta = raw.data;
        raw.data_end = raw.data.wrapping_byte_add(len);
        raw.__bindgen_anon_1.frame_sz_flags_init = PAGE_SIZE as u64;
        self.page = page;
        self.copies = false;
        XdpBuff(self)
    }
}

impl<'r, 'p> XdpAssembly<'r, 'p> {
    /// Is told how many buffers the frame has, the first included: more than there can be
    /// fragments, if they are shorter than programs want them.
    pub fn has_buffers(&mut self, buffers: u16) {
        self.buff.0.copies |= usize::from(buffers) > bindings::MAX_SKB_FRAGS + 1;
    }

    /// What is behind `END`.
    fn overhanging(&self) -> *const u8 {
        self.buff.0.raw.data_end.cast()
    }

    /// Appends a received buffer, without copying it if it is in a whole page and none was copied
    /// before. False if there is no memory, or the frame is too long for a list of fragments.
    pub fn append(&mut self, received: Received, pages: &mut Pages<'_>) -> bool {
        let overhang = self.overhang;
        let before = received.headroom().checked_sub(overhang);
        let is_whole = received.buffer().capacity() == PAGE_SIZE;
        let (true, Some(start)) = (is_whole && !self.buff.0.copies, before) else {
            return self.settle(pages) && self.append_copy(received.data(), pages);
        };
        let len = received.len().wrapping_add(overhang);
        // SAFETY: What hangs over is in the first page, and fits in front of the data of the
        // other, whose page is ours.
        unsafe {
            copy_nonoverlapping(
                self.overhanging(),
                received.buffer().start().wrapping_add(start),
                overhang,
            )
        };
        self.overhang = 0;
        let buffer = ManuallyDrop::new(received.into_buffer());
        // SAFETY: The page is whole and ours, and has these bytes.
        if unsafe { self.push_page(buffer.location().0, start, len) } {
            return true;
        }
        drop(ManuallyDrop::into_inner(buffer));
        false
    }

    /// Moves what hangs over into a fragment.
    fn settle(&mut self, pages: &mut Pages<'_>) -> bool {
        let len = core::mem::take(&mut self.overhang);
        // The list of fragments will be in the same place.
        let mut bytes = [0; bindings::SKB_SHINFO_SIZE];
        let Some(bytes) = bytes.get_mut(..len) else {
            return false;
        };
        // SAFETY: The bytes are in the first page.
        unsafe { copy_nonoverlapping(self.overhanging(), bytes.as_mut_ptr(), len) };
        self.append_copy(bytes, pages)
    }

    /// Appends a copy of `bytes`. False as in [`Self::append`].
    pub fn append_copy(&mut self, bytes: &[u8], pages: &mut Pages<'_>) -> bool {
        if self.overhang != 0 && !self.settle(pages) {
            return false;
        }
        self.buff.0.copies = true;
        let mut rest = self.fill_last(bytes);
        while !rest.is_empty() {
            let Some(buffer) = pages.alloc(PAGE_SIZE, Memory::Atomic) else {
                return false;
            };
            let (some, others) = rest.split_at(rest.len().min(buffer.capacity()));
            // SAFETY: There is room, and the memory is new.
            unsafe { copy_nonoverlapping(some.as_ptr(), buffer.start(), some.len()) };
            let buffer = ManuallyDrop::new(buffer);
            // SAFETY: The page is whole and ours, and has these bytes.
            if !unsafe { self.push_page(buffer.location().0, 0, some.len()) } {
                drop(ManuallyDrop::into_inner(buffer));
                return false;
            }
            rest = others;
        }
        true
    }

    /// Copies what fits into the first page; returns the rest.
    fn fill_first<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let raw = &mut self.buff.0.raw;
        let end = (raw.data_end as usize).wrapping_sub(raw.data_hard_start as usize);
        let room = END.saturating_sub(end);
        let (some, rest) = bytes.split_at(bytes.len().min(room));
        // SAFETY: The page is whole and ours, and has the room.
        unsafe { copy_nonoverlapping(some.as_ptr(), raw.data_end.cast(), some.len()) };
        raw.data_end = raw.data_end.wrapping_byte_add(some.len());
        rest
    }

    /// Copies what fits into the page of the last fragment; returns the rest.
    fn fill_last<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if !self.buff.has_frags() {
            return self.fill_first(bytes);
        }
        // SAFETY: By the invariant of the frame, the list is valid.
        let shared = unsafe { &mut *self.buff.shared_info() };
        let n = usize::from(shared.nr_frags).wrapping_sub(1);
        let Some(last) = shared.frags.get_mut(n) else {
            return bytes;
        };
        let end = last.offset.wrapping_add(last.len) as usize;
        let room = PAGE_SIZE.saturating_sub(end);
        let (some, rest) = bytes.split_at(bytes.len().min(room));
        let start = crate::virtio::page_address(last.netmem as *const bindings::page);
        // SAFETY: The page is whole and ours.
        unsafe {
            copy_nonoverlapping(some.as_ptr(), start.wrapping_add(end), some.len());
            last.len = last.len.wrapping_add(some.len() as u32);
            let sizes = &mut shared.__bindgen_anon_2.__bindgen_anon_1;
            sizes.xdp_frags_size = sizes.xdp_frags_size.wrapping_add(some.len() as u32);
        }
        rest
    }

    /// Adds a fragment; false if there are too many.
    ///
    /// # Safety
    ///
    /// If it is true, the caller gives away a whole page of a pool, with `len` bytes at
    /// `offset`.
    unsafe fn push_page(&mut self, page: *mut bindings::page, offset: usize, len: usize) -> bool {
        let is_first = !self.buff.has_frags();
        // SAFETY: There is room for the list, as nothing hangs over. It is plain data.
        let shared = unsafe { &mut *self.buff.shared_info() };
        // SAFETY: Plain numbers.
        let sizes = unsafe { &mut shared.__bindgen_anon_2.__bindgen_anon_1 };
        if is_first {
            shared.nr_frags = 0;
            sizes.xdp_frags_size = 0;
            sizes.xdp_frags_truesize = 0;
        }
        let Some(frag) = shared.frags.get_mut(usize::from(shared.nr_frags)) else {
            return false;
        };
        frag.netmem = page as usize;
        frag.offset = offset as u32;
        frag.len = len as u32;
        shared.nr_frags = shared.nr_frags.wrapping_add(1);
        sizes.xdp_frags_size = sizes.xdp_frags_size.wrapping_add(len as u32);
        sizes.xdp_frags_truesize = sizes.xdp_frags_truesize.wrapping_add(PAGE_SIZE as u32);
        let mut flags = bindings::xdp_buff_flags_XDP_FLAGS_HAS_FRAGS;
        // SAFETY: The page is valid.
        if unsafe { bindings::page_is_pfmemalloc(page) } || self.buff.has_reserves() {
            flags |= bindings::xdp_buff_flags_XDP_FLAGS_FRAGS_PF_MEMALLOC;
        }
        self.buff.set_flags(flags);
        true
    }

    /// The whole frame. None if there is no memory, or it is in several pages and the program
    /// cannot work on such.
    #[inline]
    pub fn finish(mut self, pages: &mut Pages<'_>) -> Option<XdpBuff<'r, 'p>> {
        if self.overhang != 0 && !self.settle(pages) {
            return None;
        }
        if self.buff.has_frags() && !self.buff.0.program.has_frags() {
            return None;
        }
        let room = &mut *self.buff.0;
        room.came = room.raw.data;
        Some(self.buff)
    }
}
