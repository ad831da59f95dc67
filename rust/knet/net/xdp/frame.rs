// SPDX-License-Identifier: GPL-2.0

//! Frames on their way to the device, beside the stack's packets.

use super::super::{page_pool::needs_sync, skb_tx::MAX_SEGMENTS, TxHeader, TxSkb, XskSent, XskTx};
use crate::{
    bindings,
    virtio::{FoundQueue, Portable, PushError, SgTable, Token, Virtqueue},
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{ffi::c_void, page::PAGE_SIZE, prelude::*};
use virtio_net_wire::HeaderLayout;

/// A frame that is sent without the stack (`struct xdp_frame`). Dropping it gives its memory
/// back to whoever it is from (`xdp_return_frame`).
pub struct XdpFrame(NonNull<bindings::xdp_frame>);

// SAFETY: A frame is not bound to a processor.
unsafe impl Send for XdpFrame {}

impl XdpFrame {
    /// # Safety
    ///
    /// The frame is valid, and its owner gives it away.
    #[inline]
    pub(in super::super) unsafe fn from_ptr(frame: NonNull<bindings::xdp_frame>) -> Self {
        Self(frame)
    }

    #[inline]
    fn raw(&self) -> &bindings::xdp_frame {
        // SAFETY: The frame is ours.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn has_frags(&self) -> bool {
        self.raw().flags & bindings::xdp_buff_flags_XDP_FLAGS_HAS_FRAGS != 0
    }

    /// Whether its memory is of a page pool.
    #[inline]
    fn is_of_pool(&self) -> bool {
        let raw = self.raw();
        // SAFETY: A bit field of all bits of a word.
        let kind = unsafe { (&raw const raw._bitfield_1).cast::<u32>().read() };
        kind == bindings::xdp_mem_type_MEM_TYPE_PAGE_POOL
    }

    #[inline]
    fn shared_info(&self) -> Option<&bindings::skb_shared_info> {
        if !self.has_frags() {
            return None;
        }
        let raw = self.raw();
        let start = raw
            .data
            .wrapping_byte_sub(raw.headroom as usize)
            .wrapping_byte_sub(size_of::<bindings::xdp_frame>());
        let end = start.wrapping_byte_add(raw.frame_sz as usize);
        // SAFETY: Such a frame has the list of its fragments at its end.
        Some(unsafe { &*end.wrapping_byte_sub(bindings::SKB_SHINFO_SIZE).cast() })
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: A plain number, valid with fragments.
        let frags = self.shared_info().map_or(0, |shared| unsafe {
            shared.__bindgen_anon_2.__bindgen_anon_1.xdp_frags_size
        });
        (self.raw().len as usize).wrapping_add(frags as usize)
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

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
        let page = crate::virtio::virt_to_page(start);
        let offset = start as usize & (PAGE_SIZE - 1);
        let len = header_len.wrapping_add(self.raw().len as usize);
        // SAFETY: The frame owns these bytes of pages of a pool.
        unsafe {
            let mut ok = push_page_of_pool(sg, page, offset, len, dev);
            if let Some(shared) = self.shared_info() {
                for frag in shared.frags.iter().take(usize::from(shared.nr_frags)) {
                    let page = frag.netmem as *mut bindings::page;
                    let (offset, len) = (frag.offset as usize, frag.len as usize);
                    ok = ok && push_page_of_pool(sg, page, offset, len, dev);
                }
            }
            ok
        }
    }

    #[inline]
    fn into_ptr(self) -> NonNull<bindings::xdp_frame> {
        ManuallyDrop::new(self).0
    }
}

/// Where the device finds a part of a page, which is handed to it; None if the page's pool has
/// it mapped for another device than `dev`, or this page does not say.
///
/// # Safety
///
/// The page is of a pool, and the caller owns the bytes.
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
        if (*page).pp_magic & 1 != 0 || (*(*page).pp.cast::<bindings::page_pool>()).p.dev != dev {
            return None;
        }
        let address = ((*page).dma_addr as u64).wrapping_add(offset as u64);
        if needs_sync(dev) {
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
        mapped_by_pool(page, offset, len, dev)
            .is_some_and(|address| sg.push_mapped(address, len))
    }
}

impl Drop for XdpFrame {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The frame was ours.
        unsafe { bindings::xdp_return_frame(self.0.as_ptr()) };
    }
}

/// Frames that another device, or a program, has for this one (`ndo_xdp_xmit`). Those that
/// are not taken stay with who has them.
pub struct XdpFrames<'a> {
    pub(super) frames: &'a [NonNull<bindings::xdp_frame>],
    pub(super) taken: usize,
}

impl XdpFrames<'_> {
    /// How many frames are left.
    pub fn len(&self) -> usize {
        self.frames.len().saturating_sub(self.taken)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Offers the next frame to `take`, which gives back what it does not take; false if it
    /// does, or there is none.
    #[inline]
    pub fn offer(&mut self, take: impl FnOnce(XdpFrame) -> Result<(), XdpFrame>) -> bool {
        let Some(&frame) = self.frames.get(self.taken) else {
            return false;
        };
        match take(XdpFrame(frame)) {
            Ok(()) => {
                self.taken = self.taken.wrapping_add(1);
                true
            }
            Err(frame) => {
                // It stays with its owner.
                let _ = frame.into_ptr();
                false
            }
        }
    }
}

/// What a transmit queue sends.
pub enum TxPacket {
    /// The stack's.
    Skb(TxSkb),
    /// A frame beside the stack.
    Xdp(XdpFrame),
    /// A frame in memory of a process.
    Xsk(XskSent),
}

/// Bytes of the header that most devices have.
const USUAL: usize = HeaderLayout::Mergeable12.len();

/// What marks the address of a frame: both kinds are aligned. Frames of processes have
/// another mark, and no address.
const FRAME: usize = 1;

/// Where a transmit queue has memory from, beside what is in its packets.
pub struct TxSource {
    /// A header that says nothing, for frames that have no room for one.
    blank: KBox<[u8; HeaderLayout::MAX_LEN]>,
    pub(in super::super) xsk: Option<XskTx>,
}

impl Portable for TxPacket {}

// SAFETY: Each word is of one kind, which the marks tell.
unsafe impl Token for TxPacket {
    type Source = TxSource;

    #[inline]
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        match self {
            Self::Skb(skb) => skb.into_raw(),
            Self::Xdp(frame) => (
                frame.into_ptr().cast::<c_void>().map_addr(|at| at | FRAME),
                core::ptr::null_mut(),
            ),
            Self::Xsk(sent) => (
                // SAFETY: It has a mark.
                unsafe { NonNull::new_unchecked(sent.into_word() as *mut c_void) },
                core::ptr::null_mut(),
            ),
        }
    }

    #[inline]
    unsafe fn from_raw(data: NonNull<c_void>, context: *mut c_void) -> Self {
        let at = data.as_ptr() as usize;
        const { assert!(core::mem::align_of::<bindings::xdp_frame>() >= 4) };
        // SAFETY: By the caller's promise, this is what `into_raw` gave away.
        unsafe {
            if at & (FRAME | XskSent::MARK) == 0 {
                Self::Skb(TxSkb::from_raw(data, context))
            } else if at & FRAME == 0 {
                Self::Xsk(XskSent::from_word(at))
            } else {
                Self::Xdp(XdpFrame(NonNull::new_unchecked(
                    data.as_ptr().wrapping_byte_sub(FRAME).cast(),
                )))
            }
        }
    }
}

impl TxPacket {
    /// The queue, for such packets.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn queue(found: FoundQueue) -> Result<Virtqueue<Self>> {
        found.with_source(TxSource {
            blank: KBox::new([0; HeaderLayout::MAX_LEN], GFP_KERNEL)?,
            xsk: None,
        })
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
        let raw = frame.raw();
        let is_usual = header_len == USUAL && place == TxHeader::Joined && !frame.has_frags();
        if is_usual && raw.headroom as usize >= USUAL && raw.data as usize & 1 == 0 {
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
        let raw = frame.raw();
        let start = raw.data.cast::<u8>().wrapping_sub(USUAL);
        let len = USUAL.wrapping_add(raw.len as usize);
        let page = crate::virtio::virt_to_page(start);
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
        let raw = frame.raw();
        let (data, len) = (raw.data.cast::<u8>(), raw.len as usize);
        let joined = place == TxHeader::Joined
            && data as usize & 1 == 0
            && raw.headroom as usize >= header_len;
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
            if let Some(shared) = frame.shared_info() {
                for frag in shared.frags.iter().take(usize::from(shared.nr_frags)) {
                    let at = frag.offset as usize;
                    sg.push_page(
                        (frag.netmem as *mut bindings::page).wrapping_add(at / PAGE_SIZE),
                        at % PAGE_SIZE,
                        frag.len as usize,
                    );
                }
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
