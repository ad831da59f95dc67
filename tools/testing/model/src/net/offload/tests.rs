// SPDX-License-Identifier: GPL-2.0

use super::*;

/// A TCP frame over IPv4 or IPv6 with `len` bytes of payload, to be cut by 1000.
fn tcp(ipv6: bool, len: usize) -> Frame {
    let mut data = vec![2; 12];
    if ipv6 {
        data.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, TCP, 64]);
        data.extend([7; 32]);
    } else {
        data.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 9, 0x40, 0, 64, TCP, 0, 0]);
        data.extend([7; 8]);
    }
    let start = data.len();
    data.extend([
        0, 1, 0, 2, 0, 0, 0, 100, 0, 0, 0, 0, 0x50, 0x99, 1, 1, 0, 0, 0, 0,
    ]);
    data.extend((0..len).map(|byte| byte as u8));
    Frame {
        header: Header {
            flags: flag::NEEDS_CSUM,
            gso_type: if ipv6 { gso::TCPV6 } else { gso::TCPV4 },
            gso_size: 1000,
            csum_start: start as u16,
            csum_offset: 16,
            ..Header::default()
        },
        data,
    }
}

fn transport_sum(data: &[u8]) -> u16 {
    let at = headers(data).expect("headers");
    let mut sum = Sum::new();
    sum.add(if at.ipv4 {
        &data[at.network + 12..at.network + 20]
    } else {
        &data[at.network + 8..at.network + 40]
    });
    sum.add(&[0, at.protocol]);
    sum.add(&((data.len() - at.transport) as u32).to_be_bytes());
    sum.add(&data[at.transport..]);
    sum.checksum()
}

#[test]
fn a_frame_that_fits_stays_whole() {
    let frame = tcp(false, 3000);
    let accepted = Features::GUEST_TSO4 | Features::GUEST_CSUM;
    assert_eq!(fit(frame.clone(), accepted), [frame]);
}

#[test]
fn segments_are_whole_packets() {
    for ipv6 in [false, true] {
        let frames = fit(tcp(ipv6, 2500), Features::empty());
        let lengths: Vec<_> = frames.iter().map(|frame| frame.data.len()).collect();
        let head = if ipv6 { 74 } else { 54 };
        assert_eq!(lengths, [head + 1000, head + 1000, head + 500]);
        for (index, frame) in frames.iter().enumerate() {
            assert_eq!(frame.header, Header::default());
            assert_eq!(transport_sum(&frame.data), 0, "checksum of {index}");
            let at = headers(&frame.data).expect("headers");
            let sequence = [0, 1, 2, 3].map(|byte| frame.data[at.transport + 4 + byte]);
            assert_eq!(u32::from_be_bytes(sequence), 100 + 1000 * index as u32);
            let flags = [0x90, 0x10, 0x19][index];
            assert_eq!(frame.data[at.transport + 13], flags, "flags of {index}");
            if at.ipv4 {
                let mut sum = Sum::new();
                sum.add(&frame.data[at.network..at.transport]);
                assert_eq!(sum.checksum(), 0, "header checksum of {index}");
            }
        }
    }
}

#[test]
fn nonsense_is_passed_on_without_gso() {
    let mut frame = tcp(false, 3000);
    frame.header.gso_size = 0;
    let frames = fit(frame, Features::GUEST_CSUM);
    assert_eq!(frames.len(), 1);
    assert!(!frames[0].header.is_gso());
    for len in 0..60 {
        let mut frame = tcp(len % 2 == 0, 3000);
        frame.data.truncate(len);
        assert_eq!(fit(frame, Features::empty()).len(), 1);
    }
}
