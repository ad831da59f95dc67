// SPDX-License-Identifier: GPL-2.0

//! What a network device does beyond the least.
//!
//! C header: [`include/linux/netdev_features.h`](srctree/include/linux/netdev_features.h)

use crate::bindings;
use core::ops::{BitAnd, BitOr, BitOrAssign};

/// Features of a network device (`netdev_features_t`).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(pub(super) u64);

#[allow(missing_docs)]
impl Features {
    pub const SG: Self = Self(bindings::NETIF_F_SG);
    pub const HW_CSUM: Self = Self(bindings::NETIF_F_HW_CSUM);
    pub const RXCSUM: Self = Self(bindings::NETIF_F_RXCSUM);
    pub const RXHASH: Self = Self(bindings::NETIF_F_RXHASH);
    pub const HIGHDMA: Self = Self(bindings::NETIF_F_HIGHDMA);
    pub const TSO: Self = Self(bindings::NETIF_F_TSO);
    pub const TSO6: Self = Self(bindings::NETIF_F_TSO6);
    pub const TSO_ECN: Self = Self(bindings::NETIF_F_TSO_ECN);
    pub const GSO_UDP_TUNNEL: Self = Self(bindings::NETIF_F_GSO_UDP_TUNNEL);
    pub const GSO_UDP_TUNNEL_CSUM: Self = Self(bindings::NETIF_F_GSO_UDP_TUNNEL_CSUM);
    pub const GSO_UDP_L4: Self = Self(bindings::NETIF_F_GSO_UDP_L4);
    pub const GSO_ROBUST: Self = Self(bindings::NETIF_F_GSO_ROBUST);
    pub const GRO_HW: Self = Self(bindings::NETIF_F_GRO_HW);
    pub const HW_VLAN_CTAG_FILTER: Self = Self(bindings::NETIF_F_HW_VLAN_CTAG_FILTER);

    /// These features but for `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// No features.
    pub const fn empty() -> Self {
        Self(0)
    }

    pub(super) const fn from_bits_retain(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether all of `other` are in.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// `self` if `on`, nothing otherwise.
    pub const fn only_if(self, on: bool) -> Self {
        if on {
            self
        } else {
            Self(0)
        }
    }
}

impl BitOr for Features {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Features {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOrAssign for Features {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
