// SPDX-License-Identifier: GPL-2.0

//! What the driver sends.

use super::{offload, Device, Frame, Header, Role};
use crate::hostile::Lie;
use crate::ring::Used;
use std::time::Instant;

/// Most chains taken in one turn.
const TURN: usize = 64;
/// The longest frame with its header, in bytes: 64 KiB and headers.
const MAX_LEN: usize = 65535 + 14 + 8 + 64;

impl Device {
    /// Takes what the driver has queued for transmission on `pair`, up to one
    /// turn's worth; [`Device::has_work`] tells whether there is more.
    pub fn drain(&mut self, pair: u16, now: Instant) -> Vec<Frame> {
        let mut frames = Vec::new();
        let index = usize::from(self.index_of(Role::Tx(pair)));
        if !self.is_running() || self.role(index as u16) != Some(Role::Tx(pair)) {
            return frames;
        }
        let layout = self.layout;
        let Self {
            queues,
            stats,
            hostile,
            memory,
            ..
        } = self;
        let (Some(queue), Some(stats)) =
            (queues.get_mut(index), stats.tx.get_mut(usize::from(pair)))
        else {
            return frames;
        };
        if !queue.kicked || queue.stopped {
            return frames;
        }
        if hostile.tells(Lie::TxStop) {
            queue.stopped = true;
            return frames;
        }
        queue.ignore(memory);
        let mut used = Vec::new();
        while used.len() < TURN {
            let Some(chain) = queue.pop(memory) else {
                queue.kicked = queue.listen(memory);
                if queue.kicked {
                    queue.ignore(memory);
                    continue;
                }
                break;
            };
            used.push(Used {
                id: chain.id,
                len: 0,
                slots: chain.slots,
            });
            let bytes = match chain.read(memory, MAX_LEN) {
                Ok(bytes) => bytes,
                Err(error) => {
                    queue.fail(error);
                    break;
                }
            };
            let header = Header::decode(layout, &bytes);
            match (header, bytes.get(layout.len()..)) {
                (Some(header), Some(data)) if !data.is_empty() && chain.writable.is_empty() => {
                    stats.packets += 1;
                    stats.bytes += data.len() as u64;
                    stats.needs_csum += u64::from(header.needs_csum());
                    let frame = Frame {
                        header,
                        data: data.to_vec(),
                    };
                    if frame.header.is_gso() {
                        let (segments, bytes) = offload::segments(&frame).unwrap_or_default();
                        stats.gso_packets += 1;
                        stats.gso_bytes += data.len() as u64;
                        stats.gso_segments += segments as u64;
                        stats.gso_segments_bytes += bytes as u64;
                    }
                    frames.push(frame);
                }
                _ => stats.malformed += 1,
            }
        }
        queue.push(memory, hostile, &used, now);
        frames
    }

    /// Whether a transmit queue has more than was taken, or was notified.
    pub fn has_work(&self) -> bool {
        let queues = self.queues.iter().enumerate();
        self.is_running()
            && queues.into_iter().any(|(index, queue)| {
                queue.kicked
                    && !queue.stopped
                    && queue.is_running()
                    && !matches!(self.role(index as u16), Some(Role::Rx(_)) | None)
            })
    }
}
