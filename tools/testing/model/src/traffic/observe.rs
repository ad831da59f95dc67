// SPDX-License-Identifier: GPL-2.0

//! What can be seen of frames that a driver sends: offloads asked for, checksums,
//! content. The sink's judgement, and every other mode's statistics.

use super::content::Received;
use super::packet::{complete, Layers, UDP};
use super::Frame;
use crate::net::offload::segment;
use serde::Serialize;
use virtio_net_wire::header::{flag, gso};

/// Counts of frames that a port's driver has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Frames.
    pub frames: u64,
    /// Their bytes, without virtio headers.
    pub bytes: u64,
    /// Bytes of the longest.
    pub longest: usize,
    /// The transport checksum in frames of TCP and UDP.
    pub checksums: Checksums,
    /// GSO packets by type.
    pub large: Large,
    /// Headers that ask for what cannot be done: a checksum outside the frame, a GSO
    /// type that does not fit it.
    pub nonsense: u64,
    /// Counted datagrams.
    pub content: Received,
}

/// Frames by the state of their transport checksum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checksums {
    /// Complete and right.
    pub right: u64,
    /// Complete and wrong.
    pub wrong: u64,
    /// Left open, and right once completed.
    pub partial: u64,
    /// Left open, and wrong even when completed.
    pub partial_wrong: u64,
}

/// GSO packets by type, and the sizes that they were to be cut to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Large {
    /// TSO over IPv4.
    pub tcpv4: u64,
    /// TSO over IPv6.
    pub tcpv6: u64,
    /// USO.
    pub udp_l4: u64,
    /// Anything else.
    pub other: u64,
    /// Those of them with ECN's CWR.
    pub ecn: u64,
    /// Those of them whose header says how long the headers of a segment are (`GUEST_HDRLEN`).
    pub exact_headers: u64,
    /// The smallest segment asked for, in bytes of payload.
    pub smallest_size: u16,
    /// The largest.
    pub largest_size: u16,
}

impl Observed {
    /// Looks at one frame.
    pub fn look(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.data.len() as u64;
        self.longest = self.longest.max(frame.data.len());
        let partial = frame.header.flags & flag::NEEDS_CSUM != 0;
        if frame.header.gso_type != gso::NONE {
            self.large.count(frame);
            match segment(frame) {
                Some(cut) => {
                    // The segments have checksums of their own; what the driver left in
                    // the large packet is judged by the pseudo header alone.
                    self.checksum(partial, partial && seeded(frame));
                    cut.iter().for_each(|segment| self.payload(&segment.data));
                }
                None => self.nonsense += 1,
            }
            return;
        }
        let (mut header, mut data) = (frame.header, frame.data.clone());
        if complete(&mut header, &mut data).is_err() {
            self.nonsense += 1;
            return;
        }
        if let Some(layers) = Layers::of(&data) {
            self.checksum(partial, layers.is_right(&data));
            self.payload(&data);
        }
    }

    fn checksum(&mut self, partial: bool, right: bool) {
        *match (partial, right) {
            (false, true) => &mut self.checksums.right,
            (false, false) => &mut self.checksums.wrong,
            (true, true) => &mut self.checksums.partial,
            (true, false) => &mut self.checksums.partial_wrong,
        } += 1;
    }

    fn payload(&mut self, data: &[u8]) {
        if let Some(layers) = Layers::of(data).filter(|layers| layers.protocol == UDP) {
            self.content.look(&data[layers.payload..layers.end]);
        }
    }
}

impl Large {
    fn count(&mut self, frame: &Frame) {
        *match frame.header.gso_type & !gso::ECN {
            gso::TCPV4 => &mut self.tcpv4,
            gso::TCPV6 => &mut self.tcpv6,
            gso::UDP_L4 => &mut self.udp_l4,
            _ => &mut self.other,
        } += 1;
        self.ecn += u64::from(frame.header.gso_type & gso::ECN != 0);
        let exact = |layers: Layers| layers.payload == usize::from(frame.header.hdr_len);
        self.exact_headers += u64::from(Layers::of(&frame.data).is_some_and(exact));
        let size = frame.header.gso_size;
        self.largest_size = self.largest_size.max(size);
        if self.smallest_size == 0 || size < self.smallest_size {
            self.smallest_size = size;
        }
    }
}

/// Whether a partial checksum is where the transport has it, and begins with the
/// pseudo header's sum.
fn seeded(frame: &Frame) -> bool {
    let Some(layers) = Layers::of(&frame.data) else {
        return false;
    };
    let at = layers.checksum();
    usize::from(frame.header.csum_start) == layers.transport
        && usize::from(frame.header.csum_offset) == at - layers.transport
        && frame.data[at..at + 2] == layers.partial(&frame.data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::template::{Checksum, Protocol, Template};

    #[test]
    fn checksums_are_judged() {
        let mut seen = Observed::default();
        for v6 in [false, true] {
            for checksum in [
                Checksum::Full,
                Checksum::Valid,
                Checksum::Partial,
                Checksum::Wrong,
            ] {
                let template = Template {
                    checksum,
                    ..Template::example(Protocol::Udp, v6)
                };
                seen.look(&template.frame(if v6 { 1 } else { 0 }));
            }
        }
        let wanted = Checksums {
            right: 4,
            wrong: 2,
            partial: 2,
            partial_wrong: 0,
        };
        assert_eq!(seen.checksums, wanted);
        assert_eq!(seen.frames, 8);
        assert_eq!((seen.content.received, seen.content.changed), (8, 0));
        let mut frame = Template::example(Protocol::Tcp, true).frame_with(b"x", None);
        let at = Layers::of(&frame.data).unwrap().checksum();
        frame.data[at] ^= 1;
        seen.look(&frame);
        assert_eq!(seen.checksums.partial_wrong, 1);
        frame.header.csum_start = 5000;
        seen.look(&frame);
        assert_eq!(seen.nonsense, 1);
    }

    #[test]
    fn large_packets_are_looked_into() {
        let mut seen = Observed::default();
        let template = Template {
            segments: 4,
            size: 1000,
            ..Template::example(Protocol::Udp, false)
        };
        let mut frame = template.frame(0);
        seen.look(&frame);
        assert_eq!(
            (
                seen.content.received,
                seen.content.changed,
                seen.content.repeated
            ),
            (4, 0, 0)
        );
        assert_eq!((seen.large.udp_l4, seen.large.largest_size), (1, 1000));
        assert_eq!((seen.checksums.partial, seen.large.exact_headers), (1, 1));
        frame.header.csum_offset = 16;
        frame.header.hdr_len += 1000;
        seen.look(&frame);
        assert_eq!(seen.large.exact_headers, 1);
        assert_eq!(seen.checksums.partial_wrong, 1);
        frame.header.gso_type = gso::TCPV6;
        seen.look(&frame);
        assert_eq!((seen.large.tcpv6, seen.nonsense), (1, 1));
    }

    #[test]
    fn what_is_not_ip_is_counted_alone() {
        let mut seen = Observed::default();
        seen.look(&Frame {
            data: vec![0xff; 60],
            ..Frame::default()
        });
        assert_eq!((seen.frames, seen.bytes), (1, 60));
        assert_eq!(seen.checksums, Checksums::default());
    }
}
