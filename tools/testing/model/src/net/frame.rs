// SPDX-License-Identifier: GPL-2.0

//! A frame with its virtio-net header (section 5.1.6).

use serde::{Deserialize, Serialize};
use virtio_net_wire::header::{self, Base, HeaderLayout, V1Hash, V1HashTunnel, V1};
use zerocopy::{FromBytes, IntoBytes};

/// The header's fields as numbers. Values of `flags` and `gso_type` are those of
/// [`virtio_net_wire::header`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Bits of [`header::flag`].
    pub flags: u8,
    /// Values of [`header::gso`].
    pub gso_type: u8,
    /// Bytes of the headers up to the payload.
    pub hdr_len: u16,
    /// Bytes of payload in each segment.
    pub gso_size: u16,
    /// From where the checksum is computed, in bytes.
    pub csum_start: u16,
    /// Where it is stored from there, in bytes.
    pub csum_offset: u16,
    /// Hash and hash type of the receive hash report, where there is one.
    pub hash: Option<(u32, u16)>,
    /// Offsets of the outer transport and the inner network header, in bytes.
    pub tunnel: Option<(u16, u16)>,
}

impl Header {
    /// Whether there is a checksum to be completed.
    pub fn needs_csum(&self) -> bool {
        self.flags & header::flag::NEEDS_CSUM != 0
    }

    /// Whether the frame is to be cut into segments.
    pub fn is_gso(&self) -> bool {
        self.gso_type & !header::gso::ECN != header::gso::NONE
    }

    /// Reads the header in front of `bytes`; `None` if there are too few.
    pub fn decode(layout: HeaderLayout, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..layout.len())?;
        let mut all = [0; HeaderLayout::MAX_LEN];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let (header, _) = V1HashTunnel::read_from_prefix(&all).ok()?;
        let base = header.v1_hash.v1.base;
        let offsets = (header.outer_th_offset.get(), header.inner_nh_offset.get());
        Some(Self {
            flags: base.flags,
            gso_type: base.gso_type,
            hdr_len: base.hdr_len.get(),
            gso_size: base.gso_size.get(),
            csum_start: base.csum_start.get(),
            csum_offset: base.csum_offset.get(),
            hash: None,
            tunnel: (base.gso_type & (header::gso::UDP_TUNNEL_IPV4 | header::gso::UDP_TUNNEL_IPV6)
                != 0)
                .then_some(offsets),
        })
    }

    /// The bytes of the header, over `num_buffers` buffers.
    pub fn encode(&self, layout: HeaderLayout, num_buffers: u16) -> Vec<u8> {
        let (hash_value, hash_report) = self.hash.unwrap_or_default();
        let (outer_th_offset, inner_nh_offset) = self.tunnel.unwrap_or_default();
        let all = V1HashTunnel {
            v1_hash: V1Hash {
                v1: V1 {
                    base: Base {
                        flags: self.flags,
                        gso_type: self.gso_type,
                        hdr_len: self.hdr_len.into(),
                        gso_size: self.gso_size.into(),
                        csum_start: self.csum_start.into(),
                        csum_offset: self.csum_offset.into(),
                    },
                    num_buffers: num_buffers.into(),
                },
                hash_value: hash_value.into(),
                hash_report: hash_report.into(),
                padding: 0.into(),
            },
            outer_th_offset: outer_th_offset.into(),
            inner_nh_offset: inner_nh_offset.into(),
        };
        all.as_bytes()[..layout.len()].to_vec()
    }
}

/// A frame from its Ethernet header on, without checksum, and what its header
/// says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// What is to be done with it.
    pub header: Header,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Frame {
    /// A frame that needs nothing.
    pub fn plain(data: Vec<u8>) -> Self {
        Self {
            header: Header::default(),
            data,
        }
    }
}
