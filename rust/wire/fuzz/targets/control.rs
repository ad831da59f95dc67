// SPDX-License-Identifier: GPL-2.0

//! Control commands and what a device answers:
//! `kind, room (2), features (16), answer, arguments`.

#![no_main]

mod input;

use input::Input;
use libfuzzer_sys::fuzz_target;
use virtio_net_wire::ctrl::{
    Ack, AckAnnounce, AddVlan, Command, DelVlan, GuestOffloads, MacTable, RxMode, SetGuestOffloads,
    SetHash, SetMac, SetQueuePairs, SetRss, SetRxMode, VlanId,
};
use virtio_net_wire::rss::HashTypes;
use virtio_net_wire::Features;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let kind = input.u8();
    let sent = Sent {
        room: usize::from(input.u16() % 2048),
        negotiated: input.features(),
    };
    acknowledgement(input.u8());
    match kind % 8 {
        0 => {
            let mode = match input.u8() % 2 {
                0 => RxMode::Promiscuous,
                _ => RxMode::AllMulticast,
            };
            let on = input.u8() % 2 == 1;
            sent.check(&SetRxMode { mode, on });
        }
        1 => {
            let unicast = usize::from(input.u8());
            let addresses = input.rest().as_chunks_6();
            let (unicast, multicast) = addresses.split_at(unicast.min(addresses.len()));
            let table = MacTable::new(unicast, multicast).expect("a short one");
            assert_eq!(table.first_len(), 4 + 6 * unicast.len());
            sent.check(&table);
        }
        2 => sent.check(&SetMac(input.array())),
        3 => {
            let id = input.u16();
            let vlan = VlanId::new(id);
            assert_eq!(vlan.is_some(), id <= 4095);
            if let Some(vlan) = vlan {
                sent.check(&AddVlan(vlan));
                sent.check(&DelVlan(vlan));
            }
        }
        4 => {
            let queue_pairs = input.u16();
            let command = SetQueuePairs::new(queue_pairs);
            assert_eq!(command.is_some(), (1..=0x8000).contains(&queue_pairs));
            if let Some(command) = command {
                sent.check(&command);
            }
        }
        5 => sent.check(&AckAnnounce),
        6 => {
            let offloads = GuestOffloads::from_features(input.features());
            let all = GuestOffloads::from_features(Features::all());
            assert_eq!(offloads.bits() & !all.bits(), 0);
            sent.check(&SetGuestOffloads(offloads));
        }
        _ => {
            let types = HashTypes::from_bits_truncate(u32::from_le_bytes(input.array()));
            let queue_pairs = input.u16();
            let table = vec![[0; 2]; usize::from(input.u16())];
            let key = input.rest();
            let rss = SetRss::new(types, &table, queue_pairs, key);
            let fits = table.len().is_power_of_two() && table.len() <= 0x8000;
            let pairs_exist = (1..=0x8000).contains(&queue_pairs);
            assert_eq!(rss.is_some(), fits && pairs_exist && key.len() <= 255);
            if let Some(rss) = rss {
                sent.check(&rss);
            }
            if let Some(hash) = SetHash::new(types, key) {
                sent.check(&hash);
            }
        }
    }
});

/// Any byte is an answer, and no two mean the same.
fn acknowledgement(answer: u8) {
    match Ack::from(answer) {
        Ack::Ok => assert_eq!(answer, 0),
        Ack::Err => assert_eq!(answer, 1),
        Ack::Other(other) => assert!(other == answer && answer > 1),
    }
}

/// How much room a payload finds, and what was negotiated.
struct Sent {
    room: usize,
    negotiated: Features,
}

impl Sent {
    /// A payload is written whole or not, and nothing behind it is.
    fn check<C: Command>(&self, command: &C) {
        const BEHIND: u8 = 0xa5;
        let mut out = vec![BEHIND; self.room];
        let len = command.payload_len();
        match command.write(&mut out) {
            Some(written) => {
                assert_eq!(written, len);
                assert!(out[len..].iter().all(|byte| *byte == BEHIND));
            }
            None => assert!(len > self.room),
        }
        if command.is_allowed_by(self.negotiated) {
            assert!(self.negotiated.contains(Features::CTRL_VQ));
        }
        assert_eq!(command.header()[0], C::CLASS);
    }
}

/// Whole MAC addresses.
trait Chunks {
    fn as_chunks_6(&self) -> Vec<[u8; 6]>;
}

impl Chunks for [u8] {
    fn as_chunks_6(&self) -> Vec<[u8; 6]> {
        self.chunks_exact(6)
            .map(|chunk| chunk.try_into().expect("six bytes"))
            .collect()
    }
}
