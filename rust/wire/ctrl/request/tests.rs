// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::ctrl::{self, Command};
use proptest::prelude::*;
use std::vec::Vec;

fn sent<C: Command>(command: &C) -> ([u8; 2], Vec<u8>) {
    let mut payload = std::vec![0; command.payload_len()];
    assert_eq!(command.write(&mut payload), Some(payload.len()));
    (command.header(), payload)
}

/// What a device understands of what our encoders write.
#[test]
fn commands_come_back() {
    let check = |sent: ([u8; 2], Vec<u8>), expected: Request<'_>| {
        let ([class, command], payload) = sent;
        assert_eq!(Request::decode(class, command, &payload), Ok(expected));
        // Neither shorter nor longer.
        let mut longer = payload.clone();
        longer.push(0);
        let longer = Request::decode(class, command, &longer);
        assert_eq!(longer, Err(RequestError::Length));
        if let Some((_, shorter)) = payload.split_last() {
            let shorter = Request::decode(class, command, shorter);
            assert_eq!(shorter, Err(RequestError::Length));
        }
    };
    let pairs = ctrl::SetQueuePairs::new(0x0102).expect("in range");
    check(sent(&pairs), Request::QueuePairs(0x0102));
    check(sent(&ctrl::AckAnnounce), Request::AnnounceAck);
    check(sent(&ctrl::SetMac([1; 6])), Request::Mac([1; 6]));
    let vlan = ctrl::VlanId::new(7).expect("in range");
    check(sent(&ctrl::AddVlan(vlan)), Request::AddVlan(7));
    check(sent(&ctrl::DelVlan(vlan)), Request::DelVlan(7));
    let mode = ctrl::RxMode::AllMulticast;
    let request = Request::RxMode(RxSwitch::AllMulticast, true);
    check(sent(&ctrl::SetRxMode { mode, on: true }), request);
    let offloads = ctrl::GuestOffloads::from_features(crate::Features::GUEST_CSUM);
    let request = Request::GuestOffloads(2);
    check(sent(&ctrl::SetGuestOffloads(offloads)), request);
    let (unicast, multicast) = ([[2; 6]], [[3; 6], [5; 6]]);
    let table = ctrl::MacTable::new(&unicast, &multicast).expect("short");
    check(sent(&table), Request::MacTable(&unicast, &multicast));
}

#[test]
fn steering() {
    let mut payload = std::vec![0x3f, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 2, 0xaa, 0xbb];
    let rss = Rss {
        hash_types: 0x3f,
        unclassified: 2,
        table: &[U16::new(3), U16::new(4)],
        max_tx: 5,
        key: &[0xaa, 0xbb],
    };
    assert_eq!(Request::decode(4, 1, &payload), Ok(Request::Rss(rss)));
    for len in 0..payload.len() {
        let short = Request::decode(4, 1, &payload[..len]);
        assert_eq!(short, Err(RequestError::Length), "{len}");
    }
    payload.push(0);
    assert_eq!(Request::decode(4, 1, &payload), Ok(Request::Rss(rss)));
    payload[4] = 2;
    assert_eq!(Request::decode(4, 1, &payload), Err(RequestError::Value));
    let hash = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xcc];
    let request = Request::Hash(1, &[0xcc]);
    assert_eq!(Request::decode(4, 2, &hash), Ok(request));
}

#[test]
fn coalescing_and_statistics() {
    let coalesce = Coalesce {
        max_packets: 9.into(),
        max_usecs: 8.into(),
    };
    let bytes = [3, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0];
    let decode = |command, bytes| Request::decode(6, command, bytes);
    assert_eq!(decode(0, &bytes[4..]), Ok(Request::CoalesceTx(coalesce)));
    assert_eq!(decode(1, &bytes[4..]), Ok(Request::CoalesceRx(coalesce)));
    assert_eq!(decode(2, &bytes), Ok(Request::CoalesceQueue(3, coalesce)));
    assert_eq!(decode(3, &bytes), Ok(Request::GetCoalesceQueue(3)));
    assert_eq!(Request::decode(8, 0, &[]), Ok(Request::StatsTypes));
    let query = StatsQuery {
        queue: 1.into(),
        reserved: Default::default(),
        types: 0x8001.into(),
    };
    let bytes = [1, 0, 0, 0, 0, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0];
    let request = Request::Stats(core::slice::from_ref(&query));
    assert_eq!(Request::decode(8, 1, &bytes), Ok(request));
}

#[test]
fn all_receive_modes() {
    for command in 0..6 {
        let request = Request::decode(0, command, &[0]).expect("known");
        assert!(matches!(request, Request::RxMode(_, false)));
    }
    assert_eq!(Request::decode(0, 6, &[0]), Err(RequestError::Unknown));
    assert_eq!(Request::decode(2, 0, &[0, 16]), Err(RequestError::Value));
    assert_eq!(std::format!("{}", RequestError::Value), "Value");
}

proptest! {
    /// Whatever the driver says, the device has an answer.
    #[test]
    fn any_bytes(class in 0u8..10, command in 0u8..7, payload: Vec<u8>) {
        let _ = Request::decode(class, command, &payload);
    }
}
