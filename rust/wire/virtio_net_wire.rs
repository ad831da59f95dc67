// SPDX-License-Identifier: GPL-2.0

//! Formats and arithmetic of a virtio network device (virtio 1.3, section 5.1).
//!
//! Everything that a device can say to its driver is decoded here, and
//! everything that a driver says is encoded here, without unsafe code, without
//! a panic and without the kernel. The crate is compiled into the kernel module
//! and, from the same source, on the host, where it is tested and fuzzed.
//!
//! | module | holds |
//! | --- | --- |
//! | [`features`] | feature bits and what each requires |
//! | [`config`] | the device configuration space |
//! | [`header`] | layouts of the header in front of each packet |
//! | [`rx`], [`tx`] | what that header says on reception and transmission |
//! | [`tunnel`] | the same of packets inside UDP tunnels |
//! | [`ctrl`] | control queue commands and their acknowledgement |
//! | [`rss`] | receive hashes: types, reports, limits |
//! | [`rx_buffer`] | sizes of receive buffers |
//! | [`stats`] | statistics that the device keeps |
//! | [`device_length`] | lengths that the device wrote, untrusted until checked |
//! | [`checksum`] | Internet checksums and their completion |
//!
//! # Byte order
//!
//! A device with [`Features::VERSION_1`] speaks little-endian; a legacy one
//! speaks the guest's byte order (section 1.4.1). All formats here are
//! little-endian, which is both on a little-endian machine; a big-endian
//! machine can drive only devices with `VERSION_1` by them.

#![no_std]
#![forbid(unsafe_code)]
// Nothing that a device, a user or traffic can cause may panic.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

pub mod checksum;
pub mod config;
pub mod ctrl;
pub mod device_length;
pub mod features;
pub mod header;
pub mod rss;
pub mod rx;
pub mod rx_buffer;
#[cfg(test)]
mod seed;
pub mod stats;
pub mod tunnel;
pub mod tx;

pub use device_length::{DeviceLength, LengthError};
pub use features::Features;
pub use header::{HeaderLayout, HeaderMask};
