// SPDX-License-Identifier: GPL-2.0

//! What a driver asks of the device for a packet that it sends (section 5.1.6.2).

use crate::header::{flag, gso, Base, HeaderLayout, V1Hash, V1HashTunnel, V1};
pub use crate::rx::{Gso, GsoKind, PartialChecksum};
pub use crate::tunnel::Tunnel;
use zerocopy::IntoBytes;

/// Offloads of one packet to be sent.
///
/// ```
/// use virtio_net_wire::tx::{PartialChecksum, TxOffload};
/// use virtio_net_wire::HeaderLayout;
///
/// let checksum = Some(PartialChecksum { start: 34, offset: 16 });
/// let offload = TxOffload { checksum, gso: None };
/// let mut header = [0xff; HeaderLayout::MAX_LEN];
/// assert_eq!(offload.encode(HeaderLayout::Mergeable12, &mut header), Some(12));
/// assert_eq!(header[..12], [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxOffload {
    /// Where the device is to complete the checksum.
    pub checksum: Option<PartialChecksum>,
    /// How the device is to cut the packet. Goes with `checksum`, but for
    /// packets that are passed on as they were received.
    pub gso: Option<Gso>,
}

impl TxOffload {
    /// Send the packet as it is.
    pub const NONE: Self = Self {
        checksum: None,
        gso: None,
    };

    /// Whether nothing is asked for.
    #[inline]
    pub const fn is_none(&self) -> bool {
        self.checksum.is_none() && self.gso.is_none()
    }

    /// The header as a value, without what longer layouts append.
    #[inline]
    pub const fn to_v1(self) -> V1 {
        use zerocopy::little_endian::U16;

        let mut base = Base {
            flags: 0,
            gso_type: gso::NONE,
            hdr_len: U16::ZERO,
            gso_size: U16::ZERO,
            csum_start: U16::ZERO,
            csum_offset: U16::ZERO,
        };
        if let Some(checksum) = self.checksum {
            base.flags = flag::NEEDS_CSUM;
            base.csum_start = U16::new(checksum.start);
            base.csum_offset = U16::new(checksum.offset);
        }
        if let Some(gso) = self.gso {
            base.gso_type = gso.kind as u8 | if gso.ecn { gso::ECN } else { 0 };
            if let Some(tunnel) = gso.tunnel {
                let (gso_type, flags) = tunnel.bits();
                base.gso_type |= gso_type;
                base.flags |= flags;
            }
            base.hdr_len = U16::new(gso.hdr_len);
            base.gso_size = U16::new(gso.size);
        }
        V1 {
            base,
            num_buffers: U16::ZERO,
        }
    }

    /// The longest header, with what [`TxOffload::to_v1`] gave.
    #[inline]
    pub fn to_tunnel(self, v1: V1) -> V1HashTunnel {
        Tunnel::header(self.gso.and_then(|gso| gso.tunnel), v1)
    }

    /// Writes the header to the beginning of `out`, all its bytes, and returns its
    /// length; `None`, with `out` as it was, if `out` is too short.
    #[inline]
    pub fn encode(self, layout: HeaderLayout, out: &mut [u8]) -> Option<usize> {
        let v1 = self.to_v1();
        // One store of constant size for each layout.
        match layout {
            HeaderLayout::Mergeable12 => v1.write_to_prefix(out).ok()?,
            HeaderLayout::Legacy10 => v1.base.write_to_prefix(out).ok()?,
            HeaderLayout::Hash20 => {
                let header = V1Hash {
                    v1,
                    ..V1Hash::default()
                };
                header.write_to_prefix(out).ok()?;
            }
            HeaderLayout::Tunnel24 => {
                self.to_tunnel(v1).write_to_prefix(out).ok()?;
            }
        }
        Some(layout.len())
    }
}

#[cfg(test)]
mod tests;
