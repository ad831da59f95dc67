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

    /// Where the first bytes of the frame are. Like all fields it is read wherever it is: the frames
    /// of some drivers are not aligned.
    #[inline]
    fn data(&self) -> *mut u8 {
        // SAFETY: The frame is ours.
        let data = unsafe { (&raw const (*self.0.as_ptr()).data).read_unaligned() };
        data.cast()
    }

    /// Bytes of the frame in its first buffer.
    #[inline]
    fn linear_len(&self) -> usize {
        // SAFETY: The frame is ours.
        unsafe { (&raw const (*self.0.as_ptr()).len).read_unaligned() as usize }
    }

    /// Bytes free in front of them, behind the frame's description.
    #[inline]
    fn headroom(&self) -> usize {
        // SAFETY: The frame is ours.
        unsafe { (&raw const (*self.0.as_ptr()).headroom).read_unaligned() as usize }
    }

    #[inline]
    fn has_frags(&self) -> bool {
        // SAFETY: The frame is ours.
        let flags = unsafe { (&raw const (*self.0.as_ptr()).flags).read_unaligned() };
        flags & bindings::xdp_buff_flags_XDP_FLAGS_HAS_FRAGS != 0
    }

    /// Whether its memory is of a page pool.
    #[inline]
    fn is_of_pool(&self) -> bool {
        // SAFETY: The frame is ours. A bit field of all bits of a word.
        let kind = unsafe {
            let field = &raw const (*self.0.as_ptr())._bitfield_1;
            field.cast::<u32>().read_unaligned()
        };
        kind == bindings::xdp_mem_type_MEM_TYPE_PAGE_POOL
    }

    /// Where the list of its fragments is, if it has any.
    #[inline]
    fn shared_info(&self) -> Option<*const bindings::skb_shared_info> {
        if !self.has_frags() {
            return None;
        }
        // SAFETY: The frame is ours.
        let size = unsafe { (&raw const (*self.0.as_ptr()).frame_sz).read_unaligned() };
        let start = self
            .data()
            .wrapping_sub(self.headroom())
            .wrapping_sub(size_of::<bindings::xdp_frame>());
        let end = start.wrapping_add(size as usize);
        Some(end.wrapping_sub(bindings::SKB_SHINFO_SIZE).cast())
    }

    /// Its fragments.
    #[inline]
    fn frags(&self) -> impl Iterator<Item = bindings::skb_frag_t> {
        let (first, n) = match self.shared_info() {
            // SAFETY: Such a frame has the list of its fragments there.
            Some(shared) => unsafe {
                let first = (&raw const (*shared).frags).cast::<bindings::skb_frag_t>();
                (first, (&raw const (*shared).nr_frags).read())
            },
            None => (core::ptr::null(), 0),
        };
        // SAFETY: There are so many.
        (0..usize::from(n)).map(move |index| unsafe { first.add(index).read_unaligned() })
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: A plain number, valid with fragments.
        let frags = self.shared_info().map_or(0, |shared| unsafe {
            let sizes = &raw const (*shared).__bindgen_anon_2.__bindgen_anon_1;
            (&raw const (*sizes).xdp_frags_size).read_unaligned()
        });
        self.linear_len().wrapping_add(frags as usize)
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
