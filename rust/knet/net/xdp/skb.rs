// SPDX-License-Identifier: GPL-2.0

//! Frames that a program lets the stack have.

use super::{
    super::{napi::RxPoll, RxSkb},
    buff::XdpBuff,
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::page::PAGE_SIZE;

impl RxSkb {
    /// The frame as a packet, without copying (`napi_build_skb`). None if there is no memory.
    #[inline]
    pub fn from_frame(poll: &RxPoll<'_>, frame: XdpBuff<'_, '_>) -> Option<Self> {
        let (start, headroom) = (
            frame.0.raw.data_hard_start,
            (frame.0.raw.data as usize).wrapping_sub(frame.0.raw.data_hard_start as usize),
        );
        let (linear, len, frags) = (frame.linear_len(), frame.len(), frame.frags().len());
        let (metadata, reserves) = (frame.metadata_len(), frame.has_reserves());
        // SAFETY: The frame is in a whole page, with room for a `skb_shared_info` at its end;
        // softirq context.
        let skb = unsafe { bindings::napi_build_skb(start, PAGE_SIZE as u32) };
        let skb = NonNull::new(skb)?;
        // The packet owns the pages from here on.
        frame.forget();
        // SAFETY: A new buffer is ours.
        let mut this = unsafe { Self::from_ptr(skb) };
        let raw = this.raw_mut();
        raw.data = raw.data.wrapping_add(headroom);
        raw.tail = headroom.wrapping_add(linear) as u32;
        raw.len = len as u32;
        raw.data_len = len.wrapping_sub(linear) as u32;
        if frags != 0 {
            raw.truesize = raw
                .truesize
                .wrapping_add(frags.wrapping_mul(PAGE_SIZE) as u32);
            if reserves {
                raw.set_pfmemalloc(1);
            }
        }
        let shared = this.shared_info_mut();
        shared.meta_len = metadata as u8;
        if frags != 0 {
            // The list itself is where it was.
            shared.nr_frags = frags as u8;
            shared.__bindgen_anon_2.destructor_arg = core::ptr::null_mut();
        }
        this.mark_for_recycle();
        this.set_device(poll);
        Some(this)
    }
}
