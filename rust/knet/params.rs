// SPDX-License-Identifier: GPL-2.0

//! Parameters of the module, by the names, types and permissions of the C driver. They
//! are declared in C, which the kernel's `module!` macro cannot do with an entry in
//! sysfs. Users may write `napi_tx` at any time: each call reads it anew.

use crate::bindings;

/// Packets that a receive queue may take in one poll; at first 64.
pub fn napi_weight() -> u16 {
    // SAFETY: A plain integer of this module.
    let weight = unsafe { (&raw const bindings::vnr_napi_weight).read_volatile() };
    weight.clamp(1, i16::MAX.into()) as u16
}

/// Whether checksums of sent packets are left to the device at first.
pub fn csum() -> bool {
    // SAFETY: A flag of this module, which the kernel's parser writes as 0 or 1.
    unsafe { (&raw const bindings::vnr_csum).read_volatile() }
}

/// Whether all offloads of sent packets are on at first.
pub fn gso() -> bool {
    // SAFETY: As above.
    unsafe { (&raw const bindings::vnr_gso).read_volatile() }
}

/// Whether sent packets are reclaimed by NAPI.
pub fn napi_tx() -> bool {
    // SAFETY: As above.
    unsafe { (&raw const bindings::vnr_napi_tx).read_volatile() }
}
