// SPDX-License-Identifier: GPL-2.0

//! What programs are told of received frames.

use super::{about, Outcome};
use crate::bench::Bench;
use crate::frames::{Plan, FLOWS, VLAN};
use crate::packet::Packet;
use crate::programs::Hints;
use crate::verdict::Measured;
use std::collections::BTreeSet;
use std::io;

const LEN: usize = 48;
const XDP_RSS_L4: u32 = 8;
const TPID: u16 = 0x8100;

/// `struct hint` of `bpf/hints.bpf.c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hint {
    frames: u64,
    timestamp: u64,
    now: u64,
    hash: u32,
    hash_type: u32,
    timestamp_error: i32,
    hash_error: i32,
    vlan_error: i32,
    vlan_tci: u16,
    vlan_proto: u16,
}

impl Hint {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.first_chunk()?;
        let long = |at: usize| bytes[at..].first_chunk().map(|b| u64::from_ne_bytes(*b));
        let word = |at: usize| bytes[at..].first_chunk().map(|b| u32::from_ne_bytes(*b));
        Some(Self {
            frames: long(0)?,
            timestamp: long(8)?,
            now: long(16)?,
            hash: word(24)?,
            hash_type: word(28)?,
            timestamp_error: word(32)? as i32,
            hash_error: word(36)? as i32,
            vlan_error: word(40)? as i32,
            vlan_tci: u16::from_ne_bytes([bytes[44], bytes[45]]),
            vlan_proto: u16::from_be_bytes([bytes[46], bytes[47]]),
        })
    }
}

/// Why there is nothing, if there is an error for all frames; or that there is one for some.
fn errors(hints: &[Hint], error: fn(&Hint) -> i32, off: &str) -> Option<Measured> {
    let failed = hints.iter().filter(|hint| error(hint) != 0).count();
    let number = hints.iter().map(error).find(|error| *error != 0)?;
    let words = io::Error::from_raw_os_error(-number);
    let all = hints.len();
    Some(if failed == all && number == -libc::ENODATA {
        // That is no lie: the device has nothing to say of such frames, or it is switched off.
        Measured::Unknown(format!("no frame had any: {words} ({off})"))
    } else {
        Measured::Fails(format!("{failed} of {all} frames: {words}"))
    })
}

fn judge_timestamps(hints: &[Hint]) -> Measured {
    let off = "time stamps may have to be switched on";
    if let Some(measured) = errors(hints, |hint| hint.timestamp_error, off) {
        return measured;
    }
    if hints.iter().all(|hint| hint.timestamp == 0) {
        return Measured::Fails("the time of all frames is 0".into());
    }
    let mut by_arrival = hints.to_vec();
    by_arrival.sort_by_key(|hint| hint.now);
    if by_arrival
        .windows(2)
        .any(|pair| pair[0].timestamp > pair[1].timestamp)
    {
        return Measured::Fails("times go back".into());
    }
    let (Some(first), Some(last)) = (by_arrival.first(), by_arrival.last()) else {
        return Measured::Fails("no frame came".into());
    };
    let (told, real) = (last.timestamp - first.timestamp, last.now - first.now);
    // Drivers hear of frames in batches.
    let slack = 20_000_000 + real / 4;
    if told.abs_diff(real) > slack {
        return Measured::Fails(format!(
            "{told} ns between two frames that were {real} ns apart"
        ));
    }
    Measured::Works(format!("{} frames, in order", hints.len()))
}

fn judge_hashes(plain: &[Hint], moved: &[Hint]) -> Measured {
    let off = "is it off? ethtool -K DEVICE rxhash on";
    for hints in [plain, moved] {
        if let Some(measured) = errors(hints, |hint| hint.hash_error, off) {
            return measured;
        }
    }
    if plain.iter().all(|hint| hint.hash_type == 0) {
        return Measured::Fails("no error, and of no frame a hash: its type is none".into());
    }
    let changed = plain
        .iter()
        .zip(moved)
        .filter(|(a, b)| a.hash != b.hash)
        .count();
    if changed > 0 {
        return Measured::Fails(format!(
            "{changed} of {} flows have another hash when the program has moved the frame",
            plain.len()
        ));
    }
    let different: BTreeSet<u32> = plain.iter().map(|hint| hint.hash).collect();
    let has_ports = plain.iter().any(|hint| hint.hash_type & XDP_RSS_L4 != 0);
    if has_ports && different.len() < plain.len() / 2 {
        return Measured::Fails(format!(
            "{} hashes for {} flows, said to be of ports",
            different.len(),
            plain.len()
        ));
    }
    Measured::Works(format!(
        "{} hashes of {} flows",
        different.len(),
        plain.len()
    ))
}

fn judge_tags(hints: &[Hint]) -> Measured {
    let off = "frames come with their tags in them";
    if let Some(measured) = errors(hints, |hint| hint.vlan_error, off) {
        return measured;
    }
    let wrong = |hint: &&Hint| hint.vlan_tci & 0xfff != VLAN || hint.vlan_proto != TPID;
    match hints.iter().find(wrong) {
        Some(hint) => Measured::Fails(format!(
            "tag {:04x}:{:04x} instead of {TPID:04x}:{VLAN:04x}",
            hint.vlan_proto, hint.vlan_tci
        )),
        None => Measured::Works("all tags were right".into()),
    }
}

/// What is said of frames of all flows, one each, by a program that moves them or not.
fn ask(bench: &mut Bench, moved: bool, tagged: bool) -> Result<Vec<Hint>, String> {
    let ifindex = bench.interface.ifindex;
    let frags = bench.interface.mtu > 1500;
    let hints = Hints::load(ifindex, frags)
        .map_err(|error| format!("loading a program that is bound to the device: {error}"))?;
    let attached = hints
        .attach(frags)
        .map_err(|error| format!("attaching a program that is bound to the device: {error}"))?;
    hints
        .set_moved(moved)
        .and_then(|()| hints.clear(LEN))
        .map_err(|error| format!("telling the program: {error}"))?;
    // A device's filter of VLANs is not what is asked for.
    let everything = Packet::open(ifindex)
        .and_then(|packet| packet.all_frames(ifindex).map(|()| packet))
        .map_err(|error| format!("having all frames: {error}"))?;
    let test = bench.test();
    let plan = Plan {
        flows: (0..FLOWS).collect(),
        tagged,
        ..Plan::new(test, u32::from(FLOWS), 200)
    };
    bench.send(&plan)?;
    let end = std::time::Instant::now() + bench.patience;
    loop {
        let found: Vec<Hint> = hints
            .get()
            .map_err(|error| format!("asking the program: {error}"))?
            .iter()
            .filter_map(|bytes| Hint::parse(bytes))
            .filter(|hint| hint.frames > 0)
            .collect();
        if found.len() == usize::from(FLOWS) {
            drop((attached, everything));
            return Ok(found);
        }
        if std::time::Instant::now() > end {
            return Err(format!(
                "the program has seen {} of {FLOWS} flows",
                found.len()
            ));
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

pub fn timestamp(bench: &mut Bench) -> Outcome {
    let measured = match ask(bench, false, false) {
        Ok(hints) => judge_timestamps(&hints),
        Err(why) => Measured::Fails(why),
    };
    about(bench, "timestamp", measured)
}

pub fn hash(bench: &mut Bench) -> Outcome {
    let asked = ask(bench, false, false)
        .and_then(|plain| ask(bench, true, false).map(|moved| (plain, moved)));
    let measured = match asked {
        Ok((plain, moved)) => judge_hashes(&plain, &moved),
        Err(why) => Measured::Fails(why),
    };
    about(bench, "hash", measured)
}

pub fn vlan(bench: &mut Bench) -> Outcome {
    let measured = match ask(bench, false, true) {
        Ok(hints) => judge_tags(&hints),
        Err(why) => Measured::Fails(why),
    };
    about(bench, "vlan-tag", measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(count: u64) -> Vec<Hint> {
        (0..count)
            .map(|at| Hint {
                frames: 1,
                timestamp: 1_000_000_000 + at * 1_000_000,
                now: 5_000 + at * 1_000_000,
                hash: at as u32 * 77,
                hash_type: XDP_RSS_L4,
                vlan_tci: VLAN,
                vlan_proto: TPID,
                ..Hint::default()
            })
            .collect()
    }

    fn fails(measured: &Measured) -> bool {
        matches!(measured, Measured::Fails(_))
    }

    #[test]
    fn good_ones_work() {
        let good = hints(64);
        assert!(matches!(judge_timestamps(&good), Measured::Works(_)));
        assert!(matches!(judge_hashes(&good, &good), Measured::Works(_)));
        assert!(matches!(judge_tags(&good), Measured::Works(_)));
    }

    #[test]
    fn times_are_looked_at() {
        let mut zero = hints(8);
        zero.iter_mut().for_each(|hint| hint.timestamp = 0);
        assert!(fails(&judge_timestamps(&zero)));
        let mut back = hints(8);
        back[3].timestamp = 0;
        assert!(fails(&judge_timestamps(&back)));
        let mut slow = hints(64);
        slow.iter_mut().for_each(|hint| hint.timestamp *= 10);
        assert!(fails(&judge_timestamps(&slow)));
    }

    #[test]
    fn hashes_are_looked_at() {
        let good = hints(64);
        let mut moved = good.clone();
        moved[7].hash = 0;
        assert!(fails(&judge_hashes(&good, &moved)));
        let mut same = good.clone();
        same.iter_mut().for_each(|hint| hint.hash = 5);
        assert!(fails(&judge_hashes(&same, &same)));
        // Of addresses only, all flows have one.
        same.iter_mut().for_each(|hint| hint.hash_type = 1);
        assert!(!fails(&judge_hashes(&same, &same)));
        same.iter_mut().for_each(|hint| hint.hash_type = 0);
        assert!(fails(&judge_hashes(&same, &same)));
    }

    #[test]
    fn no_data_is_no_lie() {
        let mut none = hints(8);
        none.iter_mut()
            .for_each(|hint| hint.vlan_error = -libc::ENODATA);
        assert!(matches!(judge_tags(&none), Measured::Unknown(_)));
        none[3].vlan_error = 0;
        assert!(fails(&judge_tags(&none)));
        none.iter_mut()
            .for_each(|hint| hint.vlan_error = -libc::EOPNOTSUPP);
        assert!(fails(&judge_tags(&none)));
    }

    #[test]
    fn layout_is_that_of_the_program() {
        let mut bytes = [0; LEN];
        bytes[0] = 1;
        bytes[24..28].copy_from_slice(&9u32.to_ne_bytes());
        bytes[40..44].copy_from_slice(&(-95i32).to_ne_bytes());
        bytes[44..46].copy_from_slice(&5u16.to_ne_bytes());
        bytes[46..48].copy_from_slice(&[0x81, 0x00]);
        let hint = Hint::parse(&bytes).unwrap();
        assert_eq!((hint.frames, hint.hash, hint.vlan_error), (1, 9, -95));
        assert_eq!((hint.vlan_tci, hint.vlan_proto), (5, TPID));
        assert_eq!(Hint::parse(&bytes[1..]), None);
    }
}
