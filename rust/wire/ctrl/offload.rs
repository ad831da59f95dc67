// SPDX-License-Identifier: GPL-2.0

//! Which receive offloads are on (section 5.1.6.5.6).

use super::{write_parts, Command};
use crate::features::Features;

/// A set of receive offloads, as the command has it: the bits of the features
/// themselves, with those above 63 mapped to free ones below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestOffloads(u64);

impl GuestOffloads {
    /// The features that can be switched.
    pub const SWITCHABLE: Features = Features::GUEST_GSO
        .union(Features::GUEST_CSUM)
        .union(Features::GUEST_HDRLEN);

    /// Tunnel offloads are the feature bits 65 and 66, and 46 and 47 here.
    const MAPPED: Features =
        Features::GUEST_UDP_TUNNEL_GSO.union(Features::GUEST_UDP_TUNNEL_GSO_CSUM);
    const MAP_SHIFT: u32 = 65 - 46;

    /// The offloads among `features`; other features are left out.
    pub const fn from_features(features: Features) -> Self {
        let switchable = features.intersection(Self::SWITCHABLE);
        let mapped = switchable.intersection(Self::MAPPED).bits() >> Self::MAP_SHIFT;
        let same = switchable.difference(Self::MAPPED).bits();
        Self((same | mapped) as u64)
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// `VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET`: have these receive offloads on, and the
/// others off. Only what was negotiated can be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetGuestOffloads(
    /// Those to be on.
    pub GuestOffloads,
);

impl Command for SetGuestOffloads {
    const CLASS: u8 = 5;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::CTRL_GUEST_OFFLOADS);

    fn command(&self) -> u8 {
        0
    }

    fn payload_len(&self) -> usize {
        8
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(out, &[&self.0.bits().to_le_bytes()])
    }
}
