// SPDX-License-Identifier: GPL-2.0

//! A queue of mergeable buffers that a device uses as it likes, taken off the ring
//! as the driver does it: `layout, features (16)`, then for each used buffer
//! `posted (2), written (4)` and, where a packet begins, its header.

#![no_main]

mod input;

use input::Input;
use libfuzzer_sys::fuzz_target;
use virtio_net_wire::checksum::complete;
use virtio_net_wire::rx::{decode, RxChecksum};
use virtio_net_wire::rx_buffer::{AveragePacketLen, Mergeable, ETHERNET_LEN};
use virtio_net_wire::{DeviceLength, HeaderLayout};

const PAGE: usize = 4096;
/// No more than this many buffers are in the ring.
const QUEUE_SIZE: usize = 64;

/// A used buffer: how long it is, and what the device says that it wrote.
struct Used {
    posted: usize,
    written: DeviceLength,
}

struct Ring<'a> {
    input: Input<'a>,
    left: usize,
}

impl Ring<'_> {
    fn pop(&mut self) -> Option<Used> {
        if self.input.is_empty() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(Used {
            posted: usize::from(self.input.u16()) % (PAGE + 1),
            written: DeviceLength::new(self.input.u32()),
        })
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let layout = input.layout();
    let negotiated = input.features();
    let mut ring = Ring {
        input,
        left: QUEUE_SIZE,
    };
    let sizes = Mergeable {
        header_len: layout.len(),
        min_data_len: Mergeable::min_data_len(layout.len(), 65535, QUEUE_SIZE),
        page_size: PAGE,
        reserved: 0,
        align: 64,
    };
    let mut average = AveragePacketLen::new();

    while let Some(first) = ring.pop() {
        let header: [u8; HeaderLayout::MAX_LEN] = ring.input.array();
        let least = layout.len() + ETHERNET_LEN;
        let Ok(len) = first.written.checked(least, first.posted) else {
            continue;
        };
        assert!(len >= least && len <= first.posted);
        let mut fragments = vec![len - layout.len()];
        let Ok(decoded) = decode(layout, &header) else {
            continue;
        };
        if !rest(&mut ring, decoded.num_buffers, &mut fragments) {
            continue;
        }
        let frame_len = fragments.iter().sum();
        assert!((ETHERNET_LEN..=QUEUE_SIZE * PAGE).contains(&frame_len));
        average.add(frame_len);
        let next = sizes.buffer_len(average);
        assert!(next <= sizes.max_buffer_len() && next >= sizes.min_data_len + layout.len());

        let fits = decoded.check_frame_len(frame_len).is_ok();
        let _ = decoded.is_allowed_by(negotiated);
        if let (true, RxChecksum::Partial(partial)) = (fits, decoded.checksum) {
            let mut frame = vec![0x5a; frame_len];
            assert_eq!(complete(&mut frame, [], partial), Ok(()));
        }
    }
});

/// The further buffers of a packet; false if it is to be dropped. All of them are
/// taken off the ring all the same, so that the next packet begins where it should.
fn rest(ring: &mut Ring<'_>, num_buffers: u16, fragments: &mut Vec<usize>) -> bool {
    let mut whole = num_buffers > 0;
    for _ in 1..num_buffers {
        let Some(used) = ring.pop() else {
            return false;
        };
        match used.written.checked(1, used.posted) {
            Ok(len) => fragments.push(len),
            Err(_) => whole = false,
        }
    }
    whole
}
