// SPDX-License-Identifier: GPL-2.0

//! Frames on their way to the device, beside the stack's packets.

use super::super::{TxSkb, XskSent, XskTx};
use crate::{
    bindings,
    virtio::{FoundQueue, Portable, Token, Virtqueue},
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{ffi::c_void, prelude::*};
use virtio_net_wire::HeaderLayout;

mod send;

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

    #[inline]
    fn into_ptr(self) -> NonNull<bindings::xdp_frame> {
        ManuallyDrop::new(self).0
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

    /// Offers the next frame to `take`, which gives it back if it does not take it; false if it
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
            Err(back) if back.0 == frame => {
                // It stays with its owner.
                let _ = back.into_ptr();
                false
            }
            // Another one, which was somebody else's to give.
            Err(_) => {
                self.taken = self.taken.wrapping_add(1);
                true
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
