// SPDX-License-Identifier: GPL-2.0

//! What a process asks for a frame that it sends, in front of it.
//!
//! C header: [`include/uapi/linux/if_xdp.h`](srctree/include/uapi/linux/if_xdp.h)

use crate::bindings;
use core::ptr::NonNull;
use virtio_net_wire::tx::PartialChecksum;

/// The metadata of a frame (`struct xsk_tx_metadata`). The process can write to it at any time.
///
/// # Invariants
///
/// It is in the memory of a live pool.
pub(super) struct Metadata(NonNull<bindings::xsk_tx_metadata>);

/// The process asked for what cannot be.
pub(super) struct Refused;

impl Metadata {
    /// That of a frame; `None` if it has none (`xsk_buff_get_metadata`).
    ///
    /// # Safety
    ///
    /// The pool is live, and the core has checked the descriptor.
    #[inline]
    pub(super) unsafe fn of(
        pool: *mut bindings::xsk_buff_pool,
        descriptor: &bindings::xdp_desc,
    ) -> Option<Self> {
        if descriptor.options & bindings::XDP_TX_METADATA == 0 {
            return None;
        }
        // SAFETY: By the caller's promise; so there is as much in front of the frame.
        let start = unsafe {
            let len = usize::from((*pool).tx_metadata_len);
            if len < core::mem::offset_of!(bindings::xsk_tx_metadata, __bindgen_anon_1) + 8 {
                return None;
            }
            bindings::xp_raw_get_data(pool, descriptor.addr).wrapping_byte_sub(len)
        };
        NonNull::new(start.cast()).map(Self)
    }

    /// The checksum that the device is to complete in a frame of which `len` bytes are
    /// together.
    ///
    /// # Errors
    ///
    /// If it is not in them, or something else is asked for that there is not.
    #[inline]
    pub(super) fn checksum(&self, len: usize) -> Result<Option<PartialChecksum>, Refused> {
        let raw = self.0.as_ptr();
        // SAFETY: By the type invariant. Any bits are values of these.
        let (flags, start, offset) = unsafe {
            let request = &raw const (*raw).__bindgen_anon_1.request;
            (
                (&raw const (*raw).flags).read_volatile(),
                (&raw const (*request).csum_start).read_volatile(),
                (&raw const (*request).csum_offset).read_volatile(),
            )
        };
        if flags & !u64::from(bindings::XDP_TXMD_FLAGS_VALID) != 0 {
            return Err(Refused);
        }
        if flags & u64::from(bindings::XDP_TXMD_FLAGS_CHECKSUM) == 0 {
            return Ok(None);
        }
        let end = usize::from(start) + usize::from(offset) + size_of::<u16>();
        if end > len {
            return Err(Refused);
        }
        Ok(Some(PartialChecksum { start, offset }))
    }
}

/// What the device does for processes: it completes checksums.
pub(in super::super) static CHECKSUM: bindings::xsk_tx_metadata_ops =
    bindings::xsk_tx_metadata_ops {
        tmo_request_timestamp: None,
        tmo_fill_timestamp: None,
        tmo_request_checksum: Some(no_call),
        tmo_request_launch_time: None,
    };

/// That it is there is what counts: only drivers would call it, and ours does not.
extern "C" fn no_call(_start: u16, _offset: u16, _frame: *mut kernel::ffi::c_void) {}
