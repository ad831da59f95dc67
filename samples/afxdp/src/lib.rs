// SPDX-License-Identifier: GPL-2.0

//! What the samples need of AF_XDP beside the crate `xdpilone`: programs, what a device claims, memory
//! with room for metadata, and the mode that a socket is in.

pub mod bpf;
pub mod claims;
pub mod metadata;
pub mod netdev;
pub mod socket;
