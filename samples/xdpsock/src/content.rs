// SPDX-License-Identifier: GPL-2.0

//! Counted contents: UDP over IPv4, whose payload begins with its number; each further byte
//! follows from that and its place.

/// Bytes of the headers.
const HEADERS: usize = 14 + 20 + 8;
/// Bytes of the number.
const NUMBER: usize = 8;

/// Addresses of networks under test (RFC 2544), and ports.
const SOURCE: [u8; 4] = [198, 18, 0, 1];
const DESTINATION: [u8; 4] = [198, 18, 0, 2];
const PORT: u16 = 4096;

/// The least frame with a number.
pub const LEAST: usize = HEADERS + NUMBER;

fn byte(number: u64, at: usize) -> u8 {
    (number.wrapping_add(at as u64) % 251) as u8
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| (u32::from(pair[0]) << 8) | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Writes the frame of a number, of at least [`LEAST`] bytes.
pub fn write(frame: &mut [u8], number: u64, to: [u8; 6], from: [u8; 6]) {
    let len = frame.len();
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&[8, 0]);
    let ip = &mut frame[14..34];
    ip.copy_from_slice(&[
        0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    ip[2..4].copy_from_slice(&((len - 14) as u16).to_be_bytes());
    ip[12..16].copy_from_slice(&SOURCE);
    ip[16..20].copy_from_slice(&DESTINATION);
    let sum = checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = &mut frame[34..HEADERS];
    udp[..2].copy_from_slice(&PORT.to_be_bytes());
    udp[2..4].copy_from_slice(&PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&((len - 34) as u16).to_be_bytes());
    // No checksum.
    udp[6..8].fill(0);
    frame[HEADERS..LEAST].copy_from_slice(&number.to_be_bytes());
    for (at, to) in frame[LEAST..].iter_mut().enumerate() {
        *to = byte(number, at);
    }
}

/// The number of a frame, if its content is that of its number.
pub fn number(frame: &[u8]) -> Option<u64> {
    // Ethernet pads short frames.
    let len = usize::from(u16::from_be_bytes([*frame.get(16)?, *frame.get(17)?])) + 14;
    let frame = frame.get(..len)?;
    let number = u64::from_be_bytes(frame.get(HEADERS..LEAST)?.try_into().ok()?);
    frame[LEAST..]
        .iter()
        .enumerate()
        .all(|(at, is)| *is == byte(number, at))
        .then_some(number)
}

/// Swaps the addresses of a frame.
pub fn swap_addresses(frame: &mut [u8]) {
    if frame.len() >= 12 {
        let (to, from) = frame.split_at_mut(6);
        to.swap_with_slice(&mut from[..6]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_again() {
        for len in [LEAST, 64, 1514] {
            let mut frame = vec![0; len];
            write(&mut frame, 300, [1; 6], [2; 6]);
            assert_eq!(number(&frame), Some(300));
            assert_eq!(checksum(&frame[14..34]), 0);
            // Padding is not looked at.
            frame.extend([7; 5]);
            assert_eq!(number(&frame), Some(300));
        }
    }

    #[test]
    fn any_change_is_seen() {
        let mut frame = [0; 64];
        write(&mut frame, 5, [1; 6], [2; 6]);
        for at in HEADERS..frame.len() {
            let mut other = frame;
            other[at] ^= 1;
            assert_eq!(number(&other), None, "byte {at}");
        }
        assert_eq!(number(&frame[..63]), None);
        assert_eq!(number(&[]), None);
    }
}
