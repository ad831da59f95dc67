// SPDX-License-Identifier: GPL-2.0

//! Socket buffers.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::bindings;
use core::{mem::ManuallyDrop, ptr::NonNull};

pub(super) type Headers = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// What a packet that was received, [`super::RxSkb`], and one to be sent,
/// [`super::TxSkb`], have in common. Dropping it frees it as a packet that was lost.
///
/// # Invariants
///
/// The value owns one reference to a valid `sk_buff`, and nobody else changes it.
#[repr(transparent)]
pub struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: A buffer is not bound to a thread.
unsafe impl Send for SkBuff {}

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
    pub(super) fn into_ptr(self) -> NonNull<bindings::sk_buff> {
        ManuallyDrop::new(self).0
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
}
