// SPDX-License-Identifier: GPL-2.0

//! Frames that the generator makes: UDP with counted payloads, large ones too, or
//! any bytes.

use super::content::counted;
use super::packet::{seal, seal_network, Layers};
use super::{Frame, Header};
use etherparse::PacketBuilder;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr};
use virtio_net_wire::header::{flag, gso};

/// What carries the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// User Datagram Protocol.
    #[default]
    Udp,
    /// Transmission Control Protocol, one segment (or a GSO packet of them).
    Tcp,
}

/// What the frames' transport checksums are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// Right, and not vouched for.
    #[default]
    Full,
    /// Right, and the header says so (`DATA_VALID`).
    Valid,
    /// Left open (`NEEDS_CSUM`).
    Partial,
    /// Wrong, and not vouched for.
    Wrong,
}

/// A packet by its addresses and sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// MAC address of the sender, `"52:54:00:00:00:01"`.
    #[serde(with = "mac")]
    pub source_mac: [u8; 6],
    /// MAC address of the receiver.
    #[serde(with = "mac")]
    pub destination_mac: [u8; 6],
    /// IP address of the sender.
    pub source: IpAddr,
    /// IP address of the receiver, of the same version.
    pub destination: IpAddr,
    /// UDP or TCP.
    #[serde(default)]
    pub protocol: Protocol,
    /// Port of the sender.
    #[serde(default = "port")]
    pub source_port: u16,
    /// Port of the receiver.
    #[serde(default = "port")]
    pub destination_port: u16,
    /// Ports of the sender, from `source_port` on, taken in turn: so many flows.
    #[serde(default = "one")]
    pub flows: u16,
    /// Bytes of payload of each datagram.
    pub size: usize,
    /// Datagrams in one frame: more than one make a GSO frame of segments of `size`.
    #[serde(default = "one")]
    pub segments: u16,
    /// One datagram of `size` in each frame, which IP is to cut into fragments of so many bytes (UFO).
    #[serde(default)]
    pub fragment: Option<u16>,
    /// State of the transport checksum; a GSO frame has a partial one.
    #[serde(default)]
    pub checksum: Checksum,
    /// Number of the run, by which the receiver knows the datagrams.
    #[serde(default)]
    pub run: u32,
}

fn port() -> u16 {
    7777
}

fn one() -> u16 {
    1
}

impl Template {
    /// Datagrams that each frame carries.
    pub fn per_frame(&self) -> u32 {
        u32::from(self.segments.max(1))
    }

    /// The frame whose first datagram has this number.
    pub fn frame(&self, number: u32) -> Frame {
        let mut own = self.clone();
        own.source_port = self
            .source_port
            .wrapping_add((number % u32::from(self.flows.max(1))) as u16);
        let payload: Vec<u8> = (0..self.per_frame())
            .flat_map(|index| counted(number.wrapping_add(index), self.size, self.run))
            .collect();
        if self.segments > 1 {
            let size = self.size.max(super::content::HEAD) as u16;
            return own.frame_with(&payload, Some(size));
        }
        let mut frame = own.frame_with(&payload, self.fragment);
        match self.checksum {
            Checksum::Partial => return frame,
            _ if self.fragment.is_some() => return frame,
            Checksum::Full | Checksum::Wrong => frame.header = Header::default(),
            Checksum::Valid => {
                frame.header = Header {
                    flags: flag::DATA_VALID,
                    ..Header::default()
                }
            }
        }
        if let Some(layers) = Layers::of(&frame.data) {
            seal(&mut frame.data, &layers);
            if self.checksum == Checksum::Wrong {
                frame.data[layers.checksum()] ^= 0x55;
            }
        }
        frame
    }

    /// A frame with this payload and a partial checksum; with `segment`, a GSO frame.
    pub fn frame_with(&self, payload: &[u8], segment: Option<u16>) -> Frame {
        let mut data = self.bytes(payload);
        let Some(layers) = Layers::of(&data) else {
            return Frame {
                header: Header::default(),
                data,
            };
        };
        seal_network(&mut data, &layers);
        let at = layers.checksum();
        let partial = layers.partial(&data);
        data[at..at + 2].copy_from_slice(&partial);
        let gso_type = match (self.protocol, self.source.is_ipv6()) {
            _ if segment.is_none() => gso::NONE,
            (Protocol::Udp, _) if self.fragment.is_some() => gso::UDP,
            (Protocol::Udp, _) => gso::UDP_L4,
            (Protocol::Tcp, false) => gso::TCPV4,
            (Protocol::Tcp, true) => gso::TCPV6,
        };
        Frame {
            header: Header {
                flags: flag::NEEDS_CSUM,
                gso_type,
                hdr_len: segment.map_or(0, |_| layers.payload as u16),
                gso_size: segment.unwrap_or(0),
                csum_start: layers.transport as u16,
                csum_offset: (at - layers.transport) as u16,
                ..Header::default()
            },
            data,
        }
    }

    fn bytes(&self, payload: &[u8]) -> Vec<u8> {
        let ethernet = PacketBuilder::ethernet2(self.source_mac, self.destination_mac);
        let ip = match (self.source, self.destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
            (from, to) => ethernet.ipv6(v6(from).octets(), v6(to).octets(), 64),
        };
        let (from, to) = (self.source_port, self.destination_port);
        let mut data = Vec::new();
        // Only writing fails, and a vector takes all; a payload too long for IP gives
        // no frame.
        let _ = match self.protocol {
            Protocol::Udp => ip.udp(from, to).write(&mut data, payload),
            Protocol::Tcp => ip.tcp(from, to, 1, 0xffff).ack(1).write(&mut data, payload),
        };
        data
    }

    /// A template for tests.
    #[cfg(test)]
    pub(crate) fn example(protocol: Protocol, ipv6: bool) -> Self {
        let ip = |last: u8| -> IpAddr {
            if ipv6 {
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)).into()
            } else {
                std::net::Ipv4Addr::new(192, 0, 2, last).into()
            }
        };
        Self {
            source_mac: [0x52, 0x54, 0, 0, 0, 2],
            destination_mac: [0x52, 0x54, 0, 0, 0, 1],
            source: ip(2),
            destination: ip(1),
            protocol,
            source_port: 7777,
            destination_port: 7777,
            flows: 1,
            size: 100,
            segments: 1,
            fragment: None,
            checksum: Checksum::Full,
            run: 1,
        }
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// MAC addresses as text.
mod mac {
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(mac: &[u8; 6], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&mac.map(|byte| format!("{byte:02x}")).join(":"))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<[u8; 6], D::Error> {
        let text = String::deserialize(from)?;
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|part| u8::from_str_radix(part, 16).ok())
            .collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| D::Error::custom(format!("{text:?} is not a MAC address")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::offload::segment;
    use crate::traffic::content::Received;

    #[test]
    fn checksums_are_what_is_asked_for() {
        for checksum in [
            Checksum::Full,
            Checksum::Valid,
            Checksum::Partial,
            Checksum::Wrong,
        ] {
            for v6 in [false, true] {
                let template = Template {
                    checksum,
                    ..Template::example(Protocol::Udp, v6)
                };
                let frame = template.frame(3);
                let layers = Layers::of(&frame.data).unwrap();
                let right = matches!(checksum, Checksum::Full | Checksum::Valid);
                assert_eq!(layers.is_right(&frame.data), right, "{checksum:?}");
                let flags = match checksum {
                    Checksum::Valid => flag::DATA_VALID,
                    Checksum::Partial => flag::NEEDS_CSUM,
                    _ => 0,
                };
                assert_eq!(frame.header.flags, flags);
            }
        }
    }

    #[test]
    fn segments_are_counted_datagrams() {
        let template = Template {
            segments: 5,
            size: 500,
            ..Template::example(Protocol::Udp, true)
        };
        let mut received = Received::default();
        for number in [0, 5] {
            for one in segment(&template.frame(number)).unwrap() {
                let layers = Layers::of(&one.data).unwrap();
                assert!(received.look(&one.data[layers.payload..layers.end]));
            }
        }
        assert_eq!(
            (received.received, received.repeated, received.changed),
            (10, 0, 0)
        );
    }

    #[test]
    fn a_large_datagram_is_one() {
        let template = Template {
            fragment: Some(1480),
            size: 8000,
            ..Template::example(Protocol::Udp, false)
        };
        let frame = template.frame(0);
        assert_eq!(frame.data.len(), 14 + 20 + 8 + 8000);
        assert_eq!(
            (frame.header.gso_type, frame.header.gso_size),
            (gso::UDP, 1480)
        );
        assert_eq!(frame.header.flags, flag::NEEDS_CSUM);
        let layers = Layers::of(&frame.data).unwrap();
        assert!(Received::default().look(&frame.data[layers.payload..layers.end]));
    }

    #[test]
    fn flows_are_taken_in_turn() {
        let template = Template {
            flows: 3,
            ..Template::example(Protocol::Udp, false)
        };
        let ports: Vec<_> = (0..4)
            .map(|number| {
                let frame = template.frame(number);
                u16::from_be_bytes([frame.data[34], frame.data[35]])
            })
            .collect();
        assert_eq!(ports, [7777, 7778, 7779, 7777]);
    }

    #[test]
    fn it_is_written_as_text() {
        let text = r#"{"source_mac": "52:54:00:00:00:02", "destination_mac": "52:54:00:00:00:01",
            "source": "192.0.2.2", "destination": "192.0.2.1", "size": 64, "checksum": "partial"}"#;
        let template: Template = serde_json::from_str(text).unwrap();
        assert_eq!(template.source_mac[5], 2);
        assert_eq!(template.checksum, Checksum::Partial);
        assert!(serde_json::from_str::<Template>("{\"source_mac\": \"x\"}").is_err());
    }
}
