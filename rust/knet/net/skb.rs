// SPDX-License-Identifier: GPL-2.0

//! Socket buffers.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::Poll;
use crate::{bindings, virtio::Token};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{ffi::c_void, prelude::*};

pub(super) type Headers = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// An owned socket buffer; dropping it frees it as a packet that was lost.
///
/// # Invariants
///
/// The value owns one reference to a valid `sk_buff`, and nobody else changes it.
#[repr(transparent)]
pub struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: A buffer is not bound to a thread.
unsafe impl Send for SkBuff {}

// SAFETY: The pointer is all there is.
unsafe impl Token for SkBuff {
    #[inline]
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        (ManuallyDrop::new(self).0.cast(), core::ptr::null_mut())
    }

    #[inline]
    unsafe fn from_raw(data: NonNull<c_void>, _context: *mut c_void) -> Self {
        Self(data.cast())
    }
}

impl Drop for SkBuff {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe {
            bindings::dev_kfree_skb_any_reason(
                self.as_ptr(),
                bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
            )
        };
    }
}

impl SkBuff {
    /// # Safety
    ///
    /// `skb` is valid and its owner gives it away.
    #[inline]
    pub(super) unsafe fn from_ptr(skb: NonNull<bindings::sk_buff>) -> Self {
        Self(skb)
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Gives up ownership without freeing.
    #[inline]
    pub(super) fn into_ptr(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).as_ptr()
    }

    #[inline]
    pub(super) fn raw(&self) -> &bindings::sk_buff {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn raw_mut(&mut self) -> &mut bindings::sk_buff {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_mut() }
    }

    #[inline]
    pub(super) fn headers(&self) -> &Headers {
        // SAFETY: Both arms of the C union are the same fields.
        unsafe { self.raw().__bindgen_anon_4.headers.as_ref() }
    }

    #[inline]
    pub(super) fn headers_mut(&mut self) -> &mut Headers {
        // SAFETY: Both arms of the C union are the same fields.
        unsafe { self.raw_mut().__bindgen_anon_4.headers.as_mut() }
    }

    #[inline]
    pub(super) fn shared_info_ptr(&self) -> *mut bindings::skb_shared_info {
        let raw = self.raw();
        raw.head.wrapping_add(raw.end as usize).cast()
    }

    #[inline]
    pub(super) fn shared_info(&self) -> &bindings::skb_shared_info {
        // SAFETY: By the type invariant; it follows the buffer's end.
        unsafe { &*self.shared_info_ptr() }
    }

    #[inline]
    pub(super) fn shared_info_mut(&mut self) -> &mut bindings::skb_shared_info {
        // SAFETY: By the type invariant; it follows the buffer's end.
        unsafe { &mut *self.shared_info_ptr() }
    }

    /// Bytes of the packet.
    #[inline]
    pub fn len(&self) -> usize {
        self.raw().len as usize
    }

    /// Whether the packet has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of it that are in the linear part.
    #[inline]
    pub fn linear_len(&self) -> usize {
        self.raw().len.wrapping_sub(self.raw().data_len) as usize
    }

    /// Bytes free after the linear part, as long as there are no fragments.
    #[inline]
    pub fn tailroom(&self) -> usize {
        let raw = self.raw();
        if raw.data_len != 0 {
            0
        } else {
            raw.end.wrapping_sub(raw.tail) as usize
        }
    }

    /// Bytes free in front of the packet.
    #[inline]
    pub fn headroom(&self) -> usize {
        (self.raw().data as usize).wrapping_sub(self.raw().head as usize)
    }

    /// Frees a packet that was sent, in batches (`napi_consume_skb`).
    #[inline]
    pub fn consume(self, poll: &Poll<'_>) {
        // SAFETY: By the type invariant. This is softirq context, which the per-CPU
        // batch needs, or netpoll's any context with its budget of 0.
        unsafe { bindings::napi_consume_skb(self.into_ptr(), poll.budget() as c_int) };
    }
}
