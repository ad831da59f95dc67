// SPDX-License-Identifier: GPL-2.0

//! Frames of tests: UDP over IPv4 between two addresses that no host has, with a number in each
//! from which both ends know all of its bytes.

use serde::{Deserialize, Serialize};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// The port that frames of tests go to, as in `bpf/frame.h`.
pub const PORT: u16 = 20824;
/// How many flows the programs tell apart: by the source port.
pub const FLOWS: u16 = 64;
/// The VLAN of frames that are tagged, as in `bpf/tag.bpf.c`.
pub const VLAN: u16 = 5;
const FIRST_PORT: u16 = 320 * FLOWS;
// RFC 2544: for benchmarks.
const DUT: [u8; 4] = [198, 18, 0, 1];
const PEER: [u8; 4] = [198, 18, 0, 2];
const MAGIC: [u8; 4] = *b"XSKQ";
const ETHERNET: usize = 14;
const TAG: usize = 4;
/// Where UDP begins in a frame without VLAN tag, and its checksum in that.
pub const UDP: usize = ETHERNET + 20;
/// The same of its checksum.
pub const CHECKSUM: usize = 6;
/// Headers, and what a frame says of itself: magic, test, number.
pub const SHORTEST: usize = UDP + 8 + 4 + 4 + 4;
const TPID: [u8; 2] = [0x81, 0x00];

/// Frames of a test that one end sends: of all lengths between two, the last one the longest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The test.
    pub test: u32,
    /// How many.
    pub count: u32,
    /// The first one's bytes, without those of a VLAN tag.
    pub shortest: usize,
    /// The last one's.
    pub longest: usize,
    /// The flows that they are of, in turn.
    pub flows: Vec<u16>,
    /// Whether they are tagged, with `VLAN`.
    pub tagged: bool,
    /// Microseconds between two frames.
    pub gap: u64,
}

impl Plan {
    /// So many frames of one test, of flow 0.
    pub fn new(test: u32, count: u32, longest: usize) -> Self {
        Self {
            test,
            count,
            shortest: SHORTEST,
            longest,
            flows: vec![0],
            tagged: false,
            gap: 500,
        }
    }

    /// The length of a frame.
    pub fn length(&self, number: u32) -> usize {
        let last = self.count.saturating_sub(1).max(1) as usize;
        let range = self.longest.saturating_sub(self.shortest);
        if self.count == 1 {
            return self.longest;
        }
        self.shortest + range * (number as usize).min(last) / last
    }

    /// A frame, with whole checksums.
    pub fn frame(&self, number: u32, to: Mac, from: Mac, way: Way) -> Vec<u8> {
        let flow = match self.flows.len() {
            0 => 0,
            many => self.flows[number as usize % many],
        };
        let mut frame = build(self.test, number, flow, self.length(number), way);
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&from);
        if self.tagged {
            let tag = [TPID, VLAN.to_be_bytes()].concat();
            frame.splice(12..12, tag);
        }
        frame
    }
}

/// Which way a frame was first sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the device under test.
    In,
    /// From it.
    Out,
}

fn build(test: u32, number: u32, flow: u16, len: usize, way: Way) -> Vec<u8> {
    let (from, to) = match way {
        Way::In => (PEER, DUT),
        Way::Out => (DUT, PEER),
    };
    let len = len.max(SHORTEST);
    let mut frame = vec![0; len];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = &mut frame[ETHERNET..UDP];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&((len - ETHERNET) as u16).to_be_bytes());
    // Nobody is to forward it.
    ip[8] = 1;
    ip[9] = 17;
    ip[12..16].copy_from_slice(&from);
    ip[16..20].copy_from_slice(&to);
    let sum = !fold(add(0, ip));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = &mut frame[UDP..];
    udp[..2].copy_from_slice(&(FIRST_PORT + flow % FLOWS).to_be_bytes());
    udp[2..4].copy_from_slice(&PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&((len - UDP) as u16).to_be_bytes());
    udp[8..12].copy_from_slice(&MAGIC);
    udp[12..16].copy_from_slice(&test.to_be_bytes());
    udp[16..20].copy_from_slice(&number.to_be_bytes());
    for (at, byte) in udp[20..].iter_mut().enumerate() {
        *byte = pattern(test, number, at);
    }
    let sum = !fold(add(pseudo(&frame), &frame[UDP..]));
    put_checksum(&mut frame, if sum == 0 { 0xffff } else { sum });
    frame
}

fn pattern(test: u32, number: u32, at: usize) -> u8 {
    ((at + test as usize % 251 + number as usize) % 251) as u8
}

fn put_checksum(frame: &mut [u8], sum: u16) {
    frame[UDP + CHECKSUM..UDP + CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Has a frame without VLAN tag carry what a device is to complete its checksum from.
pub fn make_partial(frame: &mut [u8]) {
    let sum = fold(pseudo(frame));
    put_checksum(frame, sum);
}

fn add(sum: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(2).fold(sum, |sum, pair| {
        sum + u64::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]))
    })
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum of the addresses, the protocol and the length.
fn pseudo(frame: &[u8]) -> u64 {
    let len = (frame.len() - UDP) as u64;
    add(17 + len, &frame[ETHERNET + 12..UDP])
}

/// What the checksum of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// That of its bytes.
    Whole,
    /// What a device is to complete it from.
    Partial,
    /// Neither.
    Wrong,
}

/// A test's frame, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its test.
    pub test: u32,
    /// Its number.
    pub number: u32,
    /// Its bytes, without those of a VLAN tag.
    pub len: usize,
    /// Whether all of them behind the addresses are as they were, but for the checksum.
    pub intact: bool,
    /// That.
    pub checksum: Checksum,
    /// The tag's VLAN, if there is one.
    pub vlan: Option<u16>,
    /// The sender's address.
    pub from: Mac,
}

/// Looks at a frame; None is none of a test.
pub fn parse(frame: &[u8]) -> Option<Found> {
    let mut bytes = frame.to_vec();
    let mut vlan = None;
    if bytes.get(12..14)? == TPID {
        vlan = Some(u16::from_be_bytes([*bytes.get(14)?, *bytes.get(15)?]));
        bytes.drain(12..12 + TAG);
    }
    if bytes.len() < SHORTEST || bytes[12..14] != [0x08, 0x00] {
        return None;
    }
    // Short frames are padded on their way.
    let total = usize::from(u16::from_be_bytes([bytes[16], bytes[17]])) + ETHERNET;
    if total >= SHORTEST {
        bytes.truncate(total);
    }
    let udp = &bytes[UDP..];
    if udp[2..4] != PORT.to_be_bytes() || udp[8..12] != MAGIC {
        return None;
    }
    let word = |at: usize| u32::from_be_bytes([udp[at], udp[at + 1], udp[at + 2], udp[at + 3]]);
    let (test, number) = (word(12), word(16));
    let flow = u16::from_be_bytes([udp[0], udp[1]]).wrapping_sub(FIRST_PORT);
    let way = if bytes[26..30] == PEER {
        Way::In
    } else {
        Way::Out
    };
    let mut wanted = build(test, number, flow, bytes.len(), way);
    let checksum = [bytes[UDP + CHECKSUM], bytes[UDP + CHECKSUM + 1]];
    let whole = checksum == wanted[UDP + CHECKSUM..UDP + CHECKSUM + 2];
    let partial = checksum == fold(pseudo(&wanted)).to_be_bytes();
    wanted[UDP + CHECKSUM..UDP + CHECKSUM + 2].copy_from_slice(&checksum);
    Some(Found {
        test,
        number,
        len: bytes.len(),
        intact: bytes.len() == total && bytes[12..] == wanted[12..],
        checksum: match (whole, partial) {
            (true, _) => Checksum::Whole,
            (_, true) => Checksum::Partial,
            _ => Checksum::Wrong,
        },
        vlan,
        from: bytes[6..12].try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 1];
    const B: Mac = [2, 0, 0, 0, 0, 2];

    #[test]
    fn lengths_reach_both_ends() {
        let plan = Plan::new(7, 10, 1514);
        assert_eq!(plan.length(0), SHORTEST);
        assert_eq!(plan.length(9), 1514);
        assert_eq!(Plan::new(7, 1, 900).length(0), 900);
    }

    #[test]
    fn frames_are_found_again() {
        for tagged in [false, true] {
            for way in [Way::In, Way::Out] {
                let mut plan = Plan::new(0xdead_beef, 20, 1514);
                plan.tagged = tagged;
                plan.flows = vec![3, 63];
                for number in 0..20 {
                    let found = parse(&plan.frame(number, A, B, way)).unwrap();
                    assert_eq!(found.test, plan.test);
                    assert_eq!(found.number, number);
                    assert_eq!(found.len, plan.length(number));
                    assert!(found.intact);
                    assert_eq!(found.checksum, Checksum::Whole);
                    assert_eq!(found.vlan, tagged.then_some(VLAN));
                    assert_eq!(found.from, B);
                }
            }
        }
    }

    #[test]
    fn padding_is_not_content() {
        let plan = Plan::new(1, 1, SHORTEST);
        let mut frame = plan.frame(0, A, B, Way::In);
        frame.resize(60, 0);
        assert!(parse(&frame).unwrap().intact);
    }

    #[test]
    fn changes_are_seen() {
        let plan = Plan::new(1, 1, 300);
        let frame = plan.frame(0, A, B, Way::In);
        for at in 14..frame.len() {
            let mut bad = frame.clone();
            bad[at] ^= 0x55;
            let found = parse(&bad);
            let is_checksum = (UDP + CHECKSUM..UDP + CHECKSUM + 2).contains(&at);
            if is_checksum {
                assert_eq!(found.unwrap().checksum, Checksum::Wrong);
            } else {
                assert!(found.is_none_or(|found| !found.intact), "byte {at}");
            }
        }
        for len in 0..SHORTEST {
            assert_eq!(parse(&frame[..len]), None);
        }
        assert!(!parse(&frame[..200]).unwrap().intact);
    }

    #[test]
    fn partial_checksums() {
        let plan = Plan::new(1, 1, 301);
        let mut frame = plan.frame(0, A, B, Way::Out);
        make_partial(&mut frame);
        let found = parse(&frame).unwrap();
        assert_eq!(found.checksum, Checksum::Partial);
        assert!(found.intact);
        // What a device does: the sum of all from the start, the field included.
        let sum = !fold(add(0, &frame[UDP..]));
        put_checksum(&mut frame, sum);
        assert_eq!(parse(&frame).unwrap().checksum, Checksum::Whole);
    }
}
