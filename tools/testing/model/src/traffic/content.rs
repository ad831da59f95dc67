// SPDX-License-Identifier: GPL-2.0

//! Payloads whose content can be verified: the datagrams of `traffic burst`
//! (guest/traffic.c), which the generator makes and the sink checks.
//!
//! ```text
//! u32 magic, u32 number, u32 size, u32 run, then a pattern that depends on place and number
//! ```
//!
//! All words are little-endian, as the guest's are; `size` is that of the whole payload.

/// First word of a counted datagram.
pub const COUNTED: u32 = 0xf00d_5a17;
/// Bytes of the four words.
pub const HEAD: usize = 16;
/// Numbers up to this are looked at for repetition.
const MOST: usize = 1 << 22;

/// The byte at `at` of the pattern of datagram `number`.
fn pattern(at: usize, number: u32) -> u8 {
    let at = at as u64;
    let sum = at
        .wrapping_mul(7)
        .wrapping_add((at >> 8).wrapping_mul(13))
        .wrapping_add((at >> 16).wrapping_mul(29))
        .wrapping_add(u64::from(number).wrapping_mul(31));
    sum as u8
}

/// The payload of datagram `number` of `run`, of `size` bytes (at least [`HEAD`]).
pub fn counted(number: u32, size: usize, run: u32) -> Vec<u8> {
    let size = size.max(HEAD);
    let mut payload = Vec::with_capacity(size);
    for word in [COUNTED, number, size as u32, run] {
        payload.extend_from_slice(&word.to_le_bytes());
    }
    payload.extend((0..size - HEAD).map(|at| pattern(at, number)));
    payload
}

/// What became of the counted datagrams of the latest run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Received {
    /// The run's number, which its sender chose.
    pub run: u32,
    /// Datagrams, repeated and changed ones included.
    pub received: u64,
    /// Those that came before.
    pub repeated: u64,
    /// Those whose size or bytes are not what was sent.
    pub changed: u64,
    #[serde(skip)]
    seen: Vec<u64>,
}

impl Received {
    /// Looks at a payload; false if it is not a counted datagram.
    pub fn look(&mut self, payload: &[u8]) -> bool {
        let word = |index: usize| {
            let bytes = payload.get(4 * index..4 * index + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let (Some(COUNTED), Some(number), Some(size), Some(run)) =
            (word(0), word(1), word(2), word(3))
        else {
            return false;
        };
        if run != self.run {
            *self = Self {
                run,
                ..Self::default()
            };
        }
        self.received += 1;
        self.repeated += u64::from(self.mark(number as usize));
        let right = payload.len() == size as usize
            && payload[HEAD..]
                .iter()
                .enumerate()
                .all(|(at, byte)| *byte == pattern(at, number));
        self.changed += u64::from(!right);
        true
    }

    /// Notes a number; whether it was noted before.
    fn mark(&mut self, number: usize) -> bool {
        if number >= MOST {
            return false;
        }
        let (word, bit) = (number / 64, 1 << (number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let before = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_found_right() {
        let mut received = Received::default();
        for (number, size) in [(0, 16), (1, 17), (2, 1400), (70_000, 60_000)] {
            assert!(received.look(&counted(number, size, 5)));
        }
        assert_eq!(
            (received.received, received.repeated, received.changed),
            (4, 0, 0)
        );
    }

    #[test]
    fn damage_and_repetition_are_found() {
        let mut received = Received::default();
        let mut payload = counted(3, 100, 5);
        received.look(&payload);
        payload[99] ^= 1;
        received.look(&payload);
        payload.truncate(90);
        received.look(&payload);
        assert_eq!(
            (received.received, received.repeated, received.changed),
            (3, 2, 2)
        );
        // Another run begins anew.
        received.look(&counted(3, 100, 6));
        assert_eq!((received.received, received.repeated), (1, 0));
    }

    #[test]
    fn other_payloads_are_none_of_ours() {
        let mut received = Received::default();
        assert!(!received.look(b"x"));
        assert!(!received.look(&[0; 64]));
        assert_eq!(received, Received::default());
    }

    #[test]
    fn the_pattern_is_that_of_the_traffic_program() {
        // fill(to, n, 0, seed) of guest/traffic.c, at 0, 256 and 65536 with seed 2.
        assert_eq!(pattern(0, 2), 62);
        assert_eq!(pattern(256, 2), 62 + 13);
        assert_eq!(pattern(65536, 2), 62 + 29); // 256 * 13 is 0 in a byte
    }
}
