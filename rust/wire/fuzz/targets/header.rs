// SPDX-License-Identifier: GPL-2.0

//! The header of a received packet: `layout, frame length (4), features (16), bytes`.

#![no_main]

mod input;

use input::Input;
use libfuzzer_sys::fuzz_target;
use virtio_net_wire::header::{flag, gso, Base};
use virtio_net_wire::rx::{decode, Gso, RxChecksum, RxHeader, RxHeaderError};
use virtio_net_wire::tx::TxOffload;
use virtio_net_wire::{Features, HeaderLayout};
use zerocopy::FromBytes;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let layout = input.layout();
    let frame_len = input.u32() as usize;
    let negotiated = input.features();
    let bytes = input.rest();

    match decode(layout, bytes) {
        Err(RxHeaderError::Truncated) => assert!(bytes.len() < layout.len()),
        Err(RxHeaderError::ChecksumBeyondFrame) => panic!("no length was given"),
        Err(error) => {
            assert_ne!(bytes[1], gso::NONE);
            assert!(!error.to_string().is_empty());
        }
        Ok(header) => {
            assert!(bytes.len() >= layout.len());
            plain(&header, bytes);
            frame(&header, frame_len);
            negotiation(&header, negotiated);
            round_trip(&header, layout);
        }
    }
});

/// The short test for a plain packet agrees with the whole decoding.
fn plain(header: &RxHeader, bytes: &[u8]) {
    let (base, _) = Base::ref_from_prefix(bytes).expect("as long as the header");
    if base.is_plain() {
        assert_eq!(header.gso, None);
        let valid = header.checksum == RxChecksum::Valid;
        assert_eq!(base.is_data_valid(), valid);
        assert!(valid || header.checksum == RxChecksum::None);
    }
    let partial = matches!(header.checksum, RxChecksum::Partial(_));
    assert_eq!(partial, base.flags & flag::NEEDS_CSUM != 0);
}

/// A frame that is long enough is so with one byte more, and holds the checksum.
fn frame(header: &RxHeader, frame_len: usize) {
    let fits = header.check_frame_len(frame_len).is_ok();
    if fits {
        assert_eq!(header.check_frame_len(frame_len + 1), Ok(()));
    }
    if let RxChecksum::Partial(partial) = header.checksum {
        let end = usize::from(partial.start) + usize::from(partial.offset) + 2;
        assert!(!fits || (partial.start >= 14 && end <= frame_len));
        assert!(partial.end(0) == end);
    } else {
        assert!(fits);
    }
}

/// What few features allow, more allow too; all allow everything.
fn negotiation(header: &RxHeader, negotiated: Features) {
    assert!(header.is_allowed_by(Features::all()));
    if header.is_allowed_by(negotiated) {
        assert!(header.is_allowed_by(negotiated | Features::GUEST_CSUM));
    } else {
        assert!(header.gso.is_some() || matches!(header.checksum, RxChecksum::Partial(_)));
    }
}

/// Sent on as it was received, it says the same.
fn round_trip(header: &RxHeader, layout: HeaderLayout) {
    if let Some(gso) = header.gso {
        assert!(Gso::SIZES.contains(&gso.size) && (!gso.ecn || gso.kind.is_tcp()));
    }
    let checksum = match header.checksum {
        RxChecksum::Partial(partial) => Some(partial),
        RxChecksum::None | RxChecksum::Valid => None,
    };
    let offload = TxOffload {
        checksum,
        gso: header.gso,
    };
    let mut out = [0xff; HeaderLayout::MAX_LEN];
    assert_eq!(offload.encode(layout, &mut out), Some(layout.len()));
    let again = decode(layout, &out).expect("it decoded before");
    assert_eq!(again.gso, header.gso);
    assert_eq!(
        again.checksum,
        checksum.map_or(RxChecksum::None, RxChecksum::Partial)
    );
}
