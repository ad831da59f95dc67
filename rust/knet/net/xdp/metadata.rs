// SPDX-License-Identifier: GPL-2.0

//! What programs can ask of a frame, beside its bytes.
//!
//! C header: [`include/net/xdp.h`](srctree/include/net/xdp.h)

use super::{
    super::xsk::now,
    buff::{Record, XdpRoom},
};
use crate::bindings;
use core::mem::offset_of;
use kernel::prelude::*;
use virtio_net_wire::rss::{Hash, Transport};

/// The functions for a device that reports hashes, or not, and time stamps, or not.
pub(super) fn operations(hash: bool, time: bool) -> &'static bindings::xdp_metadata_ops {
    static ALL: [bindings::xdp_metadata_ops; 4] = [
        functions(false, false),
        functions(true, false),
        functions(false, true),
        functions(true, true),
    ];
    &ALL[usize::from(hash) + 2 * usize::from(time)]
}

const fn functions(hash: bool, time: bool) -> bindings::xdp_metadata_ops {
    let mut ops = bindings::xdp_metadata_ops {
        xmo_rx_timestamp: None,
        xmo_rx_hash: None,
        xmo_rx_vlan_tag: None,
    };
    if hash {
        ops.xmo_rx_hash = Some(rx_hash);
    }
    if time {
        ops.xmo_rx_timestamp = Some(rx_timestamp);
    }
    ops
}

/// The time in nanoseconds of TAI, at which software has the frame.
///
/// # Safety
///
/// A program that runs on a frame calls this, with a valid place for the result.
unsafe extern "C" fn rx_timestamp(_frame: *const bindings::xdp_md, time: *mut u64) -> c_int {
    // SAFETY: By the caller's promise.
    unsafe { *time = now() };
    0
}

/// How both kinds of frames begin: those in pages, and those of AF_XDP pools.
#[repr(C)]
struct Described {
    _raw: bindings::xdp_buff,
    record: Record,
}

const _: () = {
    assert!(offset_of!(Described, record) == offset_of!(XdpRoom<'_>, record));
    assert!(offset_of!(Described, record) == offset_of!(bindings::xdp_buff_xsk, cb));
    assert!(offset_of!(bindings::xdp_buff_xsk, xdp) == 0);
};

/// The hash that came with the frame, and which headers it covers; `ENODATA` if none did.
///
/// # Safety
///
/// A program that runs on a frame calls this, with valid places for the results.
unsafe extern "C" fn rx_hash(
    frame: *const bindings::xdp_md,
    hash: *mut u32,
    kind: *mut bindings::xdp_rss_hash_type,
) -> c_int {
    // SAFETY: Programs that are bound to our device run in `run` only, on a frame that is so
    // described.
    let record = unsafe { &(*frame.cast::<Described>()).record };
    let Some(report) = Hash::decode(record) else {
        return ENODATA.to_errno();
    };
    // SAFETY: By the caller's promise.
    unsafe {
        *hash = report.value;
        *kind = kind_of(&report);
    }
    0
}

fn kind_of(hash: &Hash) -> bindings::xdp_rss_hash_type {
    let network = if hash.ipv6 {
        bindings::xdp_rss_hash_type_XDP_RSS_L3_IPV6
    } else {
        bindings::xdp_rss_hash_type_XDP_RSS_L3_IPV4
    };
    let extension = if hash.extension {
        bindings::xdp_rss_hash_type_XDP_RSS_L3_DYNHDR
    } else {
        0
    };
    let transport = match hash.transport {
        None => 0,
        Some(Transport::Tcp) => {
            bindings::xdp_rss_hash_type_XDP_RSS_L4 | bindings::xdp_rss_hash_type_XDP_RSS_L4_TCP
        }
        Some(Transport::Udp) => {
            bindings::xdp_rss_hash_type_XDP_RSS_L4 | bindings::xdp_rss_hash_type_XDP_RSS_L4_UDP
        }
    };
    network | extension | transport
}
