// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::seed;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn record(kind: u8, virtqueue: u16, counters: &[u64]) -> Vec<u8> {
    let len = (HEADER_LEN + 8 * counters.len()) as u16;
    let mut bytes = vec![kind, 0];
    bytes.extend(virtqueue.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(len.to_le_bytes());
    for counter in counters {
        bytes.extend(counter.to_le_bytes());
    }
    bytes
}

#[test]
fn answers() {
    let mut reply = record(Kind::RxBasic as u8, 2, &[1, 2, 3, 4, 5, 6]);
    reply.extend(record(99, 2, &[7]));
    // A newer device may have more than we know.
    reply.extend(record(Kind::TxChecksum as u8, 3, &[8, 9, 10]));
    let got: Vec<_> = records(&reply)
        .map(|record| (record.virtqueue, record.kind, record.counters))
        .collect();
    assert_eq!(
        got,
        [
            (2, Kind::RxBasic, [1, 2, 3, 4, 5, 6]),
            (3, Kind::TxChecksum, [8, 9, 0, 0, 0, 0])
        ]
    );
    seed::record("statistics", &[&reply]);
    // Cut short: what is whole before is there.
    reply.pop();
    seed::record("statistics", &[&reply]);
    assert_eq!(records(&reply).count(), 1);
    let mut empty = record(Kind::Control as u8, 8, &[1]);
    assert_eq!(records(&empty).count(), 0);
    // A record of no length would never end.
    empty[6] = 0;
    seed::record("statistics", &[&empty]);
    assert_eq!(records(&empty).count(), 0);
}

#[test]
fn bits_and_places() {
    assert_eq!(Kind::Control.bit(), 1 << 32);
    assert_eq!(Kind::TxSpeed.bit(), 1 << 19);
    for all in [&Kind::RX, &Kind::TX] {
        for (place, kind) in all.iter().enumerate() {
            assert_eq!(kind.place(), place);
            assert!(kind.counters().len() <= MOST);
            assert_eq!(Kind::from_type(*kind as u8), Some(*kind));
        }
    }
    let some: Vec<_> = kinds(0b1011 | (1 << 17), &Kind::RX).collect();
    assert_eq!(some, [Kind::RxBasic, Kind::RxChecksum, Kind::RxSpeed]);
    assert_eq!(Kind::RxBasic.reply_len(), 56);
    assert_eq!(Kind::Control.reply_len(), 24);
}

proptest! {
    #[test]
    fn any_answer_ends(reply in proptest::collection::vec(prop_oneof![0u8..40, any::<u8>()], 0..300)) {
        prop_assert!(records(&reply).count() <= reply.len() / HEADER_LEN);
    }
}

#[test]
fn what_may_be_asked_for() {
    let all = Kind::all().fold(0, |bits, kind| bits | kind.bit());
    let rest = Kind::all()
        .filter(|kind| kind.place() == 0 || kind.place() == 3)
        .fold(0, |bits, kind| bits | kind.bit());
    assert_eq!(permitted(u64::MAX, Features::all()), all);
    assert_eq!(permitted(all, Features::empty()), rest);
    for (feature, kind) in [
        (Features::GUEST_CSUM, Kind::RxChecksum),
        (Features::CSUM, Kind::TxChecksum),
        (Features::GUEST_TSO4, Kind::RxGso),
        (Features::GUEST_TSO6, Kind::RxGso),
        (Features::HOST_TSO4, Kind::TxGso),
        (Features::HOST_TSO6, Kind::TxGso),
        (Features::HOST_USO, Kind::TxGso),
    ] {
        assert_eq!(permitted(all, feature), rest | kind.bit());
        assert_eq!(permitted(rest, feature), rest);
    }
}
