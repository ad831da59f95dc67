// SPDX-License-Identifier: GPL-2.0

//! A device's answer to the question for its statistics: the bytes of the answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use virtio_net_wire::stats::{records, Kind, MOST};

fuzz_target!(|reply: &[u8]| {
    let mut rest = reply;
    for record in records(reply) {
        let kinds = [&Kind::RX[..], &Kind::TX, &Kind::CONTROL].concat();
        assert!(kinds.contains(&record.kind));
        let count = record.kind.counters().len();
        assert!(count <= MOST && record.counters[count..] == [0; MOST][count..]);
        rest = verify(rest, &record);
    }
});

/// Finds the record in the answer by another way, and returns what is behind it.
fn verify<'a>(mut rest: &'a [u8], record: &virtio_net_wire::stats::Record) -> &'a [u8] {
    loop {
        let len = usize::from(u16::from_le_bytes([rest[6], rest[7]]));
        assert!(len >= 8 && len <= rest.len(), "beyond the answer");
        let (own, next) = rest.split_at(len);
        rest = next;
        if own[0] != record.kind as u8 {
            continue;
        }
        assert_eq!(own[2..4], record.virtqueue.to_le_bytes());
        assert!(own.len() >= record.kind.reply_len());
        let counters: Vec<_> = record.counters.iter().map(|n| n.to_le_bytes()).collect();
        let used = record.kind.reply_len() - 8;
        assert_eq!(own[8..8 + used], counters.as_flattened()[..used]);
        return rest;
    }
}
