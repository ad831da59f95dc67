// SPDX-License-Identifier: GPL-2.0

//! What the device counts, for scripts and for the driver's own question
//! (`VIRTIO_NET_F_DEVICE_STATS`).

use super::{Device, Role};
use crate::hostile::Random;
use serde::Serialize;
use virtio_net_wire::Features;

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
    /// Frames that sent ones of those are on a cable.
    pub gso_segments: u64,
    /// Bytes of these frames.
    pub gso_segments_bytes: u64,
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

/// Bits of the types of statistics that the device keeps.
mod types {
    pub(super) const RX_BASIC: u32 = 0;
    pub(super) const RX_CSUM: u32 = 1;
    pub(super) const RX_GSO: u32 = 2;
    pub(super) const TX_BASIC: u32 = 16;
    pub(super) const TX_CSUM: u32 = 17;
    pub(super) const TX_GSO: u32 = 18;
    pub(super) const CVQ: u32 = 32;
    pub(super) const ALL: [u32; 7] = [RX_BASIC, RX_CSUM, RX_GSO, TX_BASIC, TX_CSUM, TX_GSO, CVQ];
}

/// Bytes in front of the counters of one record: type, queue, length.
const HEADER_LEN: usize = 8;

/// Spoils an answer of whole records: in most, the type, the queue or the length is
/// another, each among what a driver that believes it would stumble over.
pub(super) fn garble(answer: &mut [u8], random: &mut Random) {
    let mut rest = answer;
    while let Some(header) = rest.first_chunk::<HEADER_LEN>() {
        let len = usize::from(u16::from_le_bytes([header[6], header[7]])).max(HEADER_LEN);
        let Some((record, next)) = rest.split_at_mut_checked(len) else {
            break;
        };
        let (header, counters) = record.split_at_mut(HEADER_LEN);
        random.fill(counters);
        if random.below(2) == 0 {
            header[0] = random.below(40) as u8;
        }
        if random.below(2) == 0 {
            let queue = [random.below(16) as u16, random.next_u64() as u16];
            header[2..4].copy_from_slice(&queue[random.below(2) as usize].to_le_bytes());
        }
        if random.below(4) == 0 {
            let lens = [0, 1, 7, 8, len - 8, len + 8, len * 8, 0xffff];
            let len = lens[random.below(lens.len() as u64) as usize] as u16;
            header[6..8].copy_from_slice(&len.to_le_bytes());
        }
        rest = next;
    }
}

impl Device {
    /// The answer to `VIRTIO_NET_CTRL_STATS_QUERY`.
    pub(super) fn stats_types(&self) -> u64 {
        types::ALL.iter().map(|bit| 1u64 << bit).sum()
    }

    /// Appends the counters of one queue that `wanted` asks for, each type with
    /// its header.
    pub(super) fn append_stats(
        &self,
        index: u16,
        wanted: u64,
        reply: &mut Vec<u8>,
    ) -> Result<(), String> {
        let role = self
            .role(index)
            .ok_or_else(|| format!("no queue {index}"))?;
        for kind in types::ALL {
            if (wanted >> kind) & 1 == 0 {
                continue;
            }
            if !self.has_what_it_takes(kind) {
                return Err(format!("statistics of type {kind} without their feature"));
            }
            let Some(counters) = self.counters(index, role, kind) else {
                return Err(format!("queue {index} has no statistics of type {kind}"));
            };
            let size = (HEADER_LEN + 8 * counters.len()) as u16;
            reply.extend_from_slice(&[kind as u8, 0]);
            reply.extend_from_slice(&index.to_le_bytes());
            reply.extend_from_slice(&[0, 0]);
            reply.extend_from_slice(&size.to_le_bytes());
            for counter in counters {
                reply.extend_from_slice(&counter.to_le_bytes());
            }
        }
        Ok(())
    }

    /// Whether a feature that this type is about was negotiated; without, the whole command is an error.
    fn has_what_it_takes(&self, kind: u32) -> bool {
        let any = match kind {
            types::RX_CSUM => Features::GUEST_CSUM,
            types::TX_CSUM => Features::CSUM,
            types::RX_GSO => Features::GUEST_TSO4 | Features::GUEST_TSO6,
            types::TX_GSO => Features::HOST_TSO4 | Features::HOST_TSO6 | Features::HOST_USO,
            _ => return true,
        };
        self.negotiated.intersects(any)
    }

    fn counters(&self, index: u16, role: Role, kind: u32) -> Option<Vec<u64>> {
        let interrupts = self.queue(index)?.interrupts;
        let none = |s: &QueueStats| s.packets.saturating_sub(s.needs_csum);
        Some(match (role, kind) {
            (Role::Rx(pair), _) => {
                let s = self.stats.rx.get(usize::from(pair))?;
                let drops = s.no_buffers + s.drops + s.malformed;
                match kind {
                    types::RX_BASIC => {
                        vec![
                            s.notifications,
                            s.packets,
                            s.bytes,
                            interrupts,
                            drops,
                            s.no_buffers,
                        ]
                    }
                    types::RX_CSUM => vec![0, s.needs_csum, none(s), 0],
                    types::RX_GSO => vec![s.gso_packets, s.gso_bytes, 0, 0],
                    _ => return None,
                }
            }
            (Role::Tx(pair), _) => {
                let s = self.stats.tx.get(usize::from(pair))?;
                let drops = s.drops + s.malformed;
                match kind {
                    types::TX_BASIC => {
                        vec![
                            s.notifications,
                            s.packets,
                            s.bytes,
                            interrupts,
                            drops,
                            s.malformed,
                        ]
                    }
                    types::TX_CSUM => vec![none(s), s.needs_csum],
                    types::TX_GSO => {
                        let (segments, bytes) = (s.gso_segments, s.gso_segments_bytes);
                        vec![s.gso_packets, s.gso_bytes, segments, bytes, 0, 0]
                    }
                    _ => return None,
                }
            }
            (Role::Control, types::CVQ) => {
                vec![self.stats.ctrl_ok + self.stats.ctrl_err, self.stats.ctrl_ok]
            }
            _ => return None,
        })
    }
}
