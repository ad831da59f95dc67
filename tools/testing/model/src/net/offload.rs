// SPDX-License-Identifier: GPL-2.0

//! Makes frames such as the driver takes them: checksums are completed and long
//! frames are cut where a receive offload is off.

use super::{Frame, Header};
use virtio_net_wire::checksum::{complete, Sum};
use virtio_net_wire::header::{flag, gso};
use virtio_net_wire::rx::PartialChecksum;
use virtio_net_wire::Features;

/// Most segments that one frame is cut into.
const MAX_SEGMENTS: usize = 2048;
/// The length of an Ethernet header.
const ETHERNET: usize = 14;

/// The frame as one or more frames that a driver with these receive offloads
/// takes. One whose headers make no sense is passed on as it is, without GSO.
pub fn fit(frame: Frame, accepted: Features) -> Vec<Frame> {
    let mut frames = if frame.header.is_gso() && !takes_gso(&frame.header, accepted) {
        segment(&frame).unwrap_or_else(|| vec![without_gso(frame)])
    } else {
        vec![frame]
    };
    if !accepted.contains(Features::GUEST_CSUM) {
        frames.iter_mut().for_each(complete_checksum);
    }
    frames
}

fn takes_gso(header: &Header, accepted: Features) -> bool {
    let kind = header.gso_type & !(gso::ECN | gso::UDP_TUNNEL_IPV4 | gso::UDP_TUNNEL_IPV6);
    let needed = match kind {
        gso::TCPV4 => Features::GUEST_TSO4,
        gso::TCPV6 => Features::GUEST_TSO6,
        gso::UDP => Features::GUEST_UFO,
        // One type for both: it fits if either is on and the other not needed.
        gso::UDP_L4 => Features::GUEST_USO4 | Features::GUEST_USO6,
        _ => return false,
    };
    let mut all = needed | Features::GUEST_CSUM;
    all.set(Features::GUEST_ECN, header.gso_type & gso::ECN != 0);
    all.set(Features::GUEST_UDP_TUNNEL_GSO, header.tunnel.is_some());
    accepted.contains(all)
}

fn without_gso(mut frame: Frame) -> Frame {
    frame.header.gso_type = gso::NONE;
    frame.header.gso_size = 0;
    frame
}

/// Completes a partial checksum; the frame then needs nothing.
pub fn complete_checksum(frame: &mut Frame) {
    if !frame.header.needs_csum() {
        frame.header.flags = 0;
        return;
    }
    let partial = PartialChecksum {
        start: frame.header.csum_start,
        offset: frame.header.csum_offset,
    };
    if complete(&mut frame.data, [], partial).is_err() {
        log::debug!("a checksum beyond its frame: {partial:?}");
    }
    frame.header.flags = 0;
    frame.header.csum_start = 0;
    frame.header.csum_offset = 0;
}

/// Where the headers of a frame are.
struct Headers {
    ipv4: bool,
    network: usize,
    transport: usize,
    payload: usize,
    protocol: u8,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

fn headers(frame: &[u8]) -> Option<Headers> {
    let mut network = ETHERNET;
    while frame.get(network - 2..network)? == [0x81, 0x00] {
        network += 4;
    }
    let (ipv4, transport, protocol) = match frame.get(network - 2..network)? {
        [0x08, 0x00] => {
            let len = 4 * usize::from(frame.get(network)? & 0xf);
            (true, network + len, *frame.get(network + 9)?)
        }
        [0x86, 0xdd] => (false, network + 40, *frame.get(network + 6)?),
        _ => return None,
    };
    let payload = match protocol {
        TCP => transport + 4 * usize::from(frame.get(transport + 12)? >> 4),
        UDP => transport + 8,
        _ => return None,
    };
    (payload > transport && payload <= frame.len()).then_some(Headers {
        ipv4,
        network,
        transport,
        payload,
        protocol,
    })
}

/// How a TCP or UDP frame is to be cut by its header: where its parts are, and the
/// number of segments. `None` if it cannot be, as those in tunnels and those that IP is
/// to fragment.
fn plan(frame: &Frame) -> Option<(Headers, usize)> {
    let kind = frame.header.gso_type & !gso::ECN;
    let tcp = matches!(kind, gso::TCPV4 | gso::TCPV6);
    if !tcp && kind != gso::UDP_L4 {
        return None;
    }
    let at = headers(&frame.data)?;
    if (at.protocol == TCP) != tcp || frame.header.gso_size == 0 {
        return None;
    }
    let payload = frame.data.len().checked_sub(at.payload)?;
    let count = payload.div_ceil(usize::from(frame.header.gso_size));
    (count <= MAX_SEGMENTS).then_some((at, count))
}

/// Number and bytes of the frames that a frame is cut into; `None` as for [`segment`].
pub fn segments(frame: &Frame) -> Option<(usize, usize)> {
    let (at, count) = plan(frame)?;
    let copies = count.saturating_sub(1);
    Some((count, frame.data.len() + copies * at.payload))
}

/// Cuts a TCP or UDP frame as its header says; `None` if it cannot be, as those
/// in tunnels and those that IP is to fragment.
pub fn segment(frame: &Frame) -> Option<Vec<Frame>> {
    let (at, count) = plan(frame)?;
    let (head, payload) = frame.data.split_at_checked(at.payload)?;
    let size = usize::from(frame.header.gso_size);
    let parts = payload.chunks(size).enumerate();
    Some(
        parts
            .map(|(index, part)| {
                let mut data = head.to_vec();
                data.extend_from_slice(part);
                let last = index + 1 == count;
                adjust(&mut data, &at, index, index * size, last);
                Frame {
                    header: Header {
                        flags: flag::NEEDS_CSUM,
                        csum_start: at.transport as u16,
                        csum_offset: if at.protocol == TCP { 16 } else { 6 },
                        ..Header::default()
                    },
                    data,
                }
            })
            .collect(),
    )
}

/// Sets what differs between segments. The bytes up to the payload are there, as
/// `at` was found from them.
fn adjust(data: &mut [u8], at: &Headers, index: usize, offset: usize, last: bool) {
    let put = |data: &mut [u8], at: usize, value: u16| {
        data[at..at + 2].copy_from_slice(&value.to_be_bytes());
    };
    let get = |data: &[u8], at: usize| u16::from_be_bytes([data[at], data[at + 1]]);
    let total = data.len();
    let (network, transport) = (at.network, at.transport);
    let addresses = if at.ipv4 {
        put(data, network + 2, (total - network) as u16);
        let id = get(data, network + 4).wrapping_add(index as u16);
        put(data, network + 4, id);
        put(data, network + 10, 0);
        let mut sum = Sum::new();
        sum.add(&data[network..transport]);
        put(data, network + 10, sum.checksum());
        network + 12..network + 20
    } else {
        put(data, network + 4, (total - network - 40) as u16);
        network + 8..network + 40
    };
    let checksum_at = if at.protocol == TCP {
        let sequence = [0, 1, 2, 3].map(|byte| data[transport + 4 + byte]);
        let sequence = u32::from_be_bytes(sequence).wrapping_add(offset as u32);
        data[transport + 4..transport + 8].copy_from_slice(&sequence.to_be_bytes());
        let (fin_psh, cwr) = (0x01 | 0x08, 0x80);
        if !last {
            data[transport + 13] &= !fin_psh;
        }
        if index > 0 {
            data[transport + 13] &= !cwr;
        }
        transport + 16
    } else {
        put(data, transport + 4, (total - transport) as u16);
        transport + 6
    };
    // The pseudo-header's sum is what a partial checksum starts from.
    let mut sum = Sum::new();
    sum.add(&data[addresses]);
    sum.add(&[0, at.protocol]);
    sum.add(&((total - transport) as u32).to_be_bytes());
    put(data, checksum_at, sum.folded());
}

#[cfg(test)]
mod tests;
