// SPDX-License-Identifier: GPL-2.0

//! GSO packets inside UDP tunnels, such as VXLAN (sections 5.1.6.2 and 5.1.6.4.1).
//!
//! The common header describes the inner packet; what is here is about the outer one.

use crate::header::{flag, gso, Base, V1Hash, V1HashTunnel, V1};
use crate::rx::{GsoKind, RxHeaderError};
use zerocopy::little_endian::U16;
use zerocopy::FromBytes;

/// Where the headers of a tunnelled packet are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Whether the outer packet is IPv6.
    pub outer_ipv6: bool,
    /// Whether the outer UDP header has a checksum, to be completed too.
    pub outer_checksum: bool,
    /// Offset of the outer UDP header in the packet, in bytes.
    pub outer_transport: u16,
    /// Offset of the inner IP header in the packet, in bytes.
    pub inner_network: u16,
}

/// Bytes of headers without options.
const ETHERNET: u16 = 14;
const IPV4: u16 = 20;
const IPV6: u16 = 40;
const UDP: u16 = 8;

impl Tunnel {
    /// Both bits of the type.
    pub(crate) const TYPE: u8 = gso::UDP_TUNNEL_IPV4 | gso::UDP_TUNNEL_IPV6;

    /// The tunnel around a GSO packet of `kind`, from the header at the beginning of
    /// `bytes`; `None` if there is none.
    pub(crate) fn decode(
        base: &Base,
        kind: GsoKind,
        bytes: &[u8],
    ) -> Result<Option<Self>, RxHeaderError> {
        let outer_ipv6 = match base.gso_type & Self::TYPE {
            0 => return Ok(None),
            gso::UDP_TUNNEL_IPV4 => false,
            gso::UDP_TUNNEL_IPV6 => true,
            _ => return Err(RxHeaderError::GsoType(base.gso_type)),
        };
        let Ok((header, _)) = V1HashTunnel::ref_from_prefix(bytes) else {
            return Err(RxHeaderError::GsoType(base.gso_type));
        };
        if kind == GsoKind::Udp {
            return Err(RxHeaderError::GsoType(base.gso_type));
        }
        // The inner checksum is always partial, and then nothing can be verified.
        if base.flags & (flag::NEEDS_CSUM | flag::DATA_VALID) != flag::NEEDS_CSUM {
            return Err(RxHeaderError::TunnelChecksum);
        }
        let this = Self {
            outer_ipv6,
            outer_checksum: base.flags & flag::UDP_TUNNEL_CSUM != 0,
            outer_transport: header.outer_th_offset.get(),
            inner_network: header.inner_nh_offset.get(),
        };
        if this.is_ordered(kind, base.csum_start.get()) {
            Ok(Some(this))
        } else {
            Err(RxHeaderError::TunnelOffsets)
        }
    }

    /// Whether each header has room before the next one; the inner transport header
    /// begins at `inner_transport`.
    fn is_ordered(self, kind: GsoKind, inner_transport: u16) -> bool {
        let outer_network = if self.outer_ipv6 { IPV6 } else { IPV4 };
        // Inner UDP is in either: the shorter one is the least.
        let inner_network = if kind == GsoKind::TcpV6 { IPV6 } else { IPV4 };
        let room =
            |from: u16, len: u16, to: u16| from.checked_add(len).is_some_and(|end| end <= to);
        room(ETHERNET, outer_network, self.outer_transport)
            && room(self.outer_transport, UDP, self.inner_network)
            && room(self.inner_network, inner_network, inner_transport)
    }

    /// The bits of [`Base::gso_type`] and [`Base::flags`].
    pub(crate) const fn bits(self) -> (u8, u8) {
        let gso_type = if self.outer_ipv6 {
            gso::UDP_TUNNEL_IPV6
        } else {
            gso::UDP_TUNNEL_IPV4
        };
        let flags = if self.outer_checksum {
            flag::UDP_TUNNEL_CSUM
        } else {
            0
        };
        (gso_type, flags)
    }

    /// The header behind `v1`, without tunnel if there is none.
    pub(crate) fn header(this: Option<Self>, v1: V1) -> V1HashTunnel {
        let v1_hash = V1Hash {
            v1,
            ..V1Hash::default()
        };
        match this {
            Some(tunnel) => V1HashTunnel {
                v1_hash,
                outer_th_offset: U16::new(tunnel.outer_transport),
                inner_nh_offset: U16::new(tunnel.inner_network),
            },
            None => V1HashTunnel {
                v1_hash,
                ..V1HashTunnel::default()
            },
        }
    }
}
