// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::seed::record;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// The payload. Of the fuzz target's inputs, `kind` and `arguments` say the same.
fn bytes<C: Command>(command: &C, kind: u8, arguments: &[u8]) -> Vec<u8> {
    let room = u16::try_from(command.payload_len()).expect("short");
    let features = C::REQUIRES.bits().to_le_bytes();
    record(
        "control",
        &[&[kind], &room.to_le_bytes(), &features, &[0], arguments],
    );
    written(command)
}

/// The payload.
fn written<C: Command>(command: &C) -> Vec<u8> {
    let mut out = vec![0xee; command.payload_len() + 3];
    assert_eq!(command.write(&mut out), Some(command.payload_len()));
    // Nothing behind the payload, and nothing at all if it does not fit.
    assert_eq!(out.split_off(command.payload_len()), [0xee; 3]);
    if let Some(short) = command.payload_len().checked_sub(1) {
        assert_eq!(command.write(&mut out.clone()[..short]), None);
    }
    out
}

#[test]
fn payloads() {
    let pairs = SetQueuePairs::new(0x0102).expect("in range");
    assert_eq!(bytes(&pairs, 4, &[2, 1]), [0x02, 0x01]);
    assert_eq!(bytes(&AckAnnounce, 5, &[]), []);
    for (on, byte) in [(false, 0), (true, 1)] {
        let mode = SetRxMode {
            mode: RxMode::Promiscuous,
            on,
        };
        assert_eq!(bytes(&mode, 0, &[0, byte]), [byte]);
    }
    assert_eq!(
        bytes(&SetMac([1, 2, 3, 4, 5, 6]), 2, &[1, 2, 3, 4, 5, 6]),
        [1, 2, 3, 4, 5, 6]
    );
    let vlan = VlanId::new(0xabc).expect("in range");
    assert_eq!(bytes(&AddVlan(vlan), 3, &[0xbc, 0x0a]), [0xbc, 0x0a]);
    assert_eq!(bytes(&DelVlan(vlan), 3, &[0xbc, 0x0a]), [0xbc, 0x0a]);
    let offloads = GuestOffloads::from_features(
        Features::GUEST_CSUM | Features::GUEST_UDP_TUNNEL_GSO_CSUM | Features::MAC,
    );
    assert_eq!(
        bytes(&SetGuestOffloads(offloads), 6, &[2, 0, 0, 0]),
        [2, 0, 0, 0, 0, 0x80, 0, 0]
    );
}

#[test]
fn receive_side_scaling() {
    use crate::rss::HashTypes;

    let types = HashTypes::IPV4 | HashTypes::UDP_EX;
    let table = [[1, 0], [0, 0], [1, 0], [3, 0]];
    let rss = SetRss::new(types, &table, 4, &[9, 8, 7]).expect("fits");
    assert_eq!(rss.header(), [4, 1]);
    assert_eq!(
        bytes(&rss, 7, &[1, 1, 0, 0, 4, 0, 4, 0, 9, 8, 7]),
        [1, 1, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 3, 0, 4, 0, 3, 9, 8, 7]
    );
    let hash = SetHash::new(types, &[9, 8, 7]).expect("fits");
    assert_eq!(hash.header(), [4, 2]);
    assert_eq!(
        bytes(&hash, 7, &[1, 1, 0, 0, 4, 0, 3, 0, 9, 8, 7]),
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 9, 8, 7]
    );
    for (table, pairs, key) in [
        (3, 4, 3),
        (0, 4, 3),
        (4, 0, 3),
        (4, 4, 256),
        (0x10000, 4, 3),
    ] {
        let (table, key) = (vec![[0; 2]; table], vec![0; key]);
        assert_eq!(SetRss::new(types, &table, pairs, &key), None);
    }
    assert_eq!(SetHash::new(types, &[0; 256]), None);
}

#[test]
fn coalescing() {
    let coalesce = Coalesce {
        packets: 0x0102,
        usecs: 0x0a0b_0c0d,
    };
    let when = [2, 1, 0, 0, 0xd, 0xc, 0xb, 0xa];
    assert_eq!(SetTxCoalesce(coalesce).header(), [6, 0]);
    assert_eq!(SetRxCoalesce(coalesce).header(), [6, 1]);
    assert_eq!(written(&SetTxCoalesce(coalesce)), when);
    assert_eq!(written(&SetRxCoalesce(coalesce)), when);
    let queue = SetQueueCoalesce {
        virtqueue: 0x0506,
        coalesce,
    };
    assert_eq!(queue.header(), [6, 2]);
    assert_eq!(written(&queue)[..4], [6, 5, 0, 0]);
    assert_eq!(written(&queue)[4..], when);
    let both = Features::NOTF_COAL | Features::VQ_NOTF_COAL;
    assert!(!queue.is_allowed_by(Features::CTRL_VQ | Features::NOTF_COAL));
    assert!(!SetRxCoalesce(coalesce).is_allowed_by(Features::CTRL_VQ | Features::VQ_NOTF_COAL));
    assert!(queue.is_allowed_by(Features::CTRL_VQ | both));
}

#[test]
fn statistics() {
    assert_eq!(QueryStats.header(), [8, 0]);
    assert_eq!(written(&QueryStats), []);
    let get = GetStats(&[(3, (1 << 32) | 5), (0x0102, 7)]);
    assert_eq!(get.header(), [8, 1]);
    let expected = [3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(written(&get)[..16], expected);
    let expected = [2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(written(&get)[16..], expected);
}

#[test]
fn ranges() {
    assert_eq!(SetQueuePairs::new(0), None);
    assert!(SetQueuePairs::new(0x8000).is_some());
    assert_eq!(SetQueuePairs::new(0x8001), None);
    assert!(VlanId::new(0xfff).is_some());
    assert_eq!(VlanId::new(0x1000), None);
}

#[test]
fn a_command_needs_its_feature_and_the_queue() {
    let mac = SetMac([0; 6]);
    assert!(mac.is_allowed_by(Features::CTRL_VQ | Features::CTRL_MAC_ADDR));
    assert!(!mac.is_allowed_by(Features::CTRL_VQ));
    assert!(!mac.is_allowed_by(Features::CTRL_MAC_ADDR));

    let permitted = Permitted::new(&mac, Features::CTRL_VQ | Features::CTRL_MAC_ADDR);
    assert_eq!(permitted.map(Permitted::command), Some(&mac));
    assert!(Permitted::new(&mac, Features::CTRL_VQ).is_none());
}

#[test]
fn acknowledgement() {
    assert_eq!([0, 1, 2].map(Ack::from), [Ack::Ok, Ack::Err, Ack::Other(2)]);
    assert_eq!(Ack::from(Ack::UNSET), Ack::Other(Ack::UNSET));
}

proptest! {
    #[test]
    fn mac_tables(unicast: Vec<[u8; 6]>, multicast: Vec<[u8; 6]>) {
        let table = MacTable::new(&unicast, &multicast).expect("short");
        let addresses = [unicast.as_flattened(), multicast.as_flattened()].concat();
        let entries = u8::try_from(unicast.len()).expect("few");
        let payload = bytes(&table, 1, &[&[entries][..], &addresses].concat());
        let (first, second) = payload.split_at(table.first_len());
        for (part, addresses) in [(first, &unicast), (second, &multicast)] {
            let (count, entries) = part.split_at(4);
            prop_assert_eq!(count, u32::try_from(addresses.len()).unwrap().to_le_bytes());
            prop_assert_eq!(entries, addresses.as_flattened());
        }
    }

    #[test]
    fn offloads_keep_their_bits(bits: u128) {
        let features = Features::from_bits_retain(bits);
        let offloads = GuestOffloads::from_features(features).bits();
        let switchable = features & GuestOffloads::SWITCHABLE;
        prop_assert_eq!(offloads.count_ones(), switchable.bits().count_ones());
        let low = switchable.to_words()[0];
        prop_assert_eq!(offloads & low, low);
    }
}
