// SPDX-License-Identifier: GPL-2.0

//! What a device must do to a frame whose receiver has not negotiated an offload:
//! complete the checksum, or cut the packet into its segments first.

use super::packet::{complete, seal, Layers, TCP, UDP};
use super::{Frame, Header};
use virtio_net_wire::header::{flag, gso};
use virtio_net_wire::Features;

/// Why a frame cannot be given to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The checksum is outside the frame.
    Checksum,
    /// The GSO type is none that can be cut here (UFO, tunnels), or does not fit
    /// the packet.
    Gso,
}

/// The features that a receiver needs for a frame with this header.
pub fn needed(header: &Header, v6: bool) -> Features {
    let mut needed = Features::empty();
    if header.flags & flag::NEEDS_CSUM != 0 {
        needed |= Features::GUEST_CSUM;
    }
    if header.gso_type & gso::ECN != 0 {
        needed |= Features::GUEST_ECN;
    }
    needed
        | match header.gso_type & !gso::ECN {
            gso::NONE => Features::empty(),
            gso::TCPV4 => Features::GUEST_TSO4,
            gso::TCPV6 => Features::GUEST_TSO6,
            gso::UDP => Features::GUEST_UFO,
            gso::UDP_L4 if v6 => Features::GUEST_USO6,
            gso::UDP_L4 => Features::GUEST_USO4,
            _ => Features::GUEST_UDP_TUNNEL_GSO,
        }
}

/// The frame as a receiver with these guest offloads can take it: as it is, or with
/// its checksum completed, or as its segments.
///
/// # Errors
///
/// See [`Refused`]; the frame is then to be dropped and counted.
pub fn adapt(mut frame: Frame, offloads: Features) -> Result<Vec<Frame>, Refused> {
    let plain = (frame.header.flags & !flag::DATA_VALID) | frame.header.gso_type == 0;
    if !plain {
        let layers = Layers::of(&frame.data);
        let needed = needed(&frame.header, layers.is_some_and(|layers| layers.v6));
        if !offloads.contains(needed) {
            let large = needed.difference(Features::GUEST_CSUM | Features::GUEST_ECN);
            if frame.header.gso_type != gso::NONE
                && !offloads.contains(needed - Features::GUEST_CSUM)
                || !large.is_empty() && !offloads.contains(Features::GUEST_CSUM)
            {
                return segments(&frame);
            }
            complete(&mut frame.header, &mut frame.data).map_err(|_| Refused::Checksum)?;
        }
    }
    if !offloads.contains(Features::GUEST_CSUM) {
        // Not to be said to a driver that would not know what it means.
        frame.header.flags &= !flag::DATA_VALID;
    }
    Ok(vec![frame])
}

/// The segments of a GSO frame, each with all its checksums.
///
/// # Errors
///
/// [`Refused::Gso`].
pub fn segments(frame: &Frame) -> Result<Vec<Frame>, Refused> {
    let layers = Layers::of(&frame.data).ok_or(Refused::Gso)?;
    let size = usize::from(frame.header.gso_size);
    let fits = match frame.header.gso_type & !gso::ECN {
        gso::TCPV4 => layers.protocol == TCP && !layers.v6,
        gso::TCPV6 => layers.protocol == TCP && layers.v6,
        gso::UDP_L4 => layers.protocol == UDP,
        _ => false,
    };
    if !fits || size == 0 {
        return Err(Refused::Gso);
    }
    let head = &frame.data[..layers.payload];
    let payload = &frame.data[layers.payload..layers.end];
    let last = payload.len().div_ceil(size).saturating_sub(1);
    let cut = payload.chunks(size).enumerate().map(|(number, piece)| {
        let mut data = [head, piece].concat();
        let own = Layers {
            end: data.len(),
            ..layers
        };
        set_lengths(&mut data, &own, number);
        if own.protocol == TCP {
            set_tcp(&mut data, &own, number, number * size, number == last);
        }
        seal(&mut data, &own);
        Frame {
            header: Header::default(),
            data,
        }
    });
    Ok(cut.collect())
}

/// Lengths of IP and UDP, and IPv4's identification.
fn set_lengths(data: &mut [u8], layers: &Layers, number: usize) {
    let network = layers.network;
    if layers.v6 {
        let length = (layers.end - network - 40) as u16;
        data[network + 4..network + 6].copy_from_slice(&length.to_be_bytes());
    } else {
        let length = (layers.end - network) as u16;
        data[network + 2..network + 4].copy_from_slice(&length.to_be_bytes());
        let id = u16::from_be_bytes([data[network + 4], data[network + 5]]);
        let id = id.wrapping_add(number as u16);
        data[network + 4..network + 6].copy_from_slice(&id.to_be_bytes());
    }
    if layers.protocol == UDP {
        let at = layers.transport + 4;
        let length = (layers.end - layers.transport) as u16;
        data[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
}

/// Sequence number, and flags that belong to the first or the last segment alone.
fn set_tcp(data: &mut [u8], layers: &Layers, number: usize, offset: usize, last: bool) {
    const FIN: u8 = 0x01;
    const PSH: u8 = 0x08;
    const CWR: u8 = 0x80;
    let at = layers.transport;
    let sequence = u32::from_be_bytes([data[at + 4], data[at + 5], data[at + 6], data[at + 7]]);
    let sequence = sequence.wrapping_add(offset as u32);
    data[at + 4..at + 8].copy_from_slice(&sequence.to_be_bytes());
    if number > 0 {
        data[at + 13] &= !CWR;
    }
    if !last {
        data[at + 13] &= !(FIN | PSH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::template::{Protocol, Template};

    /// A frame as a driver with all offloads sends it: partial checksum, GSO.
    fn large(protocol: Protocol, v6: bool, payload: usize, size: u16) -> Frame {
        Template::example(protocol, v6).frame_with(&vec![7; payload], Some(size))
    }

    fn all() -> Features {
        Features::GUEST_GSO | Features::GUEST_CSUM
    }

    #[test]
    fn offloads_that_were_negotiated_pass_through() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for v6 in [false, true] {
                let frame = large(protocol, v6, 5000, 1400);
                assert_eq!(adapt(frame.clone(), all()), Ok(vec![frame]));
            }
        }
    }

    #[test]
    fn without_them_segments_are_right() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for v6 in [false, true] {
                let frame = large(protocol, v6, 5000, 1400);
                let whole = Layers::of(&frame.data).unwrap();
                for offloads in [Features::empty(), Features::GUEST_CSUM] {
                    let cut = adapt(frame.clone(), offloads).unwrap();
                    assert_eq!(cut.len(), 4);
                    let mut payload = Vec::new();
                    for segment in &cut {
                        let layers = Layers::of(&segment.data).unwrap();
                        assert!(layers.is_right(&segment.data));
                        assert_eq!(segment.header, Header::default());
                        assert!(layers.end - layers.payload <= 1400);
                        payload.extend_from_slice(&segment.data[layers.payload..layers.end]);
                    }
                    assert_eq!(payload, frame.data[whole.payload..whole.end]);
                }
            }
        }
    }

    #[test]
    fn sequence_numbers_and_flags() {
        let mut frame = large(Protocol::Tcp, false, 3000, 1000);
        let at = Layers::of(&frame.data).unwrap().transport;
        frame.data[at + 4..at + 8].copy_from_slice(&0xffff_ff00u32.to_be_bytes());
        frame.data[at + 13] = 0x80 | 0x10 | 0x08 | 0x01;
        let cut = segments(&frame).unwrap();
        let seen: Vec<_> = cut
            .iter()
            .map(|f| {
                (
                    u32::from_be_bytes(f.data[at + 4..at + 8].try_into().unwrap()),
                    f.data[at + 13],
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (0xffff_ff00, 0x90),
                (0xffff_ff00u32.wrapping_add(1000), 0x10),
                (0xffff_ff00u32.wrapping_add(2000), 0x19)
            ]
        );
    }

    #[test]
    fn a_partial_checksum_is_completed() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for v6 in [false, true] {
                let mut frame = Template::example(protocol, v6).frame_with(b"odd", None);
                assert_ne!(frame.header.flags & flag::NEEDS_CSUM, 0);
                // Padding, as of a short frame.
                frame.data.extend_from_slice(&[0xaa; 3]);
                let layers = Layers::of(&frame.data).unwrap();
                assert!(!layers.is_right(&frame.data));
                let got = adapt(frame, Features::empty()).unwrap();
                assert_eq!(got[0].header, Header::default());
                assert!(layers.is_right(&got[0].data));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut frame = large(Protocol::Udp, false, 3000, 1000);
        frame.header.csum_start = 60_000;
        frame.header.gso_type = gso::NONE;
        assert_eq!(
            adapt(frame.clone(), Features::empty()),
            Err(Refused::Checksum)
        );
        for gso_type in [gso::TCPV4, gso::UDP, 9, gso::UDP_L4 | gso::UDP_TUNNEL_IPV4] {
            frame.header.gso_type = gso_type;
            assert_eq!(adapt(frame.clone(), Features::empty()), Err(Refused::Gso));
        }
        frame.header.gso_type = gso::UDP_L4;
        frame.header.gso_size = 0;
        assert_eq!(segments(&frame), Err(Refused::Gso));
    }
}
