// SPDX-License-Identifier: GPL-2.0

use super::*;

#[test]
fn layout_follows_the_features() {
    let layout = |features| HeaderLayout::from_features(features);
    assert_eq!(layout(Features::empty()), HeaderLayout::Legacy10);
    assert_eq!(layout(Features::MAC), HeaderLayout::Legacy10);
    assert_eq!(layout(Features::MRG_RXBUF), HeaderLayout::Mergeable12);
    assert_eq!(layout(Features::VERSION_1), HeaderLayout::Mergeable12);
    assert_eq!(
        layout(Features::VERSION_1 | Features::HASH_REPORT),
        HeaderLayout::Hash20
    );
    for tunnel in [
        Features::GUEST_UDP_TUNNEL_GSO,
        Features::HOST_UDP_TUNNEL_GSO,
    ] {
        assert_eq!(layout(Features::VERSION_1 | tunnel), HeaderLayout::Tunnel24);
    }
    let lengths = [
        HeaderLayout::Legacy10.len(),
        HeaderLayout::Mergeable12.len(),
        HeaderLayout::Hash20.len(),
        HeaderLayout::Tunnel24.len(),
    ];
    assert_eq!(lengths, [10, 12, 20, HeaderLayout::MAX_LEN]);
}

#[test]
fn plain_means_nothing_to_do() {
    let base = |flags, gso_type| Base {
        flags,
        gso_type,
        ..Base::default()
    };
    assert!(base(0, gso::NONE).is_plain());
    assert!(base(flag::DATA_VALID, gso::NONE).is_plain());
    assert!(!base(flag::NEEDS_CSUM, gso::NONE).is_plain());
    assert!(!base(flag::DATA_VALID, gso::TCPV4).is_plain());
    assert!(!base(0, gso::ECN).is_plain());
    assert!(base(flag::DATA_VALID, 0).is_data_valid());
    assert!(!base(flag::NEEDS_CSUM, 0).is_data_valid());
}

#[test]
fn read_is_what_the_layout_has() {
    let data: [u8; 40] = core::array::from_fn(|index| index as u8 + 1);
    for layout in [
        HeaderLayout::Legacy10,
        HeaderLayout::Mergeable12,
        HeaderLayout::Hash20,
        HeaderLayout::Tunnel24,
    ] {
        let len = layout.len();
        let header = layout.read(&data);
        assert_eq!(header[..len], data[..len], "{layout:?}");
        assert!(header[len..].iter().all(|byte| *byte == 0), "{layout:?}");
        assert_eq!(layout.mask().read(data.first_chunk().unwrap()), header);
        assert_eq!(layout.read(&data[..len]), header, "{layout:?}");
        assert_eq!(layout.read(&data[..len - 1]), [0; HeaderLayout::MAX_LEN]);
    }
}
