// SPDX-License-Identifier: GPL-2.0

//! What the header of a received packet says (section 5.1.6.4).
//!
//! Most packets are plain, which [`Base::is_plain`] tells by one test; only the
//! others need [`decode`].

use crate::features::Features;
use crate::header::{flag, gso, Base, HeaderLayout};
use crate::tunnel::Tunnel;
use core::fmt;
use core::ops::RangeInclusive;
use zerocopy::FromBytes;

/// What a device said about one packet, decoded. Offsets are not compared with
/// the packet's length; see [`RxHeader::check_frame_len`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxHeader {
    /// Over how many buffers the packet is spread, as the device put it. Means
    /// something only with [`Features::MRG_RXBUF`], where zero is an error.
    pub num_buffers: u16,
    /// State of the transport checksum.
    pub checksum: RxChecksum,
    /// How a packet longer than the MTU is to be cut, if it is one.
    pub gso: Option<Gso>,
}

/// State of the transport checksum of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxChecksum {
    /// Not verified.
    None,
    /// Verified by the device.
    Valid,
    /// Partial: the packet comes from the same machine and was never given one.
    Partial(PartialChecksum),
}

/// Where a partial checksum is to be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Offset in the packet of the first byte to sum, in bytes.
    pub start: u16,
    /// Offset from `start` at which the result is stored, in bytes.
    pub offset: u16,
}

/// What a GSO packet is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// The protocol.
    pub kind: GsoKind,
    /// TCP only: the segment has ECN's CWR set.
    pub ecn: bool,
    /// Length of the headers before the payload, in bytes. A hint: in received
    /// packets not to be trusted.
    pub hdr_len: u16,
    /// Payload of each segment, in bytes; not zero.
    pub size: u16,
    /// The UDP tunnel around the packet.
    pub tunnel: Option<Tunnel>,
}

/// The protocol of a GSO packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GsoKind {
    /// TCP over IPv4 (TSO).
    TcpV4 = gso::TCPV4,
    /// TCP over IPv6 (TSO).
    TcpV6 = gso::TCPV6,
    /// One UDP datagram, fragmented by IP (UFO).
    Udp = gso::UDP,
    /// UDP datagrams of equal length, over IPv4 or IPv6 (USO).
    UdpL4 = gso::UDP_L4,
}

/// Why the header of a received packet makes no sense; the packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxHeaderError {
    /// There are fewer bytes than the header has.
    Truncated,
    /// The GSO type is unknown, or belongs to a feature that has no room in
    /// this header.
    GsoType(u8),
    /// Segments of no payload, or of more than any packet.
    GsoSize(u16),
    /// ECN on something that is not TCP.
    EcnWithoutTcp,
    /// USO needs a partial checksum and has none.
    UsoWithoutChecksum,
    /// The checksum is not where the GSO packet's protocol has it.
    ChecksumOffset(u16),
    /// A tunnel needs the inner checksum to be partial, and nothing verified.
    TunnelChecksum,
    /// The headers of a tunnelled packet overlap.
    TunnelOffsets,
    /// The checksum, or the transport header, is outside the packet.
    ChecksumBeyondFrame,
}

impl GsoKind {
    /// Length of the Ethernet header, before which no transport header begins.
    const ETHERNET_LEN: u16 = 14;

    fn from_type(gso_type: u8) -> Option<Self> {
        match gso_type {
            gso::TCPV4 => Some(Self::TcpV4),
            gso::TCPV6 => Some(Self::TcpV6),
            gso::UDP => Some(Self::Udp),
            gso::UDP_L4 => Some(Self::UdpL4),
            _ => None,
        }
    }

    /// Whether the protocol is TCP.
    pub const fn is_tcp(self) -> bool {
        matches!(self, Self::TcpV4 | Self::TcpV6)
    }

    /// Offset of the checksum in the protocol's header, in bytes.
    pub const fn checksum_offset(self) -> u16 {
        if self.is_tcp() {
            16
        } else {
            6
        }
    }

    /// Length of the protocol's header without options, in bytes.
    pub const fn header_len(self) -> u16 {
        if self.is_tcp() {
            20
        } else {
            8
        }
    }
}

impl Gso {
    /// What a segment's payload can be: the largest number is none, since a
    /// packet has headers as well, and means something else to the kernel.
    pub const SIZES: RangeInclusive<u16> = 1..=0xfffe;
}

/// Decodes the header at the beginning of `bytes`, the buffer of a packet.
///
/// Flags that are unknown, or belong to features that are not decoded here, are
/// ignored, as section 5.1.6.4.2 wants it. Where the device both wants a checksum
/// completed and calls it valid, the former counts.
///
/// # Errors
///
/// See [`RxHeaderError`]; all but [`RxHeaderError::ChecksumBeyondFrame`] come from
/// here.
#[inline(never)]
pub fn decode(layout: HeaderLayout, bytes: &[u8]) -> Result<RxHeader, RxHeaderError> {
    let bytes = bytes.get(..layout.len()).ok_or(RxHeaderError::Truncated)?;
    let (base, rest) = Base::ref_from_prefix(bytes).map_err(|_| RxHeaderError::Truncated)?;
    // Only the shortest header ends there.
    let num_buffers = match *rest {
        [low, high, ..] => u16::from_le_bytes([low, high]),
        _ => 1,
    };
    let checksum = decode_checksum(base);
    let gso = decode_gso(base, checksum, bytes)?;
    Ok(RxHeader {
        num_buffers,
        checksum,
        gso,
    })
}

fn decode_checksum(base: &Base) -> RxChecksum {
    if base.flags & flag::NEEDS_CSUM != 0 {
        RxChecksum::Partial(PartialChecksum {
            start: base.csum_start.get(),
            offset: base.csum_offset.get(),
        })
    } else if base.is_data_valid() {
        RxChecksum::Valid
    } else {
        RxChecksum::None
    }
}

fn decode_gso(
    base: &Base,
    checksum: RxChecksum,
    bytes: &[u8],
) -> Result<Option<Gso>, RxHeaderError> {
    if base.gso_type == gso::NONE {
        return Ok(None);
    }
    let kind = GsoKind::from_type(base.gso_type & !(gso::ECN | Tunnel::TYPE))
        .ok_or(RxHeaderError::GsoType(base.gso_type))?;
    let ecn = base.gso_type & gso::ECN != 0;
    if ecn && !kind.is_tcp() {
        return Err(RxHeaderError::EcnWithoutTcp);
    }
    let size = base.gso_size.get();
    if !Gso::SIZES.contains(&size) {
        return Err(RxHeaderError::GsoSize(size));
    }
    match checksum {
        // UFO: the checksum may be anything, since only the first fragment has
        // a transport header.
        RxChecksum::Partial(PartialChecksum { offset, .. })
            if kind != GsoKind::Udp && offset != kind.checksum_offset() =>
        {
            return Err(RxHeaderError::ChecksumOffset(offset));
        }
        RxChecksum::None | RxChecksum::Valid if kind == GsoKind::UdpL4 => {
            return Err(RxHeaderError::UsoWithoutChecksum);
        }
        _ => {}
    }
    Ok(Some(Gso {
        kind,
        ecn,
        hdr_len: base.hdr_len.get(),
        size,
        tunnel: Tunnel::decode(base, kind, bytes)?,
    }))
}

impl RxHeader {
    /// Compares the offsets with the length of the packet, in bytes, without this
    /// header.
    ///
    /// # Errors
    ///
    /// [`RxHeaderError::ChecksumBeyondFrame`] if the checksum, or with GSO the whole
    /// transport header, does not lie behind the Ethernet header and inside the
    /// packet.
    pub fn check_frame_len(&self, frame_len: usize) -> Result<(), RxHeaderError> {
        let RxChecksum::Partial(partial) = self.checksum else {
            return Ok(());
        };
        let transport_len = self.gso.map_or(0, |gso| gso.kind.header_len());
        if partial.start >= GsoKind::ETHERNET_LEN && partial.end(transport_len) <= frame_len {
            Ok(())
        } else {
            Err(RxHeaderError::ChecksumBeyondFrame)
        }
    }

    /// Whether the driver had agreed to packets of this kind: a device must not
    /// send what was not negotiated (section 5.1.6.4.1).
    ///
    /// A verified checksum is always allowed: some devices say so without
    /// [`Features::GUEST_CSUM`], and a driver may take it for
    /// [`RxChecksum::None`].
    pub fn is_allowed_by(&self, negotiated: Features) -> bool {
        let checksum = match self.checksum {
            RxChecksum::None | RxChecksum::Valid => Features::empty(),
            RxChecksum::Partial(_) => Features::GUEST_CSUM,
        };
        let ecn = match self.gso {
            Some(Gso { ecn: true, .. }) => Features::GUEST_ECN,
            _ => Features::empty(),
        };
        let tunnel = match self.gso.and_then(|gso| gso.tunnel) {
            None => Features::empty(),
            Some(tunnel) if tunnel.outer_checksum => {
                Features::GUEST_UDP_TUNNEL_GSO.union(Features::GUEST_UDP_TUNNEL_GSO_CSUM)
            }
            Some(_) => Features::GUEST_UDP_TUNNEL_GSO,
        };
        let kind = self.gso.is_none_or(|gso| {
            negotiated.intersects(match gso.kind {
                GsoKind::TcpV4 => Features::GUEST_TSO4,
                GsoKind::TcpV6 => Features::GUEST_TSO6,
                GsoKind::Udp => Features::GUEST_UFO,
                GsoKind::UdpL4 => Features::GUEST_USO4.union(Features::GUEST_USO6),
            })
        });
        kind && negotiated.contains(checksum | ecn | tunnel)
    }
}

impl PartialChecksum {
    /// Where the checksum ends in the packet, or a transport header of at least
    /// `transport_len` bytes, whichever is later; in bytes. Never overflows.
    pub const fn end(self, transport_len: u16) -> usize {
        let checksum_end = (self.offset as usize).wrapping_add(size_of::<u16>());
        let len = if checksum_end > transport_len as usize {
            checksum_end
        } else {
            transport_len as usize
        };
        (self.start as usize).wrapping_add(len)
    }
}

impl fmt::Display for RxHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => f.write_str("shorter than the header"),
            Self::GsoType(gso_type) => write!(f, "unknown GSO type {gso_type:#x}"),
            Self::GsoSize(size) => write!(f, "GSO segments of {size} bytes"),
            Self::EcnWithoutTcp => f.write_str("ECN without TCP"),
            Self::UsoWithoutChecksum => f.write_str("USO without a partial checksum"),
            Self::ChecksumOffset(offset) => {
                write!(f, "checksum at {offset}, where the GSO protocol has none")
            }
            Self::TunnelChecksum => f.write_str("a tunnel without a partial checksum"),
            Self::TunnelOffsets => f.write_str("headers of a tunnel that overlap"),
            Self::ChecksumBeyondFrame => f.write_str("checksum outside the packet"),
        }
    }
}

#[cfg(test)]
mod tests;
