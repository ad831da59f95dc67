// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// RFC 1071 in words: 16 bits at a time, with the carry put back at once.
fn reference(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for (position, byte) in bytes.iter().enumerate() {
        let word = if position % 2 == 0 {
            u32::from(*byte) << 8
        } else {
            u32::from(*byte)
        };
        sum += word;
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    !(sum as u16)
}

#[test]
fn example_of_the_rfc() {
    let mut sum = Sum::new();
    sum.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum.folded(), 0xddf2);
}

#[test]
fn sums_that_need_every_fold() {
    for words in [
        u64::MAX,
        0xffff_ffff_ffff_0000,
        0xffff_ffff,
        0xffff_0001_ffff_ffff,
        0x1_ffff,
    ] {
        let sum = Sum { words, odd: false };
        assert_eq!(u64::from(sum.folded()) % 0xffff, words % 0xffff);
    }
    assert_eq!(Sum::new().checksum(), 0xffff);
}

#[test]
fn out_of_bounds_changes_nothing() {
    let at = |start, offset| {
        let mut linear = [0xaa; 40];
        let result = complete(&mut linear, [], PartialChecksum { start, offset });
        assert_eq!(linear == [0xaa; 40], result.is_err());
        result
    };
    assert_eq!(at(20, 18), Ok(()));
    assert_eq!(at(20, 19), Err(OutOfBounds));
    assert_eq!(at(40, 0), Err(OutOfBounds));
    assert_eq!(at(41, 0), Err(OutOfBounds));
    assert_eq!(at(u16::MAX, u16::MAX), Err(OutOfBounds));
}

#[test]
fn zero_is_stored_as_its_other_form() {
    let mut linear = [0xff, 0xfe, 0x00, 0x01];
    let partial = PartialChecksum {
        start: 0,
        offset: 2,
    };
    assert_eq!(complete(&mut linear, [], partial), Ok(()));
    assert_eq!(linear, [0xff, 0xfe, 0xff, 0xff]);
}

proptest! {
    #[test]
    fn pieces_sum_like_the_whole(pieces: Vec<Vec<u8>>) {
        let mut sum = Sum::new();
        for piece in &pieces {
            sum.add(piece);
        }
        let (ours, theirs) = (sum.checksum(), reference(&pieces.concat()));
        // 0 and 0xffff are one number in one's complement.
        prop_assert_eq!(ours % 0xffff, theirs % 0xffff);
    }

    #[test]
    fn a_completed_checksum_verifies(
        header in proptest::collection::vec(any::<u8>(), 14..60),
        transport in proptest::collection::vec(any::<u8>(), 8..80),
        fragments: Vec<Vec<u8>>,
        pseudo: u16,
        tcp: bool,
    ) {
        let offset: u16 = if tcp && transport.len() >= 18 { 16 } else { 6 };
        let field = usize::from(offset)..usize::from(offset) + 2;
        let start = header.len();
        let mut linear = [header.clone(), transport].concat();
        linear[start..][field.clone()].copy_from_slice(&pseudo.to_be_bytes());

        let partial = PartialChecksum { start: start as u16, offset };
        let slices = fragments.iter().map(Vec::as_slice);
        prop_assert_eq!(complete(&mut linear, slices, partial), Ok(()));

        // A receiver sums everything with the pseudo-header and gets none.
        prop_assert_eq!(&linear[..start], &header[..]);
        prop_assert_ne!(&linear[start..][field], &[0, 0]);
        let mut whole = pseudo.to_be_bytes().to_vec();
        whole.extend_from_slice(&linear[start..]);
        whole.extend(fragments.concat());
        prop_assert_eq!(reference(&whole) % 0xffff, 0);
    }
}
