// SPDX-License-Identifier: GPL-2.0

//! What the device counts, for scripts and for the driver's own question
//! (`VIRTIO_NET_F_DEVICE_STATS`).

use serde::Serialize;

/// Counters of one direction of a queue pair, from the driver's point of view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    /// Frames that passed.
    pub packets: u64,
    /// Bytes of them, without the header.
    pub bytes: u64,
    /// Frames that did not, since there was no buffer.
    pub no_buffers: u64,
    /// Frames that did not for another reason.
    pub drops: u64,
    /// Chains that made no sense.
    pub malformed: u64,
    /// Frames with a checksum to be completed.
    pub needs_csum: u64,
    /// Frames longer than the MTU, to be cut.
    pub gso_packets: u64,
    /// Bytes of those.
    pub gso_bytes: u64,
    /// Notifications of the driver.
    pub notifications: u64,
}

/// Counters of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Receive queues.
    pub rx: Vec<QueueStats>,
    /// Transmit queues.
    pub tx: Vec<QueueStats>,
    /// Control commands that were carried out.
    pub ctrl_ok: u64,
    /// Control commands that were refused.
    pub ctrl_err: u64,
    /// Received frames that a filter kept away.
    pub filtered: u64,
    /// Device resets by the driver, or by the transport.
    pub resets: u64,
    /// Queue resets.
    pub queue_resets: u64,
    /// Times that the device asked for a reset because of what the driver did.
    pub broken: u64,
}

impl Stats {
    /// Zeros, for so many queue pairs.
    pub fn new(pairs: u16) -> Self {
        Self {
            rx: vec![QueueStats::default(); pairs.into()],
            tx: vec![QueueStats::default(); pairs.into()],
            ..Self::default()
        }
    }
}
