// SPDX-License-Identifier: GPL-2.0

//! Layouts of the header in front of each packet (section 5.1.6).
//!
//! What the fields mean is in [`crate::rx`] and [`crate::tx`]. All types are
//! unaligned and little-endian; see the crate's note on legacy devices.

use crate::features::Features;
use static_assertions::{const_assert, const_assert_eq};
use zerocopy::little_endian::{U16, U32};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Values of [`Base::flags`]; a driver ignores bits that it does not know.
pub mod flag {
    /// `csum_start` and `csum_offset` say which checksum is to be completed.
    pub const NEEDS_CSUM: u8 = 1;
    /// The device has verified the (outermost) checksum.
    pub const DATA_VALID: u8 = 2;
    /// The checksum fields hold details of receive segment coalescing.
    pub const RSC_INFO: u8 = 4;
    /// The outer UDP header of a tunnel has a checksum as well.
    pub const UDP_TUNNEL_CSUM: u8 = 8;
}

/// Values of [`Base::gso_type`]: one kind, and flags above it.
pub mod gso {
    /// Not a GSO packet.
    pub const NONE: u8 = 0;
    /// TCP over IPv4.
    pub const TCPV4: u8 = 1;
    /// UDP fragmented by IP (UFO).
    pub const UDP: u8 = 3;
    /// TCP over IPv6.
    pub const TCPV6: u8 = 4;
    /// UDP segmented into datagrams (USO), over IPv4 or IPv6.
    pub const UDP_L4: u8 = 5;
    /// Flag: inside a UDP tunnel over IPv4.
    pub const UDP_TUNNEL_IPV4: u8 = 0x20;
    /// Flag: inside a UDP tunnel over IPv6.
    pub const UDP_TUNNEL_IPV6: u8 = 0x40;
    /// Flag: the TCP segment has ECN's CWR set.
    pub const ECN: u8 = 0x80;
}

/// What every header begins with, and the whole header of a legacy device
/// without mergeable buffers: `struct virtio_net_hdr`, 10 bytes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct Base {
    /// Bits of [`flag`].
    pub flags: u8,
    /// Values of [`gso`].
    pub gso_type: u8,
    /// Bytes of the headers up to the payload; a hint.
    pub hdr_len: U16,
    /// Bytes of payload in each segment.
    pub gso_size: U16,
    /// Offset in the packet from which the checksum is computed, in bytes.
    pub csum_start: U16,
    /// Offset from there at which it is stored, in bytes.
    pub csum_offset: U16,
}

/// With mergeable buffers or [`Features::VERSION_1`]: `struct virtio_net_hdr_v1`,
/// 12 bytes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct V1 {
    /// The common beginning.
    pub base: Base,
    /// On reception, over how many buffers the packet is spread; zero on
    /// transmission.
    pub num_buffers: U16,
}

/// With [`Features::HASH_REPORT`]: `struct virtio_net_hdr_v1_hash`, 20 bytes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct V1Hash {
    /// The common beginning.
    pub v1: V1,
    /// The receive hash.
    pub hash_value: U32,
    /// Over which headers it was computed; 0 is none.
    pub hash_report: U16,
    /// Reserved.
    pub padding: U16,
}

/// With GSO in UDP tunnels: `struct virtio_net_hdr_v1_hash_tunnel`, 24 bytes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct V1HashTunnel {
    /// The common beginning.
    pub v1_hash: V1Hash,
    /// Offset of the outer transport header in the packet, in bytes.
    pub outer_th_offset: U16,
    /// Offset of the inner network header in the packet, in bytes.
    pub inner_nh_offset: U16,
}

const_assert_eq!(size_of::<Base>(), 10);
const_assert_eq!(size_of::<V1>(), 12);
const_assert_eq!(size_of::<V1Hash>(), 20);
const_assert_eq!(size_of::<V1HashTunnel>(), 24);
const_assert_eq!(core::mem::offset_of!(Base, csum_start), 6);
const_assert_eq!(core::mem::offset_of!(V1, num_buffers), 10);
const_assert_eq!(core::mem::offset_of!(V1Hash, hash_value), 12);
const_assert_eq!(core::mem::offset_of!(V1Hash, hash_report), 16);
const_assert_eq!(core::mem::offset_of!(V1HashTunnel, outer_th_offset), 20);
const_assert!(align_of::<V1HashTunnel>() == 1);

impl Base {
    /// Whether the header asks for nothing but to take the packet as it is:
    /// no partial checksum, no GSO, no flag that needs a closer look. Such a
    /// packet needs no [`crate::rx::decode`], only [`Base::is_data_valid`].
    #[inline]
    pub const fn is_plain(&self) -> bool {
        (self.flags & !flag::DATA_VALID) | self.gso_type == 0
    }

    /// Whether the device has verified the checksum. Only to be believed where
    /// [`Features::GUEST_CSUM`] was negotiated.
    #[inline]
    pub const fn is_data_valid(&self) -> bool {
        self.flags & flag::DATA_VALID != 0
    }
}

/// Which of the headers is in front of each packet, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderLayout {
    /// [`Base`].
    Legacy10,
    /// [`V1`].
    Mergeable12,
    /// [`V1Hash`].
    Hash20,
    /// [`V1HashTunnel`].
    Tunnel24,
}

impl HeaderLayout {
    /// Length of the longest header, in bytes.
    pub const MAX_LEN: usize = size_of::<V1HashTunnel>();

    /// The layout that the negotiated features give.
    pub const fn from_features(negotiated: Features) -> Self {
        const TUNNEL: Features =
            Features::GUEST_UDP_TUNNEL_GSO.union(Features::HOST_UDP_TUNNEL_GSO);
        const V1: Features = Features::MRG_RXBUF.union(Features::VERSION_1);

        if negotiated.intersects(TUNNEL) {
            Self::Tunnel24
        } else if negotiated.contains(Features::HASH_REPORT) {
            Self::Hash20
        } else if negotiated.intersects(V1) {
            Self::Mergeable12
        } else {
            Self::Legacy10
        }
    }

    /// Length of the header in bytes.
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(self) -> usize {
        match self {
            Self::Legacy10 => size_of::<Base>(),
            Self::Mergeable12 => size_of::<V1>(),
            Self::Hash20 => size_of::<V1Hash>(),
            Self::Tunnel24 => size_of::<V1HashTunnel>(),
        }
    }

    /// Which bytes of the longest header the layout has.
    pub fn mask(self) -> HeaderMask {
        let mut bytes = [0_u8; Self::MAX_LEN];
        if let Some(own) = bytes.get_mut(..self.len()) {
            own.fill(0xff);
        }
        HeaderMask(zerocopy::transmute!(bytes))
    }

    /// The header that `data` begins with, with zeroes for what the layout lacks; zeroes only, if
    /// it is not all there.
    #[inline(always)]
    pub fn read(self, data: &[u8]) -> [u8; Self::MAX_LEN] {
        // Copies of constant lengths.
        match self {
            Self::Legacy10 => read_chunk::<{ size_of::<Base>() }>(data),
            Self::Mergeable12 => read_chunk::<{ size_of::<V1>() }>(data),
            Self::Hash20 => read_chunk::<{ size_of::<V1Hash>() }>(data),
            Self::Tunnel24 => read_chunk::<{ size_of::<V1HashTunnel>() }>(data),
        }
    }
}

/// The first `N` bytes, and zeroes.
#[inline(always)]
fn read_chunk<const N: usize>(data: &[u8]) -> [u8; HeaderLayout::MAX_LEN] {
    let mut header = [0; HeaderLayout::MAX_LEN];
    if let (Some(to), Some(from)) = (header.first_chunk_mut::<N>(), data.first_chunk::<N>()) {
        *to = *from;
    }
    header
}

/// The bytes that a header has, of those that the longest has: reads headers of any layout
/// without asking which it is.
#[derive(Clone, Copy)]
pub struct HeaderMask([u64; HeaderLayout::MAX_LEN / size_of::<u64>()]);

impl HeaderMask {
    /// The header that `data` begins with, and zeroes.
    #[inline(always)]
    pub fn read(&self, data: &[u8; HeaderLayout::MAX_LEN]) -> [u8; HeaderLayout::MAX_LEN] {
        let Self([first, second, third]) = *self;
        let [a, b, c]: [u64; 3] = zerocopy::transmute!(*data);
        zerocopy::transmute!([a & first, b & second, c & third])
    }
}

#[cfg(test)]
mod tests;
