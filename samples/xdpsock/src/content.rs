// SPDX-License-Identifier: GPL-2.0

//! Counted contents: UDP, whose payload begins with its number; each further byte follows from
//! that and its place.

use std::net::IpAddr;

const ETHERNET: usize = 14;
const UDP: usize = 8;
/// Bytes of the number.
const NUMBER: usize = 8;
/// Of the checksum in the header of UDP.
const CHECKSUM: usize = 6;
const ETHERTYPES: [[u8; 2]; 2] = [[0x08, 0x00], [0x86, 0xdd]];

/// How frames are addressed.
pub struct Flow {
    /// MAC addresses of who sends and of whom it is for.
    pub macs: [[u8; 6]; 2],
    /// IP addresses of the same, of one version.
    pub ips: [IpAddr; 2],
    /// The port of both.
    pub port: u16,
    /// Whether somebody else completes the checksum.
    pub is_partial: bool,
}

/// Where the device is to begin to sum, and where the sum goes from there; in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// From the beginning of the frame.
    pub start: u16,
    /// From there.
    pub offset: u16,
}

fn byte(number: u64, at: usize) -> u8 {
    (number.wrapping_add(at as u64) % 251) as u8
}

fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| (u32::from(pair[0]) << 8) | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

impl Flow {
    fn is_v6(&self) -> bool {
        self.ips[0].is_ipv6()
    }

    /// Bytes of the headers.
    fn headers(&self) -> usize {
        ETHERNET + if self.is_v6() { 40 } else { 20 } + UDP
    }

    /// The least frame with a number, in bytes.
    pub fn least(&self) -> usize {
        self.headers() + NUMBER
    }

    /// What is left to do for the checksum.
    pub fn partial(&self) -> Option<Partial> {
        self.is_partial.then(|| Partial {
            start: (self.headers() - UDP) as u16,
            offset: CHECKSUM as u16,
        })
    }

    /// The IP header in front of `len` bytes.
    fn ip(&self, len: usize) -> Vec<u8> {
        let [source, destination] = self.ips.map(octets);
        let mut ip = if self.is_v6() {
            let [high, low] = (len as u16).to_be_bytes();
            vec![0x60, 0, 0, 0, high, low, 17, 64]
        } else {
            let [high, low] = (len as u16 + 20).to_be_bytes();
            vec![0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0]
        };
        ip.extend(source);
        ip.extend(destination);
        if !self.is_v6() {
            let sum = !fold(sum(&ip));
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        ip
    }

    /// Writes the frame of a number, of at least [`Self::least`] bytes.
    pub fn write(&self, frame: &mut [u8], number: u64) {
        let headers = self.headers();
        let [from, to] = self.macs;
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&from);
        frame[12..ETHERNET].copy_from_slice(&ETHERTYPES[usize::from(self.is_v6())]);
        let len = frame.len() - (headers - UDP);
        frame[ETHERNET..headers - UDP].copy_from_slice(&self.ip(len));
        let udp = &mut frame[headers - UDP..];
        udp[..2].copy_from_slice(&self.port.to_be_bytes());
        udp[2..4].copy_from_slice(&self.port.to_be_bytes());
        udp[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        udp[CHECKSUM..UDP].fill(0);
        let payload = &mut udp[UDP..];
        payload[..NUMBER].copy_from_slice(&number.to_be_bytes());
        for (at, to) in payload[NUMBER..].iter_mut().enumerate() {
            *to = byte(number, at);
        }
        let pseudo: u32 =
            self.ips.iter().map(|ip| sum(&octets(*ip))).sum::<u32>() + 17 + len as u32;
        let checksum = match (self.is_partial, self.is_v6()) {
            (true, _) => fold(pseudo),
            // None is needed.
            (false, false) => 0,
            (false, true) => match !fold(pseudo + sum(udp)) {
                0 => 0xffff,
                sum => sum,
            },
        };
        udp[CHECKSUM..UDP].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The number of a frame, if its content is that of its number.
pub fn number(frame: &[u8]) -> Option<u64> {
    let length = |at: usize| {
        Some(usize::from(u16::from_be_bytes([
            *frame.get(at)?,
            *frame.get(at + 1)?,
        ])))
    };
    // Ethernet pads short frames.
    let (headers, len) = if frame.get(12..ETHERNET)? == ETHERTYPES[1] {
        (ETHERNET + 40 + UDP, ETHERNET + 40 + length(18)?)
    } else {
        (ETHERNET + 20 + UDP, ETHERNET + length(16)?)
    };
    let payload = frame.get(..len)?.get(headers..)?;
    let (number, rest) = payload.split_first_chunk::<NUMBER>()?;
    let number = u64::from_be_bytes(*number);
    rest.iter()
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

    fn flow(is_v6: bool, is_partial: bool) -> Flow {
        let ips = if is_v6 {
            ["2001:2::1", "2001:2::2"]
        } else {
            ["198.18.0.1", "198.18.0.2"]
        };
        Flow {
            macs: [[1; 6], [2; 6]],
            ips: ips.map(|ip| ip.parse().unwrap()),
            port: 4096,
            is_partial,
        }
    }

    #[test]
    fn numbers_are_found_again() {
        for flow in [flow(false, false), flow(true, true)] {
            for len in [flow.least(), 80, 1514] {
                let mut frame = vec![0; len];
                flow.write(&mut frame, 300);
                assert_eq!(number(&frame), Some(300));
                // Padding is not looked at.
                frame.extend([7; 5]);
                assert_eq!(number(&frame), Some(300));
            }
        }
    }

    #[test]
    fn any_change_is_seen() {
        for flow in [flow(false, false), flow(true, false)] {
            let mut frame = vec![0; 80];
            flow.write(&mut frame, 5);
            for at in flow.headers()..frame.len() {
                let mut other = frame.clone();
                other[at] ^= 1;
                assert_eq!(number(&other), None, "byte {at}");
            }
            assert_eq!(number(&frame[..79]), None);
        }
        assert_eq!(number(&[]), None);
    }

    /// The sum of pseudo header and datagram, as a receiver has it.
    fn verified(flow: &Flow, frame: &[u8]) -> u16 {
        let udp = &frame[flow.headers() - UDP..];
        let ips: u32 = flow.ips.iter().map(|ip| sum(&octets(*ip))).sum();
        fold(ips + 17 + udp.len() as u32 + sum(udp))
    }

    #[test]
    fn checksums_are_whole_or_partial() {
        let mut frame = vec![0; 333];
        let v6 = flow(true, false);
        v6.write(&mut frame, 9);
        assert_eq!(verified(&v6, &frame), 0xffff);
        for is_v6 in [false, true] {
            let flow = flow(is_v6, true);
            flow.write(&mut frame, 9);
            // As a device completes it.
            let Partial { start, offset } = flow.partial().unwrap();
            let at = usize::from(start + offset);
            let whole = !fold(sum(&frame[usize::from(start)..]));
            frame[at..at + 2].copy_from_slice(&whole.to_be_bytes());
            assert_eq!(verified(&flow, &frame), 0xffff, "IPv6: {is_v6}");
        }
        assert_eq!(fold(sum(&frame[..0])), 0);
    }
}
