// SPDX-License-Identifier: GPL-2.0

//! Receive hashes and steering by them (sections 5.1.6.4.3 and 5.1.6.5.7).

use serde::Serialize;

/// What the driver wants hashed, and where frames go by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Steering {
    /// Bits of hash types.
    pub hash_types: u32,
    /// The key.
    pub key: Vec<u8>,
    /// Pair by the hash's lowest bits; empty without RSS.
    pub table: Vec<u16>,
    /// Pair of frames without a hash.
    pub unclassified: u16,
}

/// Bits of hash types, each of which is also reported by a number of its own.
mod hash {
    pub(super) const IPV4: u32 = 1 << 0;
    pub(super) const TCPV4: u32 = 1 << 1;
    pub(super) const UDPV4: u32 = 1 << 2;
    pub(super) const IPV6: u32 = 1 << 3;
    pub(super) const TCPV6: u32 = 1 << 4;
    pub(super) const UDPV6: u32 = 1 << 5;
}

const TCP: u8 = 6;
const UDP: u8 = 17;

impl Steering {
    /// Hash and report type of a frame; `None` if it has no header that is to be
    /// hashed.
    pub fn hash(&self, frame: &[u8]) -> Option<(u32, u16)> {
        if self.hash_types == 0 {
            return None;
        }
        let (kind, input) = self.input(frame)?;
        let report = kind.trailing_zeros() as u16 + 1;
        Some((toeplitz(&self.key, &input), report))
    }

    /// The pair for a frame with this hash, if there is a table.
    pub fn pair(&self, hash: Option<(u32, u16)>) -> Option<u16> {
        let mask = self.table.len().checked_sub(1)?;
        match hash {
            Some((hash, _)) => self.table.get(hash as usize & mask).copied(),
            None => Some(self.unclassified),
        }
    }

    /// What is hashed: the type, addresses, and ports if that type is on.
    fn input(&self, frame: &[u8]) -> Option<(u32, Vec<u8>)> {
        let mut at = 12;
        let mut ethertype = frame.get(at..at + 2)?;
        if ethertype == [0x81, 0x00] {
            at += 4;
            ethertype = frame.get(at..at + 2)?;
        }
        let packet = frame.get(at + 2..)?;
        let ([ip, tcp, udp], addresses, protocol, ports_at) = match ethertype {
            [0x08, 0x00] => {
                let header = 4 * usize::from(packet.first()? & 0xf);
                // Ports are only in the first fragment, and then not in all.
                let fragment = u16::from_be_bytes(*packet.get(6..)?.first_chunk()?) & 0x3fff != 0;
                let kinds = [hash::IPV4, hash::TCPV4, hash::UDPV4];
                let protocol = if fragment { 0 } else { *packet.get(9)? };
                (kinds, packet.get(12..20)?, protocol, header)
            }
            [0x86, 0xdd] => {
                let kinds = [hash::IPV6, hash::TCPV6, hash::UDPV6];
                (kinds, packet.get(8..40)?, *packet.get(6)?, 40)
            }
            _ => return None,
        };
        let with_ports = match protocol {
            TCP => tcp,
            UDP => udp,
            _ => 0,
        };
        let mut input = addresses.to_vec();
        if self.hash_types & with_ports != 0 {
            input.extend_from_slice(packet.get(ports_at..ports_at + 4)?);
            return Some((with_ports, input));
        }
        (self.hash_types & ip != 0).then_some((ip, input))
    }
}

/// The Toeplitz hash; a key that is too short goes on with zeros.
pub fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
    let mut key = key.iter().copied().chain(std::iter::repeat(0));
    let mut window = 0u64;
    for _ in 0..8 {
        window = (window << 8) | u64::from(key.next().unwrap_or(0));
    }
    let mut hash = 0;
    // The window holds the 64 bits of the key that are in front of the input's
    // current byte.
    for (index, byte) in input.iter().enumerate() {
        if index != 0 {
            window = (window << 8) | u64::from(key.next().unwrap_or(0));
        }
        for bit in 0..8 {
            if (byte >> (7 - bit)) & 1 == 1 {
                hash ^= (window >> (32 - bit)) as u32;
            }
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    /// Values of the well-known verification suite for receive-side scaling.
    #[test]
    fn known_hashes() {
        let addresses = [66, 9, 149, 187, 161, 142, 100, 80];
        assert_eq!(toeplitz(&KEY, &addresses), 0x323e_8fc2);
        let mut with_ports = addresses.to_vec();
        with_ports.extend([0x0a, 0xea, 0x06, 0xe6]);
        assert_eq!(toeplitz(&KEY, &with_ports), 0x51cc_c178);
    }

    #[test]
    fn a_frame_is_hashed_by_what_is_on() {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, TCP, 0, 0]);
        frame.extend([66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6]);
        let mut steering = Steering {
            hash_types: 0x3f,
            key: KEY.to_vec(),
            table: vec![3, 2, 1, 0],
            unclassified: 2,
        };
        let hash = steering.hash(&frame);
        assert_eq!(hash, Some((0x51cc_c178, 2)));
        assert_eq!(steering.pair(hash), Some(3));
        assert_eq!(steering.pair(None), Some(2));
        steering.hash_types = hash::IPV4;
        assert_eq!(steering.hash(&frame), Some((0x323e_8fc2, 1)));
        steering.hash_types = hash::UDPV4;
        assert_eq!(steering.hash(&frame), None);
        assert_eq!(steering.hash(&frame[..20]), None);
        steering.table.clear();
        assert_eq!(steering.pair(None), None);
    }
}
