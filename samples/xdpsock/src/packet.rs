// SPDX-License-Identifier: GPL-2.0

//! Frames of UDP: their headers, and where their payloads are.

use std::net::IpAddr;

/// Bytes of the checksum behind a frame, which only the cable sees.
pub const FCS: usize = 4;
const ETHERNET: usize = 14;
const VLAN: usize = 4;
const IPV6: usize = 40;
const UDP: usize = 8;
/// Of the checksum in the header of UDP.
const CHECKSUM: usize = 6;
const PROTOCOL: u8 = 17;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];

/// How frames are addressed.
pub struct Flow {
    /// MAC addresses of who sends and of whom it is for.
    pub macs: [[u8; 6]; 2],
    /// Number and priority of the VLAN.
    pub vlan: Option<u16>,
    /// IP addresses of who sends and of whom it is for, of one version.
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

    /// Bytes of the Ethernet header.
    fn ethernet(&self) -> usize {
        ETHERNET + if self.vlan.is_some() { VLAN } else { 0 }
    }

    /// Bytes of all headers.
    pub fn headers(&self) -> usize {
        self.ethernet() + if self.is_v6() { IPV6 } else { 20 } + UDP
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
            vec![0x60, 0, 0, 0, high, low, PROTOCOL, 64]
        } else {
            let [high, low] = (len as u16 + 20).to_be_bytes();
            vec![0x45, 0, high, low, 0, 0, 0, 0, 64, PROTOCOL, 0, 0]
        };
        ip.extend(source);
        ip.extend(destination);
        if !self.is_v6() {
            let sum = !fold(sum(&ip));
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        ip
    }

    /// Writes the headers of a frame whose payload is there.
    pub fn write(&self, frame: &mut [u8]) {
        let [from, to] = self.macs;
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&from);
        let ethernet = self.ethernet();
        if let Some(tag) = self.vlan {
            frame[12..14].copy_from_slice(&ETHERTYPE_VLAN);
            frame[14..16].copy_from_slice(&tag.to_be_bytes());
        }
        let ethertype = if self.is_v6() {
            ETHERTYPE_IPV6
        } else {
            ETHERTYPE_IPV4
        };
        frame[ethernet - 2..ethernet].copy_from_slice(&ethertype);
        let headers = self.headers();
        let len = frame.len() - (headers - UDP);
        frame[ethernet..headers - UDP].copy_from_slice(&self.ip(len));
        let udp = &mut frame[headers - UDP..];
        udp[..2].copy_from_slice(&self.port.to_be_bytes());
        udp[2..4].copy_from_slice(&self.port.to_be_bytes());
        udp[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        udp[CHECKSUM..UDP].fill(0);
        let pseudo = self.pseudo(len);
        let checksum = match (self.is_partial, fold(pseudo + sum(udp))) {
            (true, _) => fold(pseudo),
            // Nought is for none.
            (false, 0xffff) => 0xffff,
            (false, sum) => !sum,
        };
        udp[CHECKSUM..UDP].copy_from_slice(&checksum.to_be_bytes());
    }

    fn pseudo(&self, len: usize) -> u32 {
        let ips: u32 = self.ips.iter().map(|ip| sum(&octets(*ip))).sum();
        ips + u32::from(PROTOCOL) + len as u32
    }
}

/// Where the payload of a frame of UDP is; Ethernet pads short frames.
pub fn payload(frame: &[u8]) -> Option<&[u8]> {
    let mut at = ETHERNET;
    if frame.get(12..14)? == ETHERTYPE_VLAN {
        at += VLAN;
    }
    let ethertype = frame.get(at - 2..at)?;
    let ip = frame.get(at..)?;
    let length = |at: usize| {
        Some(usize::from(u16::from_be_bytes([
            *ip.get(at)?,
            *ip.get(at + 1)?,
        ])))
    };
    let (headers, len, protocol) = if ethertype == ETHERTYPE_IPV6 {
        (IPV6, IPV6 + length(4)?, *ip.get(6)?)
    } else if ethertype == ETHERTYPE_IPV4 {
        (usize::from(*ip.first()? & 15) * 4, length(2)?, *ip.get(9)?)
    } else {
        return None;
    };
    (protocol == PROTOCOL).then_some(())?;
    ip.get(..len)?.get(headers + UDP..)
}

/// Swaps the addresses of a frame.
pub fn swap_addresses(frame: &mut [u8]) {
    if frame.len() >= 12 {
        let (to, from) = frame.split_at_mut(6);
        to.swap_with_slice(&mut from[..6]);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn flow(is_v6: bool, is_partial: bool, vlan: Option<u16>) -> Flow {
        let ips = if is_v6 {
            ["2001:2::1", "2001:2::2"]
        } else {
            ["10.10.10.16", "10.10.10.32"]
        };
        Flow {
            macs: [[1; 6], [2; 6]],
            vlan,
            ips: ips.map(|ip| ip.parse().unwrap()),
            port: 4096,
            is_partial,
        }
    }

    /// The sum of pseudo header and datagram, as a receiver has it.
    fn verified(flow: &Flow, frame: &[u8]) -> u16 {
        let udp = &frame[flow.headers() - UDP..];
        fold(flow.pseudo(udp.len()) + sum(udp))
    }

    fn flows(is_partial: bool) -> [Flow; 4] {
        [
            (false, None),
            (true, None),
            (false, Some(5)),
            (true, Some(5)),
        ]
        .map(|(is_v6, vlan)| flow(is_v6, is_partial, vlan))
    }

    #[test]
    fn headers_are_these() {
        let mut frame = [0x55; 50];
        flow(false, false, None).write(&mut frame);
        assert_eq!(
            frame[..42],
            [
                2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 8, 0, //
                0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0x52, 0x86, 10, 10, 10, 16, 10, 10, 10,
                32, //
                16, 0, 16, 0, 0, 16, 0x62, 0x35,
            ]
        );
        let mut frame = [0; 60];
        flow(false, false, Some(0x6007)).write(&mut frame);
        assert_eq!(frame[12..20], [0x81, 0, 0x60, 7, 8, 0, 0x45, 0]);
    }

    #[test]
    fn payloads_are_found() {
        for flow in flows(false) {
            let mut frame = vec![0; flow.headers() + 20];
            let payload_at = flow.headers();
            frame[payload_at..].fill(7);
            flow.write(&mut frame);
            frame.extend([9; 6]);
            assert_eq!(payload(&frame), Some(&[7; 20][..]));
            assert_eq!(payload(&frame[..payload_at + 19]), None);
        }
        let mut frame = vec![0; 60];
        flow(false, false, None).write(&mut frame);
        frame[23] = 6;
        assert_eq!(payload(&frame), None);
        assert_eq!(payload(&[]), None);
    }

    #[test]
    fn checksums_are_whole_or_partial() {
        for flow in flows(false) {
            let mut frame: Vec<u8> = (0..222).map(|byte| byte as u8).collect();
            flow.write(&mut frame);
            assert_eq!(verified(&flow, &frame), 0xffff);
        }
        for flow in flows(true) {
            let mut frame: Vec<u8> = (0..222).map(|byte| byte as u8).collect();
            flow.write(&mut frame);
            // As a device completes it.
            let Partial { start, offset } = flow.partial().unwrap();
            let at = usize::from(start + offset);
            let whole = !fold(sum(&frame[usize::from(start)..]));
            frame[at..at + 2].copy_from_slice(&whole.to_be_bytes());
            assert_eq!(verified(&flow, &frame), 0xffff);
        }
    }
}
