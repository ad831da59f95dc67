// SPDX-License-Identifier: GPL-2.0

//! Where the headers of a frame are, and its transport checksum.

use super::Header;
use etherparse::{checksum::Sum16BitWords, NetSlice, SlicedPacket, TransportSlice};
use std::ops::Range;
use virtio_net_wire::header::flag;

/// Protocol numbers of the Internet Protocol.
pub const TCP: u8 = 6;
/// As above.
pub const UDP: u8 = 17;

/// Offsets of the headers of a TCP or UDP packet in its frame, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Of the IP header.
    pub network: usize,
    /// Whether that is IPv6.
    pub v6: bool,
    /// Of the TCP or UDP header.
    pub transport: usize,
    /// [`TCP`] or [`UDP`].
    pub protocol: u8,
    /// Of the payload.
    pub payload: usize,
    /// Where the packet ends; padding may follow.
    pub end: usize,
}

impl Layers {
    /// The layers of a frame; `None` if it is not TCP or UDP over IP, is a later
    /// fragment, or is broken.
    pub fn of(data: &[u8]) -> Option<Self> {
        let packet = SlicedPacket::from_ethernet(data).ok()?;
        let at = |part: &[u8]| part.as_ptr().addr() - data.as_ptr().addr();
        let (network, v6) = match packet.net.as_ref()? {
            NetSlice::Ipv4(ip) => (at(ip.header().slice()), false),
            NetSlice::Ipv6(ip) => (at(ip.header().slice()), true),
            NetSlice::Arp(_) => return None,
        };
        let (transport, protocol, payload) = match packet.transport.as_ref()? {
            TransportSlice::Tcp(tcp) => (at(tcp.slice()), TCP, tcp.payload()),
            TransportSlice::Udp(udp) => (at(udp.slice()), UDP, udp.payload()),
            _ => return None,
        };
        let from = at(payload);
        Some(Self {
            network,
            v6,
            transport,
            protocol,
            payload: from,
            end: from + payload.len(),
        })
    }

    /// Offset of the checksum in the frame, in bytes.
    pub fn checksum(&self) -> usize {
        self.transport + if self.protocol == TCP { 16 } else { 6 }
    }

    /// Where source and destination addresses are.
    fn addresses(&self) -> Range<usize> {
        if self.v6 {
            self.network + 8..self.network + 40
        } else {
            self.network + 12..self.network + 20
        }
    }

    /// The sum of the pseudo header.
    fn pseudo(&self, data: &[u8]) -> Sum16BitWords {
        let length = (self.end - self.transport) as u32;
        Sum16BitWords::new()
            .add_slice(&data[self.addresses()])
            .add_slice(&length.to_be_bytes())
            .add_2bytes([0, self.protocol])
    }

    /// What a partial checksum holds at first: the pseudo header, summed up, not
    /// inverted. Big-endian.
    pub fn partial(&self, data: &[u8]) -> [u8; 2] {
        (!self.pseudo(data).ones_complement()).to_ne_bytes()
    }

    /// Whether the checksum in the frame is that of its bytes. UDP over IPv4 may
    /// have none.
    pub fn is_right(&self, data: &[u8]) -> bool {
        if self.protocol == UDP && !self.v6 && data[self.checksum()..][..2] == [0, 0] {
            return true;
        }
        let sum = self.pseudo(data).add_slice(&data[self.transport..self.end]);
        sum.ones_complement() == 0
    }
}

/// Why a header's request cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond;

/// Completes a partial checksum as the header asks, and takes the request back.
///
/// # Errors
///
/// [`Beyond`] if the checksum is outside the frame.
pub fn complete(header: &mut Header, data: &mut [u8]) -> Result<(), Beyond> {
    if header.flags & flag::NEEDS_CSUM == 0 {
        return Ok(());
    }
    let start = usize::from(header.csum_start);
    let place = start + usize::from(header.csum_offset);
    if place + 2 > data.len() {
        return Err(Beyond);
    }
    // Padding of a short frame is not part of the packet, and not always zero.
    let end = Layers::of(data)
        .filter(|layers| layers.transport == start)
        .map_or(data.len(), |layers| layers.end);
    let sum = Sum16BitWords::new().add_slice(data.get(start..end).ok_or(Beyond)?);
    // No checksum is zero: that means none to UDP, and is the same to TCP.
    data[place..place + 2].copy_from_slice(&sum.to_ones_complement_with_no_zero().to_ne_bytes());
    header.flags &= !flag::NEEDS_CSUM;
    (header.csum_start, header.csum_offset) = (0, 0);
    Ok(())
}

/// Fills in the checksums of a TCP or UDP frame, IPv4's header included.
pub fn seal(data: &mut [u8], layers: &Layers) {
    seal_network(data, layers);
    let at = layers.checksum();
    data[at..at + 2].fill(0);
    let sum = layers
        .pseudo(data)
        .add_slice(&data[layers.transport..layers.end]);
    data[at..at + 2].copy_from_slice(&sum.to_ones_complement_with_no_zero().to_ne_bytes());
}

/// Fills in the checksum of an IPv4 header.
pub fn seal_network(data: &mut [u8], layers: &Layers) {
    if layers.v6 {
        return;
    }
    let head = usize::from(data[layers.network] & 15) * 4;
    let at = layers.network + 10;
    data[at..at + 2].fill(0);
    let sum = Sum16BitWords::new().add_slice(&data[layers.network..layers.network + head]);
    data[at..at + 2].copy_from_slice(&sum.ones_complement().to_ne_bytes());
}
