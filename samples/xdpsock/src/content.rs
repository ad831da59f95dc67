// SPDX-License-Identifier: GPL-2.0

//! What is in frames: a pattern, or counted contents, which begin with the number of the frame, and
//! each further byte follows from that and its place. A time stamp may be in front of either.

use crate::packet::{self, Flow};
use crate::stamp;
use std::collections::HashMap;

/// Bytes of a number.
const NUMBER: usize = 8;

/// What is in the payload.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// The stamp at its beginning.
    pub stamp: Option<stamp::Kind>,
    /// What it repeats, or nothing if it is counted.
    pub pattern: Option<u32>,
}

impl Payload {
    /// Bytes that it has at least.
    pub fn head_len(&self) -> usize {
        let stamp = if self.stamp.is_some() { stamp::LEN } else { 0 };
        stamp + if self.pattern.is_some() { 0 } else { NUMBER }
    }

    /// Whether all frames have the same one.
    pub fn is_constant(&self) -> bool {
        self.stamp.is_none() && self.pattern.is_some()
    }

    /// Writes frame `number`, which is long enough.
    pub fn write(&self, flow: &Flow, frame: &mut [u8], number: u64, now: u64) {
        let mut payload = &mut frame[flow.headers()..];
        if let Some(kind) = self.stamp {
            stamp::write(payload, kind, number, now);
            payload = &mut payload[stamp::LEN..];
        }
        match self.pattern {
            Some(pattern) => {
                let pattern = pattern.to_be_bytes();
                for (to, byte) in payload.iter_mut().zip(pattern.iter().cycle()) {
                    *to = *byte;
                }
            }
            None => {
                payload[..NUMBER].copy_from_slice(&number.to_be_bytes());
                for (at, to) in payload[NUMBER..].iter_mut().enumerate() {
                    *to = byte(number, at);
                }
            }
        }
        flow.write(frame);
    }
}

fn byte(number: u64, at: usize) -> u8 {
    (number.wrapping_add(at as u64) % 251) as u8
}

/// The number of a frame, if its content is that of its number.
pub fn number(frame: &[u8]) -> Option<u64> {
    let payload = packet::payload(frame)?;
    let counted = stamp::read(payload).map_or(payload, |(_, rest)| rest);
    let (number, rest) = counted.split_first_chunk::<NUMBER>()?;
    let number = u64::from_be_bytes(*number);
    rest.iter()
        .enumerate()
        .all(|(at, is)| *is == byte(number, at))
        .then_some(number)
}

/// Numbers that were seen: 64 of them in a word.
#[derive(Default)]
pub struct Seen {
    words: HashMap<u64, u64>,
    /// How many different ones.
    pub count: u64,
    /// How many that had been seen already.
    pub again: u64,
}

impl Seen {
    /// One is seen.
    pub fn see(&mut self, number: u64) {
        let word = self.words.entry(number / 64).or_default();
        let bit = 1 << (number % 64);
        if *word & bit == 0 {
            *word |= bit;
            self.count += 1;
        } else {
            self.again += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::flow;

    const COUNTED: Payload = Payload {
        stamp: None,
        pattern: None,
    };

    #[test]
    fn patterns_are_repeated() {
        let payload = Payload {
            stamp: None,
            pattern: Some(0x1234_5678),
        };
        assert!(payload.is_constant());
        let mut frame = vec![0; 60];
        payload.write(&flow(false, false, None), &mut frame, 1, 2);
        assert_eq!(frame[42..49], [0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56]);
        assert_eq!(number(&frame), None);
    }

    #[test]
    fn numbers_are_found_again() {
        for stamp in [
            None,
            Some(stamp::Kind::Pktgen),
            Some(stamp::Kind::Nanoseconds),
        ] {
            for flow in [
                flow(false, false, None),
                flow(true, true, None),
                flow(false, false, Some(1)),
            ] {
                let payload = Payload { stamp, ..COUNTED };
                for len in [flow.headers() + payload.head_len(), 100, 1514] {
                    let mut frame = vec![0; len];
                    payload.write(&flow, &mut frame, 300, 12345);
                    assert_eq!(number(&frame), Some(300));
                    // Padding is not looked at.
                    frame.extend([7; 5]);
                    assert_eq!(number(&frame), Some(300));
                }
            }
        }
    }

    #[test]
    fn any_change_is_seen() {
        for flow in [flow(false, false, None), flow(true, false, None)] {
            let mut frame = vec![0; 80];
            COUNTED.write(&flow, &mut frame, 5, 0);
            for at in flow.headers()..frame.len() {
                let mut other = frame.clone();
                other[at] ^= 1;
                assert_eq!(number(&other), None, "byte {at}");
            }
            assert_eq!(number(&frame[..79]), None);
        }
        assert_eq!(number(&[]), None);
    }

    #[test]
    fn each_number_counts_once() {
        let mut seen = Seen::default();
        for number in [0, 63, 64, 1 << 40, 63, 0] {
            seen.see(number);
        }
        assert_eq!((seen.count, seen.again), (4, 2));
    }
}
