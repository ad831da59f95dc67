// SPDX-License-Identifier: GPL-2.0

//! How a frame goes to the device: with the mapping that its pool has for it, or mapped by the
//! queue.

use super::{
    super::super::{skb_tx::MAX_SEGMENTS, TxHeader},
    TxPacket, XdpFrame,
};
use crate::{
    bindings, dma,
    virtio::{virt_to_page, PushError, SgTable, Virtqueue},
};
use kernel::page::PAGE_SIZE;
use virtio_net_wire::HeaderLayout;

/// Bytes of the header that most devices have.
const USUAL: usize = HeaderLayout::Mergeable12.len();

impl XdpFrame {
    /// Adds the frame to `sg` by the mappings of its pages, with `header_len` bytes in front of
    /// it, which begin at `start`. False, if not all of them are mapped for `dev`, both ways.
    ///
    /// # Safety
    ///
    /// The header is in the frame's headroom, and the frame owns what goes to the device.
    #[inline]
    unsafe fn push_mapped<const N: usize>(
        &self,
        sg: &mut SgTable<N>,
        start: *const u8,
        header_len: usize,
        dev: *mut bindings::device,
    ) -> bool {
        if !self.is_of_pool() {
            return false;
        }
        let page = virt_to_page(start);
        let offset = start as usize & (PAGE_SIZE - 1);
        let len = header_len.wrapping_add(self.linear_len());
        // SAFETY: The frame owns these bytes of pages of a pool.
        unsafe {
            let mut ok = push_page_of_pool(sg, page, offset, len, dev);
            for frag in self.frags() {
                let page = frag.netmem as *mut bindings::page;
                let (offset, len) = (frag.offset as usize, frag.len as usize);
                ok = ok && push_page_of_pool(sg, page, offset, len, dev);
            }
            ok
        }
    }
}

/// Where the device finds a part of a page, which is handed to it; None if the page's pool has
/// it mapped for another device than `dev`, or not for much longer, or this page does not say.
///
/// # Safety
///
/// The page is of a pool, and the caller owns the bytes. An RCU read side, or something else
/// that keeps `synchronize_net` from ending.
#[inline(always)]
unsafe fn mapped_by_pool(
    page: *mut bindings::page,
    offset: usize,
    len: usize,
    dev: *mut bindings::device,
) -> Option<u64> {
    let page = page.cast::<bindings::netmem_desc>();
    // SAFETY: A page of a pool is described by a `netmem_desc` over the `struct page`, and
    // keeps the pool; of a larger one only the first is, and the others have the lowest bit of
    // this word set. Pools for our own device are ours, and map both ways.
    unsafe {
        if (*page).pp_magic & 1 != 0 {
            return None;
        }
        let params = &raw const (*(*page).pp.cast::<bindings::page_pool>()).p;
        // A pool that is about to end, whose pages lose their mappings, has none.
        let napi = (&raw const (*params).napi).read_volatile();
        if (*params).dev != dev || napi.is_null() {
            return None;
        }
        let address = ((*page).dma_addr as u64).wrapping_add(offset as u64);
        if dma::needs_sync(dev) {
            bindings::__dma_sync_single_for_device(
                dev,
                address,
                len,
                bindings::dma_data_direction::DMA_BIDIRECTIONAL,
            );
        }
        Some(address)
    }
}

/// Adds that to a table; false if there is nothing, or no room.
///
/// # Safety
///
/// As for [`mapped_by_pool`]; who gets the table pushed owns the bytes.
#[inline]
unsafe fn push_page_of_pool<const N: usize>(
    sg: &mut SgTable<N>,
    page: *mut bindings::page,
    offset: usize,
    len: usize,
    dev: *mut bindings::device,
) -> bool {
    // SAFETY: By the caller's promise.
    unsafe {
        mapped_by_pool(page, offset, len, dev).is_some_and(|address| sg.push_mapped(address, len))
    }
}

impl Virtqueue<TxPacket> {
    /// Queues a frame behind a virtio header of `header_len` bytes that says nothing.
    ///
    /// # Errors
    ///
    /// The frame, if the ring is full, the device broken, or its memory cannot be mapped.
    #[inline(always)]
    pub fn send_frame(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        frame: XdpFrame,
        header_len: usize,
        place: TxHeader,
    ) -> Result<(), XdpFrame> {
        let is_usual = header_len == USUAL && place == TxHeader::Joined && !frame.has_frags();
        if is_usual && frame.headroom() >= USUAL && frame.data() as usize & 1 == 0 {
            // SAFETY: There is room in front.
            unsafe { self.send_behind_usual(sg, frame) }
        } else {
            self.send_any_frame(sg, frame, header_len, place)
        }
    }

    /// The same with a frame in one buffer, and the usual header in the same.
    ///
    /// # Safety
    ///
    /// The frame has no fragments, and the headroom.
    #[inline(always)]
    unsafe fn send_behind_usual(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        frame: XdpFrame,
    ) -> Result<(), XdpFrame> {
        let start = frame.data().wrapping_sub(USUAL);
        let len = USUAL.wrapping_add(frame.linear_len());
        let page = virt_to_page(start);
        let offset = start as usize & (PAGE_SIZE - 1);
        // SAFETY: The frame owns all these bytes, its headroom among them, and the queue gets
        // the frame, and with it the mapping of its page.
        unsafe {
            start.cast::<[u8; USUAL]>().write([0; USUAL]);
            if self.uses_dma() && frame.is_of_pool() {
                if let Some(address) = mapped_by_pool(page, offset, len, self.dma_device()) {
                    sg.clear();
                    sg.push_mapped(address, len);
                    return Self::refused(self.push_out(sg, true, TxPacket::Xdp(frame)));
                }
            }
            sg.clear();
            sg.push_page(page, offset, len);
            Self::refused(self.push_out(sg, false, TxPacket::Xdp(frame)))
        }
    }

    #[inline(never)]
    fn send_any_frame(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        frame: XdpFrame,
        header_len: usize,
        place: TxHeader,
    ) -> Result<(), XdpFrame> {
        let header_len = header_len.min(HeaderLayout::MAX_LEN);
        let (data, len) = (frame.data(), frame.linear_len());
        let joined =
            place == TxHeader::Joined && data as usize & 1 == 0 && frame.headroom() >= header_len;
        sg.clear();
        // SAFETY: The frame owns all these bytes, its headroom among them, and the queue
        // gets the frame, and with it the mappings of its pages; the queue has the blank
        // header as long as it is.
        unsafe {
            if joined {
                let start = data.wrapping_sub(header_len);
                start.write_bytes(0, header_len);
                if self.uses_dma() {
                    if frame.push_mapped(sg, start, header_len, self.dma_device()) {
                        return Self::refused(self.push_out(sg, true, TxPacket::Xdp(frame)));
                    }
                    sg.clear();
                }
                sg.push_linear(start, header_len.wrapping_add(len));
            } else {
                sg.push_linear(self.source().blank.as_ptr(), header_len);
                sg.push_linear(data, len);
            }
            for frag in frame.frags() {
                let at = frag.offset as usize;
                sg.push_page(
                    (frag.netmem as *mut bindings::page).wrapping_add(at / PAGE_SIZE),
                    at % PAGE_SIZE,
                    frag.len as usize,
                );
            }
            Self::refused(self.push_out(sg, false, TxPacket::Xdp(frame)))
        }
    }

    /// The frame that a queue did not take.
    #[inline]
    fn refused(result: Result<(), PushError<TxPacket>>) -> Result<(), XdpFrame> {
        match result {
            Err(PushError {
                token: TxPacket::Xdp(frame),
                ..
            }) => Err(frame),
            _ => Ok(()),
        }
    }
}
