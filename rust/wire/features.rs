// SPDX-License-Identifier: GPL-2.0

//! Feature bits and what each requires (sections 5.1.3 and 6).

use core::fmt;

/// A set of feature bits, 0 to 127: what a device offers, what a driver
/// understands, or what both have agreed on.
///
/// Bits without a name are kept, so that a set survives a trip through
/// [`Features::from_words`] and [`Features::to_words`].
///
/// ```
/// use virtio_net_wire::Features;
///
/// let offered = Features::MAC | Features::GUEST_TSO4;
/// let (kept, dropped) = offered.without_unmet_dependencies();
/// assert_eq!(kept, Features::MAC);
/// assert_eq!(dropped, Features::GUEST_TSO4);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Features(u128);

bitflags::bitflags! {
    impl Features: u128 {
        /// The device completes partial checksums of packets it is sent.
        const CSUM = 1 << 0;
        /// The driver takes packets with partial checksums.
        const GUEST_CSUM = 1 << 1;
        /// Receive offloads can be changed by a control command.
        const CTRL_GUEST_OFFLOADS = 1 << 2;
        /// The configuration space has the largest MTU.
        const MTU = 1 << 3;
        /// The configuration space has a MAC address.
        const MAC = 1 << 5;
        /// Legacy: the device takes GSO packets of any TCP kind.
        const GSO = 1 << 6;
        /// The driver takes TSO over IPv4.
        const GUEST_TSO4 = 1 << 7;
        /// The driver takes TSO over IPv6.
        const GUEST_TSO6 = 1 << 8;
        /// The driver takes TSO with ECN.
        const GUEST_ECN = 1 << 9;
        /// The driver takes UFO.
        const GUEST_UFO = 1 << 10;
        /// The device takes TSO over IPv4.
        const HOST_TSO4 = 1 << 11;
        /// The device takes TSO over IPv6.
        const HOST_TSO6 = 1 << 12;
        /// The device takes TSO with ECN.
        const HOST_ECN = 1 << 13;
        /// The device takes UFO.
        const HOST_UFO = 1 << 14;
        /// A packet may be spread over several receive buffers.
        const MRG_RXBUF = 1 << 15;
        /// The configuration space has the link status.
        const STATUS = 1 << 16;
        /// There is a control queue.
        const CTRL_VQ = 1 << 17;
        /// Promiscuous and all-multicast modes, and MAC filters.
        const CTRL_RX = 1 << 18;
        /// VLAN filters.
        const CTRL_VLAN = 1 << 19;
        /// Further receive modes.
        const CTRL_RX_EXTRA = 1 << 20;
        /// The driver announces itself when the device asks.
        const GUEST_ANNOUNCE = 1 << 21;
        /// Several queue pairs with automatic receive steering.
        const MQ = 1 << 22;
        /// The MAC address can be set by a control command.
        const CTRL_MAC_ADDR = 1 << 23;
        /// Statistics kept by the device.
        const DEVICE_STATS = 1 << 50;
        /// Hashes of the inner header of tunnelled packets.
        const HASH_TUNNEL = 1 << 51;
        /// Notification coalescing by queue.
        const VQ_NOTF_COAL = 1 << 52;
        /// Notification coalescing.
        const NOTF_COAL = 1 << 53;
        /// The driver takes USO over IPv4.
        const GUEST_USO4 = 1 << 54;
        /// The driver takes USO over IPv6.
        const GUEST_USO6 = 1 << 55;
        /// The device takes USO.
        const HOST_USO = 1 << 56;
        /// The packet header has the receive hash.
        const HASH_REPORT = 1 << 57;
        /// The driver gives the exact header length of GSO packets.
        const GUEST_HDRLEN = 1 << 59;
        /// Receive-side scaling.
        const RSS = 1 << 60;
        /// Details of receive segment coalescing.
        const RSC_EXT = 1 << 61;
        /// The device stands by for another one with the same MAC address.
        const STANDBY = 1 << 62;
        /// The configuration space has speed and duplex.
        const SPEED_DUPLEX = 1 << 63;
        /// Several RSS contexts.
        const RSS_CONTEXT = 1 << 64;
        /// The driver takes GSO packets inside UDP tunnels.
        const GUEST_UDP_TUNNEL_GSO = 1 << 65;
        /// The same with a partial checksum of the outer header.
        const GUEST_UDP_TUNNEL_GSO_CSUM = 1 << 66;
        /// The device takes GSO packets inside UDP tunnels.
        const HOST_UDP_TUNNEL_GSO = 1 << 67;
        /// The same with a partial checksum of the outer header.
        const HOST_UDP_TUNNEL_GSO_CSUM = 1 << 68;

        /// Legacy: notify when the device runs out of available buffers.
        const NOTIFY_ON_EMPTY = 1 << 24;
        /// Legacy: descriptors may split a message anywhere.
        const ANY_LAYOUT = 1 << 27;
        /// Descriptors may point at tables of descriptors.
        const RING_INDIRECT_DESC = 1 << 28;
        /// Notifications are suppressed by ring index.
        const RING_EVENT_IDX = 1 << 29;
        /// The device follows virtio 1.0 or later; without it, it is legacy.
        const VERSION_1 = 1 << 32;
        /// Addresses are those of the platform's DMA, through an IOMMU if any.
        const ACCESS_PLATFORM = 1 << 33;
        /// Packed virtqueues.
        const RING_PACKED = 1 << 34;
        /// Buffers are used in the order in which they were made available.
        const IN_ORDER = 1 << 35;
        /// Memory is ordered as between the platform's own devices.
        const ORDER_PLATFORM = 1 << 36;
        /// Single Root I/O Virtualization.
        const SR_IOV = 1 << 37;
        /// Notifications of the driver carry data.
        const NOTIFICATION_DATA = 1 << 38;
        /// That data begins with an identifier which the device chose.
        const NOTIF_CONFIG_DATA = 1 << 39;
        /// A queue can be reset on its own.
        const RING_RESET = 1 << 40;
        /// Administration virtqueues.
        const ADMIN_VQ = 1 << 41;
    }
}

/// What one feature requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The feature.
    pub feature: Features,
    /// All of these must be there,
    pub all: Features,
    /// and, unless this is empty, one of these.
    pub any: Features,
}

impl Dependency {
    const fn all(feature: Features, all: Features) -> Self {
        let any = Features::empty();
        Self { feature, all, any }
    }

    const fn any(feature: Features, any: Features) -> Self {
        let all = Features::empty();
        Self { feature, all, any }
    }

    const fn and_all(self, all: Features) -> Self {
        Self { all, ..self }
    }

    /// Whether `features` has what the feature needs.
    pub const fn is_met_by(&self, features: Features) -> bool {
        features.contains(self.all) && (self.any.is_empty() || features.intersects(self.any))
    }
}

/// Requirements of section 5.1.3.1, and two that follow from the sections on the
/// features themselves: nothing that needs a control command works without a
/// control queue, and a standby device is found by its MAC address.
pub const DEPENDENCIES: &[Dependency] = {
    use Dependency as D;
    use Features as F;
    const HOST_TSO: F = F::HOST_TSO4.union(F::HOST_TSO6);
    &[
        D::all(F::GUEST_TSO4, F::GUEST_CSUM),
        D::all(F::GUEST_TSO6, F::GUEST_CSUM),
        D::any(F::GUEST_ECN, F::GUEST_TSO4.union(F::GUEST_TSO6)),
        D::all(F::GUEST_UFO, F::GUEST_CSUM),
        D::all(F::GUEST_USO4, F::GUEST_CSUM),
        D::all(F::GUEST_USO6, F::GUEST_CSUM),
        D::all(
            F::GUEST_UDP_TUNNEL_GSO,
            F::GUEST_TSO4
                .union(F::GUEST_TSO6)
                .union(F::GUEST_USO4)
                .union(F::GUEST_USO6),
        ),
        D::all(F::GUEST_UDP_TUNNEL_GSO_CSUM, F::GUEST_UDP_TUNNEL_GSO),
        D::all(F::GSO, F::CSUM),
        D::all(F::HOST_TSO4, F::CSUM),
        D::all(F::HOST_TSO6, F::CSUM),
        D::any(F::HOST_ECN, HOST_TSO),
        D::all(F::HOST_UFO, F::CSUM),
        D::all(F::HOST_USO, F::CSUM),
        D::all(F::HOST_UDP_TUNNEL_GSO, HOST_TSO.union(F::HOST_USO)),
        D::all(F::HOST_UDP_TUNNEL_GSO_CSUM, F::HOST_UDP_TUNNEL_GSO),
        D::all(F::CTRL_GUEST_OFFLOADS, F::CTRL_VQ),
        D::all(F::CTRL_RX, F::CTRL_VQ),
        D::all(F::CTRL_RX_EXTRA, F::CTRL_VQ),
        D::all(F::CTRL_VLAN, F::CTRL_VQ),
        D::all(F::GUEST_ANNOUNCE, F::CTRL_VQ),
        D::all(F::MQ, F::CTRL_VQ),
        D::all(F::CTRL_MAC_ADDR, F::CTRL_VQ),
        D::any(F::HASH_TUNNEL, F::RSS.union(F::HASH_REPORT)).and_all(F::CTRL_VQ),
        D::all(F::DEVICE_STATS, F::CTRL_VQ),
        D::all(F::VQ_NOTF_COAL, F::CTRL_VQ),
        D::all(F::NOTF_COAL, F::CTRL_VQ),
        D::all(F::HASH_REPORT, F::CTRL_VQ),
        D::all(F::RSS, F::CTRL_VQ),
        D::all(F::RSS_CONTEXT, F::CTRL_VQ.union(F::RSS)),
        D::any(F::RSC_EXT, HOST_TSO),
        D::all(F::STANDBY, F::MAC),
    ]
};

impl Features {
    /// Receive offloads by which a packet can be longer than the MTU.
    pub const GUEST_GSO: Self = Self::GUEST_TSO4
        .union(Self::GUEST_TSO6)
        .union(Self::GUEST_ECN)
        .union(Self::GUEST_UFO)
        .union(Self::GUEST_USO4)
        .union(Self::GUEST_USO6)
        .union(Self::GUEST_UDP_TUNNEL_GSO)
        .union(Self::GUEST_UDP_TUNNEL_GSO_CSUM);

    /// The set of the bits 0 to 63 in `words[0]` and 64 to 127 in `words[1]`.
    pub const fn from_words(words: [u64; 2]) -> Self {
        let [low, high] = words;
        Self::from_bits_retain(low as u128 | ((high as u128) << 64))
    }

    /// The bits 0 to 63, then 64 to 127.
    pub const fn to_words(self) -> [u64; 2] {
        [self.bits() as u64, (self.bits() >> 64) as u64]
    }

    /// The numbers of the bits that are set, in ascending order.
    pub fn bit_numbers(self) -> impl Iterator<Item = u32> {
        let mut rest = self.bits();
        core::iter::from_fn(move || {
            let bit = rest.trailing_zeros();
            // Clears the lowest bit; with none left, `bit` is 128.
            rest &= rest.wrapping_sub(1);
            (bit < u128::BITS).then_some(bit)
        })
    }

    /// The numbers of the bits that are set as a table for constants, ascending;
    /// `None` unless there are exactly `N`, which is [`Features::count`].
    pub const fn bit_table<const N: usize>(self) -> Option<[u32; N]> {
        let mut table = [0; N];
        let mut unused: &mut [u32] = &mut table;
        let mut bit = 0;
        while bit < u128::BITS {
            if (self.bits() >> bit) & 1 == 1 {
                let Some((entry, rest)) = unused.split_first_mut() else {
                    return None;
                };
                *entry = bit;
                unused = rest;
            }
            bit = bit.wrapping_add(1);
        }
        if unused.is_empty() {
            Some(table)
        } else {
            None
        }
    }

    /// How many bits are set.
    pub const fn count(self) -> usize {
        self.bits().count_ones() as usize
    }

    /// Splits the set into the features whose requirements are met within it and
    /// those that must not be accepted ([`DEPENDENCIES`]).
    ///
    /// Dropping a feature can take away what another one requires; that one is
    /// dropped as well.
    pub fn without_unmet_dependencies(self) -> (Self, Self) {
        let mut kept = self;
        loop {
            let unmet = DEPENDENCIES
                .iter()
                .filter(|dependency| !dependency.is_met_by(kept))
                .fold(Self::empty(), |unmet, dependency| {
                    unmet | dependency.feature
                })
                & kept;
            if unmet.is_empty() {
                return (kept, self.difference(kept));
            }
            kept = kept.difference(unmet);
        }
    }
}

/// Names separated by `|`, in the order of the bits' meaning, then the bits
/// without a name as one hexadecimal number; `(none)` for the empty set.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.iter_names();
        let mut separator = "";
        for (name, _) in &mut names {
            write!(f, "{separator}{name}")?;
            separator = " | ";
        }
        let unnamed = names.remaining().bits();
        if unnamed != 0 {
            write!(f, "{separator}{unnamed:#x}")
        } else if separator.is_empty() {
            f.write_str("(none)")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({self})")
    }
}

#[cfg(test)]
mod tests;
