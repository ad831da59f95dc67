// SPDX-License-Identifier: GPL-2.0

//! What a process asks for a frame that it sends, in front of it.
//!
//! C header: [`include/uapi/linux/if_xdp.h`](srctree/include/uapi/linux/if_xdp.h)

use crate::bindings;
use core::ptr::NonNull;
use kernel::ffi::c_void;
use virtio_net_wire::tx::PartialChecksum;

/// The metadata of a frame (`struct xsk_tx_metadata`). The process can write to it at any time.
///
/// # Invariants
///
/// It is in the memory of a live pool, as far as `has_launch` says.
pub(super) struct Metadata {
    raw: NonNull<bindings::xsk_tx_metadata>,
    /// Whether it is so long that there is a launch time; it had none at first.
    has_launch: bool,
}

// SAFETY: The memory is not bound to a thread.
unsafe impl Send for Metadata {}

/// What the driver has of the metadata that there can be.
#[derive(Clone, Copy, Default)]
pub struct XskOffloads {
    /// The device completes checksums.
    pub checksum: bool,
    /// Frames wait for the time when they are to be sent, and it is noted when they were.
    pub times: bool,
}

/// What a process asks for a frame, of what the driver has.
pub(super) struct Request {
    pub(super) checksum: Option<PartialChecksum>,
    /// When it is to be sent, in nanoseconds of TAI.
    pub(super) launch: Option<u64>,
    /// Whether the process wants to know when it was sent.
    pub(super) stamp: bool,
    /// Whether it has asked for something else as well.
    pub(super) is_part: bool,
}

/// Bytes of the shortest metadata: the flags, and a time stamp or a checksum's place.
const LEAST: usize = 16;

impl Metadata {
    /// That of a frame; `None` if it has none (`xsk_buff_get_metadata`).
    ///
    /// # Safety
    ///
    /// The pool is live, longer than the value, and the core has checked the descriptor.
    #[inline]
    pub(super) unsafe fn of(
        pool: *mut bindings::xsk_buff_pool,
        descriptor: &bindings::xdp_desc,
    ) -> Option<Self> {
        if descriptor.options & bindings::XDP_TX_METADATA == 0 {
            return None;
        }
        // SAFETY: By the caller's promise; so there is as much in front of the frame.
        let (start, has_launch) = unsafe {
            let len = usize::from((*pool).tx_metadata_len);
            if len < LEAST {
                return None;
            }
            let has_launch = len >= size_of::<bindings::xsk_tx_metadata>();
            let data = bindings::xp_raw_get_data(pool, descriptor.addr);
            (data.wrapping_byte_sub(len), has_launch)
        };
        NonNull::new(start.cast()).map(|raw| Self { raw, has_launch })
    }

    /// What is asked for a frame of which `len` bytes are together. What the driver has not is
    /// left out, as the core does where an operation is not there; so is a checksum beyond them.
    #[inline]
    pub(super) fn request(&self, len: usize, offloads: XskOffloads) -> Request {
        let raw = self.raw.as_ptr();
        // SAFETY: By the type invariant.
        let (flags, start, offset, launch) = unsafe {
            let request = &raw const (*raw).__bindgen_anon_1.request;
            let launch = &raw const (*request).launch_time;
            (
                u64::from_ne_bytes(read(&raw const (*raw).flags)),
                u16::from_ne_bytes(read(&raw const (*request).csum_start)),
                u16::from_ne_bytes(read(&raw const (*request).csum_offset)),
                if self.has_launch {
                    u64::from_ne_bytes(read(launch))
                } else {
                    0
                },
            )
        };
        let mut allowed = 0;
        if offloads.checksum {
            allowed |= bindings::XDP_TXMD_FLAGS_CHECKSUM;
        }
        if offloads.times {
            allowed |= bindings::XDP_TXMD_FLAGS_TIMESTAMP;
        }
        if offloads.times && self.has_launch {
            allowed |= bindings::XDP_TXMD_FLAGS_LAUNCH_TIME;
        }
        let is_set = |flag: u32| flags & u64::from(allowed) & u64::from(flag) != 0;
        let end = usize::from(start) + usize::from(offset) + size_of::<u16>();
        let checksum = is_set(bindings::XDP_TXMD_FLAGS_CHECKSUM);
        let is_inside = end <= len;
        Request {
            checksum: (checksum && is_inside).then_some(PartialChecksum { start, offset }),
            launch: is_set(bindings::XDP_TXMD_FLAGS_LAUNCH_TIME).then_some(launch),
            stamp: is_set(bindings::XDP_TXMD_FLAGS_TIMESTAMP),
            is_part: flags & !u64::from(allowed) != 0 || checksum && !is_inside,
        }
    }

    /// Tells the process when the frame was sent, in nanoseconds of TAI.
    pub(super) fn stamp(&self, time: u64) {
        let raw = self.raw.as_ptr();
        // SAFETY: By the type invariant.
        unsafe {
            let completion = &raw mut (*raw).__bindgen_anon_1.completion;
            (&raw mut (*completion).tx_timestamp)
                .cast::<[u8; size_of::<u64>()]>()
                .write_volatile(time.to_ne_bytes());
        }
    }
}

/// Reads a number that the process may change at any time, and has wherever it likes.
///
/// # Safety
///
/// `N` bytes from `from` on can be read.
unsafe fn read<T, const N: usize>(from: *const T) -> [u8; N] {
    const { assert!(N == size_of::<T>()) };
    // SAFETY: By the caller's promise.
    unsafe { from.cast::<[u8; N]>().read_volatile() }
}

/// Nanoseconds of TAI.
pub(in super::super) fn now() -> u64 {
    // SAFETY: No preconditions.
    unsafe { kernel::bindings::ktime_get_clocktai() as u64 }
}

/// What netdev netlink tells of a driver that has these.
pub(in super::super) fn operations(
    offloads: XskOffloads,
) -> &'static bindings::xsk_tx_metadata_ops {
    static ALL: [bindings::xsk_tx_metadata_ops; 4] = [
        told(false, false),
        told(true, false),
        told(false, true),
        told(true, true),
    ];
    &ALL[usize::from(offloads.checksum) + 2 * usize::from(offloads.times)]
}

/// That an operation is there is what counts: only drivers would call it, and ours does not.
const fn told(checksum: bool, times: bool) -> bindings::xsk_tx_metadata_ops {
    extern "C" fn ask(_frame: *mut c_void) {}
    extern "C" fn fill(_frame: *mut c_void) -> u64 {
        0
    }
    extern "C" fn ask_checksum(_start: u16, _offset: u16, _frame: *mut c_void) {}
    extern "C" fn ask_launch(_time: u64, _frame: *mut c_void) {}

    let mut ops = bindings::xsk_tx_metadata_ops {
        tmo_request_timestamp: None,
        tmo_fill_timestamp: None,
        tmo_request_checksum: None,
        tmo_request_launch_time: None,
    };
    if checksum {
        ops.tmo_request_checksum = Some(ask_checksum);
    }
    if times {
        ops.tmo_request_timestamp = Some(ask);
        ops.tmo_fill_timestamp = Some(fill);
        ops.tmo_request_launch_time = Some(ask_launch);
    }
    ops
}
