// SPDX-License-Identifier: GPL-2.0

//! GSO and checksum fields against a frame, and the checksum's completion:
//! `layout, linear length (2), fragment length, header, frame`.

#![no_main]

mod input;

use input::Input;
use libfuzzer_sys::fuzz_target;
use virtio_net_wire::checksum::{complete, OutOfBounds, Sum};
use virtio_net_wire::rx::{decode, PartialChecksum, RxChecksum};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let layout = input.layout();
    let linear = usize::from(input.u16());
    let fragment = usize::from(input.u8()).max(1);
    let Ok(header) = decode(layout, input.bytes(layout.len())) else {
        return;
    };
    let frame = input.rest();
    let RxChecksum::Partial(partial) = header.checksum else {
        return;
    };

    let mut whole = frame.to_vec();
    let done = complete(&mut whole, [], partial);
    if header.check_frame_len(frame.len()).is_ok() {
        assert_eq!(done, Ok(()), "the length had been checked");
    }
    match done {
        Ok(()) => verify(frame, &whole, partial),
        Err(OutOfBounds) => {
            assert_eq!(frame, whole);
            assert!(partial.end(0) > frame.len());
        }
    }

    // In pieces it comes to the same, or fails if the checksum is not in the first.
    let (first, rest) = frame.split_at(linear.min(frame.len()));
    let mut first = first.to_vec();
    match complete(&mut first, rest.chunks(fragment), partial) {
        Ok(()) => assert_eq!([&first, rest].concat(), whole),
        Err(OutOfBounds) => {
            assert_eq!(frame[..first.len()], first);
            assert!(partial.end(0) > first.len());
        }
    }
});

/// Only the two bytes are other than before, they are not zero, and with what was
/// there before, the pseudo-header's sum, all sums up to zero.
fn verify(before: &[u8], after: &[u8], partial: PartialChecksum) {
    let end = partial.end(0);
    let field = end - 2..end;
    assert_eq!(before[..field.start], after[..field.start]);
    assert_eq!(before[end..], after[end..]);
    assert_ne!(after[field.clone()], [0, 0]);

    // No protocol has its checksum across two words.
    if partial.offset % 2 == 0 {
        let mut sum = Sum::new();
        sum.add(&before[field]);
        sum.add(&after[usize::from(partial.start)..]);
        assert_eq!(sum.folded() % 0xffff, 0);
    }
}
