// SPDX-License-Identifier: GPL-2.0

//! When the device notifies of used buffers (section 5.1.6.5.9).

use super::{write_parts, Command};
use crate::features::Features;

const CLASS: u8 = 6;

/// Notify once one of both is reached; 0 and 0, or 1 packet, is at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Coalesce {
    /// Used packets.
    pub packets: u32,
    /// Microseconds since the first one.
    pub usecs: u32,
}

impl Coalesce {
    fn write(self, before: &[u8], out: &mut [u8]) -> Option<usize> {
        let (packets, usecs) = (self.packets.to_le_bytes(), self.usecs.to_le_bytes());
        write_parts(out, &[before, &packets, &usecs])
    }
}

/// `VIRTIO_NET_CTRL_NOTF_COAL_TX_SET`: for all transmit queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTxCoalesce(
    /// When.
    pub Coalesce,
);

/// `VIRTIO_NET_CTRL_NOTF_COAL_RX_SET`: for all receive queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRxCoalesce(
    /// When.
    pub Coalesce,
);

/// `VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET`: for one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetQueueCoalesce {
    /// Number of the virtqueue: twice that of the queue pair, plus 1 for transmission.
    pub virtqueue: u16,
    /// When.
    pub coalesce: Coalesce,
}

impl Command for SetTxCoalesce {
    const CLASS: u8 = CLASS;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::NOTF_COAL);

    fn command(&self) -> u8 {
        0
    }

    fn payload_len(&self) -> usize {
        8
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        self.0.write(&[], out)
    }
}

impl Command for SetRxCoalesce {
    const CLASS: u8 = CLASS;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::NOTF_COAL);

    fn command(&self) -> u8 {
        1
    }

    fn payload_len(&self) -> usize {
        8
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        self.0.write(&[], out)
    }
}

impl Command for SetQueueCoalesce {
    const CLASS: u8 = CLASS;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::VQ_NOTF_COAL);

    fn command(&self) -> u8 {
        2
    }

    fn payload_len(&self) -> usize {
        12
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let [low, high] = self.virtqueue.to_le_bytes();
        // Two bytes are reserved.
        self.coalesce.write(&[low, high, 0, 0], out)
    }
}
