// SPDX-License-Identifier: GPL-2.0

//! Questions about the device's statistics (section 5.1.6.5.10).

use super::Command;
use crate::features::Features;

const CLASS: u8 = 8;
const REQUIRES: Features = Features::CTRL_VQ.union(Features::DEVICE_STATS);

/// `VIRTIO_NET_CTRL_STATS_QUERY`: which types there are. The answer is 8 bytes, the
/// bits of [`crate::stats::Kind::bit`], little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryStats;

impl Command for QueryStats {
    const CLASS: u8 = CLASS;
    const REQUIRES: Features = REQUIRES;

    fn command(&self) -> u8 {
        0
    }

    fn payload_len(&self) -> usize {
        0
    }

    fn write(&self, _out: &mut [u8]) -> Option<usize> {
        Some(0)
    }
}

/// `VIRTIO_NET_CTRL_STATS_GET`: the counters of virtqueues, each with the bits of the
/// types that are wanted. For the answer see [`crate::stats::records`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetStats<'a>(
    /// Number of the virtqueue, and types.
    pub &'a [(u16, u64)],
);

/// Bytes for each virtqueue: its number, six reserved ones, types.
const ENTRY_LEN: usize = 16;

impl Command for GetStats<'_> {
    const CLASS: u8 = CLASS;
    const REQUIRES: Features = REQUIRES;

    fn command(&self) -> u8 {
        1
    }

    fn payload_len(&self) -> usize {
        self.0.len().saturating_mul(ENTRY_LEN)
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let out = out.get_mut(..self.payload_len())?;
        for (entry, (virtqueue, types)) in out.chunks_exact_mut(ENTRY_LEN).zip(self.0) {
            let whole = u128::from(*virtqueue) | (u128::from(*types) << 64);
            entry.copy_from_slice(&whole.to_le_bytes());
        }
        Some(out.len())
    }
}
