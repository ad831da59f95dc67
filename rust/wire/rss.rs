// SPDX-License-Identifier: GPL-2.0

//! Receive hashes: which headers they cover, what the device reports of them, and
//! what it can do (sections 5.1.4, 5.1.6.4.3 and 5.1.6.5.7).

use crate::features::Features;
use crate::header::V1Hash;
use zerocopy::FromBytes;

/// Which packets have a hash, and over which headers. A packet takes the first type
/// of its IP version that fits: TCP or UDP with ports, otherwise addresses alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HashTypes(u32);

bitflags::bitflags! {
    impl HashTypes: u32 {
        /// IPv4 addresses.
        const IPV4 = 1 << 0;
        /// IPv4 addresses and TCP ports.
        const TCPV4 = 1 << 1;
        /// IPv4 addresses and UDP ports.
        const UDPV4 = 1 << 2;
        /// IPv6 addresses.
        const IPV6 = 1 << 3;
        /// IPv6 addresses and TCP ports.
        const TCPV6 = 1 << 4;
        /// IPv6 addresses and UDP ports.
        const UDPV6 = 1 << 5;
        /// IPv6 addresses, also those in extension headers.
        const IP_EX = 1 << 6;
        /// The same and TCP ports.
        const TCP_EX = 1 << 7;
        /// The same and UDP ports.
        const UDP_EX = 1 << 8;
    }
}

/// A kind of packets whose hash can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Flow {
    TcpV4,
    UdpV4,
    IpV4,
    TcpV6,
    UdpV6,
    IpV6,
}

/// What the hash of a flow covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFields {
    /// Nothing: such packets have no hash.
    None,
    /// Both addresses.
    Addresses,
    /// Both addresses and both ports.
    AddressesAndPorts,
}

impl Flow {
    /// The type for addresses alone.
    const fn addresses(self) -> HashTypes {
        match self {
            Self::TcpV4 | Self::UdpV4 | Self::IpV4 => HashTypes::IPV4,
            Self::TcpV6 | Self::UdpV6 | Self::IpV6 => HashTypes::IPV6,
        }
    }

    /// The type with ports, or none.
    const fn ports(self) -> HashTypes {
        match self {
            Self::TcpV4 => HashTypes::TCPV4,
            Self::UdpV4 => HashTypes::UDPV4,
            Self::TcpV6 => HashTypes::TCPV6,
            Self::UdpV6 => HashTypes::UDPV6,
            Self::IpV4 | Self::IpV6 => HashTypes::empty(),
        }
    }
}

impl HashTypes {
    /// What a hash over extension headers would be is not asked for by anybody.
    pub const WITHOUT_EXTENSIONS: Self = Self::IPV4
        .union(Self::TCPV4)
        .union(Self::UDPV4)
        .union(Self::IPV6)
        .union(Self::TCPV6)
        .union(Self::UDPV6);

    /// What the hash of `flow` covers.
    pub const fn fields(self, flow: Flow) -> HashFields {
        if self.intersects(flow.ports()) {
            HashFields::AddressesAndPorts
        } else if self.intersects(flow.addresses()) {
            HashFields::Addresses
        } else {
            HashFields::None
        }
    }

    /// The types with which the hash of `flow` covers `fields`; `None` if it cannot,
    /// as there are no ports.
    ///
    /// Without ports a packet falls back to the type for addresses, so to have no hash
    /// is to give that up as well, which TCP and UDP share.
    #[must_use]
    pub const fn with_fields(self, flow: Flow, fields: HashFields) -> Option<Self> {
        let (addresses, ports) = (flow.addresses(), flow.ports());
        Some(match fields {
            HashFields::None => self.difference(addresses.union(ports)),
            HashFields::Addresses => self.union(addresses).difference(ports),
            HashFields::AddressesAndPorts if ports.is_empty() => return None,
            HashFields::AddressesAndPorts => self.union(addresses).union(ports),
        })
    }
}

/// The hash of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    /// The hash.
    pub value: u32,
    /// Whether the addresses that it covers are of IPv6.
    pub ipv6: bool,
    /// Whose ports it covers, if any.
    pub transport: Option<Transport>,
    /// Whether it covers addresses in extension headers.
    pub extension: bool,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Transport {
    Tcp,
    Udp,
}

impl Hash {
    /// The hash in the header at the beginning of `bytes`, with
    /// [`Features::HASH_REPORT`]; `None` if there is none, or one of an unknown kind.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, _) = V1Hash::ref_from_prefix(bytes).ok()?;
        // IPv4, TCPv4, UDPv4, then the same for IPv6, and for extension headers.
        let report = header.hash_report.get();
        let transport = match report {
            1 | 4 | 7 => None,
            2 | 5 | 8 => Some(Transport::Tcp),
            3 | 6 | 9 => Some(Transport::Udp),
            _ => return None,
        };
        Some(Self {
            value: header.hash_value.get(),
            ipv6: report > 3,
            transport,
            extension: report > 6,
        })
    }
}

/// What a device can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the key, not 0.
    pub key_len: u8,
    /// Entries of the indirection table, a power of two, or 0 without
    /// [`Features::RSS`].
    pub table_len: u16,
    /// Hash types.
    pub types: HashTypes,
}

impl Limits {
    /// The limits by [`rss_max_key_size`](crate::config::Config::rss_max_key_size),
    /// [`rss_max_indirection_table_length`](crate::config::Config::rss_max_indirection_table_length) and
    /// [`supported_hash_types`](crate::config::Config::supported_hash_types), each 0 if there is no such field; `None` if
    /// `features` have neither RSS nor hash reports, or the device gives limits that
    /// nothing can be done with.
    pub fn new(features: Features, key_len: u8, table_len: u16, types: u32) -> Option<Self> {
        if key_len == 0 || !features.intersects(Features::RSS.union(Features::HASH_REPORT)) {
            return None;
        }
        let table_len = if features.contains(Features::RSS) {
            // The mask in the command has all bits below a power of two.
            1u16.checked_shl(table_len.checked_ilog2()?)?
        } else {
            0
        };
        let types = HashTypes::from_bits_truncate(types);
        Some(Self {
            key_len,
            table_len,
            types: types.intersection(HashTypes::WITHOUT_EXTENSIONS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FLOWS: [Flow; 6] = [
        Flow::TcpV4,
        Flow::UdpV4,
        Flow::IpV4,
        Flow::TcpV6,
        Flow::UdpV6,
        Flow::IpV6,
    ];

    #[test]
    fn limits() {
        let lens = |features, key, table| {
            Limits::new(features, key, table, 0x3f).map(|limits| (limits.key_len, limits.table_len))
        };
        let both = Features::RSS | Features::HASH_REPORT;
        assert_eq!(lens(Features::MQ, 40, 128), None);
        assert_eq!(lens(both, 40, 128), Some((40, 128)));
        assert_eq!(lens(both, 40, 100), Some((40, 64)));
        assert_eq!(lens(both, 40, 0xffff), Some((40, 0x8000)));
        assert_eq!(lens(both, 40, 0), None);
        assert_eq!(lens(both, 0, 128), None);
        assert_eq!(lens(Features::HASH_REPORT, 40, 0), Some((40, 0)));
        let types = Limits::new(both, 40, 1, u32::MAX).map(|limits| limits.types);
        assert_eq!(types, Some(HashTypes::WITHOUT_EXTENSIONS));
    }

    #[test]
    fn reports() {
        let decode = |report: u8| {
            let mut header = [0; 20];
            header[12..17].copy_from_slice(&[0x78, 0x56, 0x34, 0x12, report]);
            Hash::decode(&header)
        };
        assert_eq!(decode(0), None);
        for report in 1..=9 {
            let hash = decode(report).expect("known");
            assert_eq!(hash.value, 0x1234_5678);
            let transport = [Some(Transport::Udp), None, Some(Transport::Tcp)];
            assert_eq!(hash.transport, transport[usize::from(report % 3)]);
            assert_eq!(hash.ipv6, report > 3);
            assert_eq!(hash.extension, report > 6);
        }
        assert_eq!(decode(10), None);
        assert_eq!(Hash::decode(&[1; 19]), None);
    }

    #[test]
    fn addresses_have_no_ports() {
        let all = HashTypes::WITHOUT_EXTENSIONS;
        assert_eq!(
            all.with_fields(Flow::IpV4, HashFields::AddressesAndPorts),
            None
        );
        assert_eq!(all.fields(Flow::IpV4), HashFields::Addresses);
        assert_eq!(all.fields(Flow::UdpV6), HashFields::AddressesAndPorts);
        // TCP keeps its ports when bare IP is told what it has already.
        assert_eq!(
            all.with_fields(Flow::IpV4, HashFields::Addresses),
            Some(all)
        );
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_one_gets(bits in 0u32..64, flow in 0usize..6, fields in 0usize..3) {
            let types = HashTypes::from_bits_retain(bits);
            let flow = FLOWS[flow];
            let fields = [HashFields::None, HashFields::Addresses, HashFields::AddressesAndPorts]
                [fields];
            if let Some(changed) = types.with_fields(flow, fields) {
                prop_assert_eq!(changed.fields(flow), fields);
                // Nothing of the other IP version.
                let v4 = matches!(flow, Flow::TcpV4 | Flow::UdpV4 | Flow::IpV4);
                for other in FLOWS {
                    if matches!(other, Flow::TcpV4 | Flow::UdpV4 | Flow::IpV4) != v4 {
                        prop_assert_eq!(changed.fields(other), types.fields(other));
                    }
                }
            }
        }
    }
}
