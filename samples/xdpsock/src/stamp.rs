// SPDX-License-Identifier: GPL-2.0

//! Time stamps at the beginning of payloads: pktgen's, and one that is finer.

use crate::clock::SECOND;

/// Bytes of either.
pub const LEN: usize = 16;
const PKTGEN: u32 = 0xbe9b_e955;
const NANOSECONDS: u32 = 0x7873_6b01;

/// What a stamp is like. Each begins with a number that says so, and the number of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Seconds and microseconds, of 32 bits each.
    Pktgen,
    /// Nanoseconds, of 64 bits.
    Nanoseconds,
}

/// Writes a stamp, of frame `number`, to the beginning of a payload with room for it.
pub fn write(payload: &mut [u8], kind: Kind, number: u64, now: u64) {
    let (magic, time) = match kind {
        Kind::Pktgen => {
            let microseconds = now % SECOND / 1000;
            (
                PKTGEN,
                (u64::from((now / SECOND) as u32) << 32) | microseconds,
            )
        }
        Kind::Nanoseconds => (NANOSECONDS, now),
    };
    payload[..4].copy_from_slice(&magic.to_be_bytes());
    payload[4..8].copy_from_slice(&(number as u32).to_be_bytes());
    payload[8..LEN].copy_from_slice(&time.to_be_bytes());
}

/// The nanoseconds of a stamp, and what follows it, if there is one.
pub fn read(payload: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = payload.split_first_chunk::<8>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    let magic = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let nanoseconds = match magic {
        PKTGEN => (time >> 32) * SECOND + (time & 0xffff_ffff) * 1000,
        NANOSECONDS => time,
        _ => return None,
    };
    Some((nanoseconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let now = 1_234 * SECOND + 567_891_234;
        let mut payload = [7; 20];
        write(&mut payload, Kind::Nanoseconds, 3, now);
        assert_eq!(read(&payload), Some((now, &[7; 4][..])));
        write(&mut payload, Kind::Pktgen, 3, now);
        assert_eq!(read(&payload), Some((now - 234, &[7; 4][..])));
        assert_eq!(
            payload[..LEN],
            [0xbe, 0x9b, 0xe9, 0x55, 0, 0, 0, 3, 0, 0, 4, 0xd2, 0, 8, 0xaa, 0x53]
        );
    }

    #[test]
    fn others_have_none() {
        assert_eq!(read(&[0; 32]), None);
        assert_eq!(read(&PKTGEN.to_be_bytes()), None);
    }
}
