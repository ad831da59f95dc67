// SPDX-License-Identifier: GPL-2.0

//! What is asked of the kernel for a frame to be sent, in front of it (`struct xsk_tx_metadata`).

use crate::frames::{CHECKSUM, UDP};

/// Bytes in front of each frame.
pub const LEN: usize = 24;
/// In the options of a descriptor: there are such.
pub const XDP_TX_METADATA: u32 = 2;
const XDP_TXMD_FLAGS_TIMESTAMP: u64 = 1;
const XDP_TXMD_FLAGS_CHECKSUM: u64 = 2;
const XDP_TXMD_FLAGS_LAUNCH_TIME: u64 = 4;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// That the checksum be completed.
    pub checksum: bool,
    /// That it be noted when it was sent.
    pub stamp: bool,
    /// That it be sent at this time.
    pub launch: Option<u64>,
}

impl Request {
    /// As the kernel reads it.
    pub fn bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let mut flags = 0;
        if self.stamp {
            flags |= XDP_TXMD_FLAGS_TIMESTAMP;
        }
        if self.checksum {
            flags |= XDP_TXMD_FLAGS_CHECKSUM;
            bytes[8..10].copy_from_slice(&(UDP as u16).to_ne_bytes());
            bytes[10..12].copy_from_slice(&(CHECKSUM as u16).to_ne_bytes());
        }
        if let Some(launch) = self.launch {
            flags |= XDP_TXMD_FLAGS_LAUNCH_TIME;
            bytes[16..].copy_from_slice(&launch.to_ne_bytes());
        }
        bytes[..8].copy_from_slice(&flags.to_ne_bytes());
        bytes
    }

    /// The time at which a frame was sent, from where the kernel has put it.
    pub fn stamp(bytes: &[u8]) -> u64 {
        bytes
            .get(8..16)
            .and_then(|bytes| bytes.first_chunk())
            .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_the_kernels() {
        let bytes = Request {
            checksum: true,
            stamp: false,
            launch: Some(0x0102_0304),
        }
        .bytes();
        assert_eq!(u64::from_ne_bytes(bytes[..8].try_into().unwrap()), 6);
        assert_eq!(u16::from_ne_bytes([bytes[8], bytes[9]]), 34);
        assert_eq!(u16::from_ne_bytes([bytes[10], bytes[11]]), 6);
        assert_eq!(
            u64::from_ne_bytes(bytes[16..].try_into().unwrap()),
            0x0102_0304
        );
        assert_eq!(Request::default().bytes(), [0; LEN]);
    }

    #[test]
    fn stamps_are_read() {
        let mut bytes = [0; LEN];
        bytes[8..16].copy_from_slice(&77u64.to_ne_bytes());
        assert_eq!(Request::stamp(&bytes), 77);
        assert_eq!(Request::stamp(&[]), 0);
    }
}
