// SPDX-License-Identifier: GPL-2.0

//! Receive-side scaling and hash reports (sections 5.1.6.5.7 and 5.1.6.5.6.4).

use super::{write_parts, Command};
use crate::config::QUEUE_PAIRS;
use crate::features::Features;
use crate::rss::HashTypes;

const CLASS: u8 = 4;

/// `VIRTIO_NET_CTRL_MQ_RSS_CONFIG`: hash received packets, look the hash's low bits
/// up in a table of receive queues, and use so many transmit queues. Queue pairs are
/// not to be set by another command then, which ends RSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRss<'a> {
    types: HashTypes,
    table: &'a [[u8; 2]],
    /// The table's length less one, by which a hash is cut to an index.
    mask: u16,
    queue_pairs: u16,
    key: &'a [u8],
    key_len: u8,
}

impl<'a> SetRss<'a> {
    /// `None` unless the table's length is a power of two up to 32768, the key has at
    /// most 255 bytes, and the queue pairs are of [`QUEUE_PAIRS`].
    ///
    /// The table's entries are little-endian numbers of receive queues. Packets
    /// without hash go to queue 0.
    pub fn new(
        types: HashTypes,
        table: &'a [[u8; 2]],
        queue_pairs: u16,
        key: &'a [u8],
    ) -> Option<Self> {
        let fits = table.len().is_power_of_two()
            && table.len() <= 0x8000
            && QUEUE_PAIRS.contains(&queue_pairs);
        let mask = u16::try_from(table.len().wrapping_sub(1));
        let (true, Ok(mask), Ok(key_len)) = (fits, mask, u8::try_from(key.len())) else {
            return None;
        };
        Some(Self {
            types,
            table,
            mask,
            queue_pairs,
            key,
            key_len,
        })
    }
}

impl Command for SetRss<'_> {
    const CLASS: u8 = CLASS;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::RSS);

    fn command(&self) -> u8 {
        1
    }

    fn payload_len(&self) -> usize {
        // Types, mask, queue without hash; table; transmit queues, length of the key.
        let fixed = 4 + 2 + 2 + 2 + 1usize;
        fixed
            .saturating_add(self.table.as_flattened().len())
            .saturating_add(self.key.len())
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(
            out,
            &[
                &self.types.bits().to_le_bytes(),
                &self.mask.to_le_bytes(),
                &0u16.to_le_bytes(),
                self.table.as_flattened(),
                &self.queue_pairs.to_le_bytes(),
                &[self.key_len],
                self.key,
            ],
        )
    }
}

/// `VIRTIO_NET_CTRL_MQ_HASH_CONFIG`: hash received packets for the report in their
/// header, and choose queues as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetHash<'a> {
    types: HashTypes,
    key: &'a [u8],
    key_len: u8,
}

impl<'a> SetHash<'a> {
    /// `None` if the key has more than 255 bytes.
    pub fn new(types: HashTypes, key: &'a [u8]) -> Option<Self> {
        let key_len = u8::try_from(key.len()).ok()?;
        Some(Self {
            types,
            key,
            key_len,
        })
    }
}

impl Command for SetHash<'_> {
    const CLASS: u8 = CLASS;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::HASH_REPORT);

    fn command(&self) -> u8 {
        2
    }

    fn payload_len(&self) -> usize {
        // Types, four reserved words, length of the key.
        let fixed = 4 + 8 + 1usize;
        fixed.saturating_add(self.key.len())
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(
            out,
            &[
                &self.types.bits().to_le_bytes(),
                &[0; 8],
                &[self.key_len],
                self.key,
            ],
        )
    }
}
