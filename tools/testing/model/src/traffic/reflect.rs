// SPDX-License-Identifier: GPL-2.0

//! *reflect*: what a port sends comes back to it with addresses and ports
//! exchanged, on the same queue pair. Sums do not depend on order, so checksums
//! stay right, and partial ones partial.

use super::packet::Layers;
use super::{Frame, Output};
use crate::net::offload::fit;
use etherparse::{NetSlice, SlicedPacket};

/// Exchanges two neighbouring ranges of `length` bytes at `at`.
fn exchange(data: &mut [u8], at: usize, length: usize) {
    let (left, right) = data[at..at + 2 * length].split_at_mut(length);
    left.swap_with_slice(right);
}

/// The frame with its addresses exchanged, if it is an IP packet for one host.
pub fn turned(frame: &Frame) -> Option<Frame> {
    const GROUP: u8 = 1;
    let mut turned = frame.clone();
    let packet = SlicedPacket::from_ethernet(&frame.data).ok()?;
    if frame.data[0] & GROUP != 0 {
        return None;
    }
    let at = |part: &[u8]| part.as_ptr().addr() - frame.data.as_ptr().addr();
    match packet.net? {
        NetSlice::Ipv4(ip) => exchange(&mut turned.data, at(ip.header().slice()) + 12, 4),
        NetSlice::Ipv6(ip) => exchange(&mut turned.data, at(ip.header().slice()) + 8, 16),
        NetSlice::Arp(_) => return None,
    }
    exchange(&mut turned.data, 0, 6);
    if let Some(layers) = Layers::of(&frame.data) {
        exchange(&mut turned.data, layers.transport, 2);
    }
    Some(turned)
}

/// Sends a frame back; the number of frames that were not taken or could not be
/// turned, zero if all is well.
pub fn reflect(port: usize, pair: usize, frame: &Frame, out: &mut dyn Output) -> u64 {
    let Some(turned) = turned(frame) else {
        return 0;
    };
    fit(turned, out.offloads(port))
        .iter()
        .map(|frame| u64::from(out.send(port, pair, frame).is_err()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::observe::Observed;
    use crate::traffic::template::{Checksum, Protocol, Template};
    use crate::traffic::testing::Ports;

    #[test]
    fn there_and_back_is_the_same() {
        for v6 in [false, true] {
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                let frame = Template {
                    source_port: 5,
                    ..Template::example(protocol, v6)
                }
                .frame(1);
                let back = turned(&frame).unwrap();
                assert_ne!(back, frame);
                assert_eq!(turned(&back).unwrap(), frame);
            }
        }
    }

    #[test]
    fn checksums_stay_as_they_are() {
        let mut out = Ports::new(1);
        for checksum in [Checksum::Full, Checksum::Partial] {
            let template = Template {
                checksum,
                ..Template::example(Protocol::Udp, true)
            };
            assert_eq!(reflect(0, 0, &template.frame(0), &mut out), 0);
        }
        let mut seen = Observed::default();
        out.sent.iter().for_each(|(_, _, frame)| seen.look(frame));
        assert_eq!((seen.checksums.right, seen.checksums.partial), (1, 1));
        assert_eq!((seen.checksums.wrong, seen.checksums.partial_wrong), (0, 0));
    }

    #[test]
    fn groups_and_others_are_left_alone() {
        let mut out = Ports::new(1);
        let mut frame = Template::example(Protocol::Udp, false).frame(0);
        frame.data[0] |= 1;
        assert_eq!(reflect(0, 0, &frame, &mut out), 0);
        let junk = Frame {
            data: vec![0; 40],
            ..Frame::default()
        };
        assert_eq!(reflect(0, 0, &junk, &mut out), 0);
        assert!(out.sent.is_empty());
    }
}
