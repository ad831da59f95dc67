// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::header::V1;
use crate::seed::record;
use crate::tx::TxOffload;
use crate::{DeviceLength, LengthError};
use proptest::prelude::*;
use std::vec::Vec;
use zerocopy::little_endian::U16;
use zerocopy::IntoBytes;

const LAYOUT: HeaderLayout = HeaderLayout::Mergeable12;

fn v1(flags: u8, gso_type: u8, gso_size: u16, csum_offset: u16) -> V1 {
    let base = Base {
        flags,
        gso_type,
        hdr_len: U16::new(54),
        gso_size: U16::new(gso_size),
        csum_start: U16::new(34),
        csum_offset: U16::new(csum_offset),
    };
    V1 {
        base,
        num_buffers: U16::new(3),
    }
}

fn decoded(header: V1) -> Result<RxHeader, RxHeaderError> {
    let (layout, header) = ([1], header.as_bytes());
    let frame_len = 1514u32.to_le_bytes();
    let features = Features::all().bits().to_le_bytes();
    record("header", &[&layout, &frame_len, &features, header]);
    let (linear, fragment) = (60u16.to_le_bytes(), [33]);
    record(
        "checksum",
        &[&layout, &linear, &fragment, header, &[0x5a; 90]],
    );
    decode(LAYOUT, header)
}

#[test]
fn tcp_segment_with_partial_checksum() {
    let header = decoded(v1(flag::NEEDS_CSUM, gso::TCPV4 | gso::ECN, 1448, 16));
    let checksum = RxChecksum::Partial(PartialChecksum {
        start: 34,
        offset: 16,
    });
    let gso = Gso {
        kind: GsoKind::TcpV4,
        ecn: true,
        hdr_len: 54,
        size: 1448,
        tunnel: None,
    };
    assert_eq!(
        header,
        Ok(RxHeader {
            num_buffers: 3,
            checksum,
            gso: Some(gso)
        })
    );
}

#[test]
fn checksum_states() {
    let checksum = |flags| decoded(v1(flags, gso::NONE, 0, 6)).map(|header| header.checksum);
    let partial = RxChecksum::Partial(PartialChecksum {
        start: 34,
        offset: 6,
    });
    assert_eq!(checksum(0), Ok(RxChecksum::None));
    assert_eq!(checksum(flag::DATA_VALID), Ok(RxChecksum::Valid));
    assert_eq!(checksum(flag::NEEDS_CSUM), Ok(partial));
    assert_eq!(checksum(flag::NEEDS_CSUM | flag::DATA_VALID), Ok(partial));
    // Flags that no negotiated feature explains are ignored.
    assert_eq!(
        checksum(0xf0 | flag::RSC_INFO | flag::UDP_TUNNEL_CSUM),
        Ok(RxChecksum::None)
    );
}

#[test]
fn errors() {
    use RxHeaderError as E;

    let error = |flags, gso_type, size, offset| decoded(v1(flags, gso_type, size, offset)).err();
    let partial = flag::NEEDS_CSUM;
    assert_eq!(error(partial, 2, 1448, 16), Some(E::GsoType(2)));
    assert_eq!(
        error(partial, gso::ECN, 1448, 16),
        Some(E::GsoType(gso::ECN))
    );
    let tunnel = gso::TCPV4 | gso::UDP_TUNNEL_IPV4;
    assert_eq!(error(partial, tunnel, 1448, 16), Some(E::GsoType(tunnel)));
    assert_eq!(error(partial, gso::TCPV6, 0, 16), Some(E::GsoSize(0)));
    assert_eq!(
        error(partial, gso::TCPV6, 0xffff, 16),
        Some(E::GsoSize(0xffff))
    );
    assert_eq!(
        error(partial, gso::UDP_L4 | gso::ECN, 1448, 6),
        Some(E::EcnWithoutTcp)
    );
    assert_eq!(error(0, gso::UDP_L4, 1448, 6), Some(E::UsoWithoutChecksum));
    assert_eq!(
        error(flag::DATA_VALID, gso::UDP_L4, 1448, 6),
        Some(E::UsoWithoutChecksum)
    );
    assert_eq!(
        error(partial, gso::TCPV4, 1448, 6),
        Some(E::ChecksumOffset(6))
    );
    assert_eq!(
        error(partial, gso::UDP_L4, 1448, 16),
        Some(E::ChecksumOffset(16))
    );
    // TCP that the device has verified, and UFO, are fine.
    assert_eq!(error(flag::DATA_VALID, gso::TCPV4, 1448, 0), None);
    assert_eq!(error(partial, gso::UDP, 1448, 6), None);
}

#[test]
fn length_of_the_header() {
    let bytes = [0; HeaderLayout::MAX_LEN];
    for layout in [
        HeaderLayout::Legacy10,
        HeaderLayout::Mergeable12,
        HeaderLayout::Hash20,
        HeaderLayout::Tunnel24,
    ] {
        assert!(decode(layout, &bytes[..layout.len()]).is_ok());
        let short = decode(layout, &bytes[..layout.len() - 1]);
        assert_eq!(short, Err(RxHeaderError::Truncated));
    }
    let legacy = decode(HeaderLayout::Legacy10, &bytes).map(|header| header.num_buffers);
    assert_eq!(legacy, Ok(1));
}

/// The lengths of a packet's buffers as a device wrote them into buffers of 1536
/// bytes, the first with a header that says `num_buffers`.
fn spread(num_buffers: u16, written: &[u32]) -> Vec<Result<usize, LengthError>> {
    let posted = 1536u16;
    let header = V1 {
        num_buffers: U16::new(num_buffers),
        ..v1(flag::NEEDS_CSUM, gso::TCPV4, 1448, 16)
    };
    let mut input = [&[1][..], &[0xff; 16]].concat();
    let mut lengths = Vec::new();
    for (n, len) in written.iter().enumerate() {
        input.extend(posted.to_le_bytes());
        input.extend(len.to_le_bytes());
        let mut least = 1;
        if n == 0 {
            input.extend(header.as_bytes());
            input.extend([0; HeaderLayout::MAX_LEN - size_of::<V1>()]);
            least = LAYOUT.len() + 14;
        }
        lengths.push(DeviceLength::new(*len).checked(least, posted.into()));
    }
    record("receive", &[&input]);
    lengths
}

#[test]
fn buffers_of_a_packet() {
    use LengthError::{TooLong, TooShort};

    assert_eq!(spread(1, &[60]), [Ok(60)]);
    assert_eq!(spread(3, &[1536, 1536, 300]), [Ok(1536), Ok(1536), Ok(300)]);
    // Cut off in the header; nothing, too much and missing behind the first.
    assert_eq!(spread(1, &[25]), [Err(TooShort)]);
    assert_eq!(
        spread(4, &[1536, 0, 1537]),
        [Ok(1536), Err(TooShort), Err(TooLong)]
    );
    assert_eq!(spread(0, &[1536, 26]), [Ok(1536), Ok(26)]);
    assert_eq!(spread(u16::MAX, &[u32::MAX]), [Err(TooLong)]);
}

#[test]
fn checksum_within_the_frame() {
    let frame = |start, offset, gso, len| {
        let checksum = RxChecksum::Partial(PartialChecksum { start, offset });
        RxHeader {
            num_buffers: 1,
            checksum,
            gso,
        }
        .check_frame_len(len)
        .is_ok()
    };
    assert!(frame(34, 6, None, 42));
    assert!(!frame(34, 6, None, 41));
    assert!(!frame(13, 6, None, 1000));
    assert!(frame(14, 0, None, 16));
    assert!(!frame(u16::MAX, u16::MAX, None, 131_071));
    assert!(frame(u16::MAX, u16::MAX, None, 131_072));
    // With GSO the whole transport header must be there.
    let gso = Some(Gso {
        kind: GsoKind::TcpV4,
        ecn: false,
        hdr_len: 0,
        size: 1448,
        tunnel: None,
    });
    assert!(!frame(34, 16, gso, 53));
    assert!(frame(34, 16, gso, 54));
}

#[test]
fn what_was_not_negotiated_is_not_allowed() {
    let allowed = |header, features| decoded(header).map(|h| h.is_allowed_by(features));
    let plain = v1(0, gso::NONE, 0, 0);
    let valid = v1(flag::DATA_VALID, gso::NONE, 0, 0);
    let partial = v1(flag::NEEDS_CSUM, gso::NONE, 0, 16);
    let tso = v1(flag::NEEDS_CSUM, gso::TCPV4, 1448, 16);
    let tso_ecn = v1(flag::NEEDS_CSUM, gso::TCPV4 | gso::ECN, 1448, 16);
    let uso = v1(flag::NEEDS_CSUM, gso::UDP_L4, 1448, 6);
    let csum = Features::GUEST_CSUM;
    let tso4 = csum | Features::GUEST_TSO4;

    assert_eq!(allowed(plain, Features::empty()), Ok(true));
    assert_eq!(allowed(valid, Features::empty()), Ok(true));
    assert_eq!(allowed(partial, Features::empty()), Ok(false));
    assert_eq!(allowed(partial, csum), Ok(true));
    assert_eq!(allowed(tso, csum), Ok(false));
    assert_eq!(allowed(tso, csum | Features::GUEST_TSO6), Ok(false));
    assert_eq!(allowed(tso, tso4), Ok(true));
    assert_eq!(allowed(tso_ecn, tso4), Ok(false));
    assert_eq!(allowed(tso_ecn, tso4 | Features::GUEST_ECN), Ok(true));
    assert_eq!(allowed(uso, tso4), Ok(false));
    assert_eq!(allowed(uso, csum | Features::GUEST_USO6), Ok(true));
}

/// A TCP segment over IPv4 in VXLAN over IPv4: where its headers are.
const TUNNELLED: (u16, u16, u16) = (34, 64, 84);

fn tunnelled(kind: u8, flags: u8, (outer, inner, start): (u16, u16, u16)) -> [u8; 24] {
    let offset = if kind & 7 == gso::UDP_L4 { 6 } else { 16 };
    let mut v1 = v1(flags, kind, 1400, offset);
    v1.base.csum_start = U16::new(start);
    let header = crate::header::V1HashTunnel {
        v1_hash: crate::header::V1Hash {
            v1,
            ..Default::default()
        },
        outer_th_offset: U16::new(outer),
        inner_nh_offset: U16::new(inner),
    };
    let mut bytes = [0; 24];
    bytes.copy_from_slice(header.as_bytes());
    bytes
}

#[test]
fn tunnels() {
    use RxHeaderError as E;

    let both = flag::NEEDS_CSUM | flag::UDP_TUNNEL_CSUM;
    let (v4, v6) = (gso::UDP_TUNNEL_IPV4, gso::UDP_TUNNEL_IPV6);
    let tunnel = |kind, flags, offsets| {
        decode(HeaderLayout::Tunnel24, &tunnelled(kind, flags, offsets))
            .map(|header| header.gso.and_then(|gso| gso.tunnel))
    };
    assert_eq!(
        tunnel(gso::TCPV4 | gso::ECN | v4, both, TUNNELLED),
        Ok(Some(Tunnel {
            outer_ipv6: false,
            outer_checksum: true,
            outer_transport: 34,
            inner_network: 64,
        }))
    );
    let needs = flag::NEEDS_CSUM;
    assert!(tunnel(gso::TCPV6 | v6, needs, (54, 84, 124)).is_ok_and(|t| t.is_some()));
    assert!(tunnel(gso::UDP_L4 | v6, needs, (54, 84, 104)).is_ok_and(|t| t.is_some()));
    // Neither of both, and nothing to segment.
    let kind = gso::TCPV4 | v4 | v6;
    assert_eq!(tunnel(kind, needs, TUNNELLED), Err(E::GsoType(kind)));
    assert_eq!(tunnel(v4, needs, TUNNELLED), Err(E::GsoType(v4)));
    let kind = gso::UDP | v4;
    assert_eq!(tunnel(kind, needs, TUNNELLED), Err(E::GsoType(kind)));
    for flags in [0, flag::DATA_VALID, needs | flag::DATA_VALID] {
        let got = tunnel(gso::TCPV4 | v4, flags, TUNNELLED);
        assert_eq!(got, Err(E::TunnelChecksum));
    }
    // One byte too few for each header, and a sum that overflows.
    for (kind, offsets) in [
        (gso::TCPV4 | v4, (33, 64, 84)),
        (gso::TCPV4 | v4, (34, 41, 84)),
        (gso::TCPV4 | v4, (34, 64, 83)),
        (gso::TCPV4 | v6, (53, 84, 124)),
        (gso::TCPV6 | v4, (34, 64, 103)),
        (gso::TCPV4 | v4, (0xffff, 7, 84)),
        (gso::TCPV4 | v4, (34, 0xffff, 84)),
    ] {
        assert_eq!(tunnel(kind, needs, offsets), Err(E::TunnelOffsets));
    }
    // A header without room for the offsets has no tunnel.
    let bytes = tunnelled(gso::TCPV4 | v4, needs, TUNNELLED);
    let short = decode(HeaderLayout::Hash20, &bytes);
    assert_eq!(short, Err(E::GsoType(gso::TCPV4 | v4)));
}

#[test]
fn tunnels_are_sent_as_received_and_only_if_negotiated() {
    let bytes = tunnelled(
        gso::TCPV4 | gso::UDP_TUNNEL_IPV4,
        flag::NEEDS_CSUM | flag::UDP_TUNNEL_CSUM,
        TUNNELLED,
    );
    let header = decode(HeaderLayout::Tunnel24, &bytes).expect("good");
    let RxChecksum::Partial(checksum) = header.checksum else {
        panic!("{:?}", header.checksum);
    };
    let offload = TxOffload {
        checksum: Some(checksum),
        gso: header.gso,
    };
    let mut out = [0xee; 24];
    assert_eq!(offload.encode(HeaderLayout::Tunnel24, &mut out), Some(24));
    // The number of buffers is the receiver's.
    assert_eq!((&out[..10], &out[12..]), (&bytes[..10], &bytes[12..]));

    let plain = Features::GUEST_CSUM | Features::GUEST_TSO4;
    let tunnel = plain | Features::GUEST_UDP_TUNNEL_GSO;
    assert!(!header.is_allowed_by(plain));
    assert!(!header.is_allowed_by(tunnel));
    assert!(header.is_allowed_by(tunnel | Features::GUEST_UDP_TUNNEL_GSO_CSUM));
}

#[test]
fn kinds_need_their_own_feature() {
    let rows = [
        (gso::TCPV4, 16, Features::GUEST_TSO4),
        (gso::TCPV6, 16, Features::GUEST_TSO6),
        (gso::UDP, 6, Features::GUEST_UFO),
        (gso::UDP_L4, 6, Features::GUEST_USO4),
    ];
    for (kind, offset, feature) in rows {
        let header = decoded(v1(flag::NEEDS_CSUM, kind, 1448, offset)).expect("well formed");
        let others = Features::all().difference(feature | Features::GUEST_USO6);
        assert!(header.is_allowed_by(feature | Features::GUEST_CSUM));
        assert!(!header.is_allowed_by(others), "{kind}");
    }
}

#[test]
fn every_error_says_something_of_its_own() {
    use RxHeaderError as E;

    let texts: Vec<_> = [
        E::Truncated,
        E::GsoType(0x82),
        E::GsoSize(0),
        E::EcnWithoutTcp,
        E::UsoWithoutChecksum,
        E::ChecksumOffset(7),
        E::TunnelChecksum,
        E::TunnelOffsets,
        E::ChecksumBeyondFrame,
    ]
    .iter()
    .map(std::string::ToString::to_string)
    .collect();
    assert_eq!(texts[1], "unknown GSO type 0x82");
    for (n, text) in texts.iter().enumerate() {
        assert!(!text.is_empty() && !texts[..n].contains(text));
    }
}

fn layouts() -> impl Strategy<Value = HeaderLayout> {
    prop_oneof![
        Just(HeaderLayout::Legacy10),
        Just(HeaderLayout::Mergeable12),
        Just(HeaderLayout::Hash20),
        Just(HeaderLayout::Tunnel24),
    ]
}

fn kinds() -> impl Strategy<Value = GsoKind> {
    prop_oneof![
        Just(GsoKind::TcpV4),
        Just(GsoKind::TcpV6),
        Just(GsoKind::Udp),
        Just(GsoKind::UdpL4)
    ]
}

prop_compose! {
    /// Headers of any length, of which many mean something.
    fn headers()(
        flags in prop_oneof![0u8..16, any::<u8>()],
        kind in prop_oneof![Just(gso::NONE), kinds().prop_map(|kind| kind as u8), any::<u8>()],
        ecn in prop_oneof![Just(0), Just(gso::ECN)],
        offset in prop_oneof![Just(6u16), Just(16), any::<u16>()],
        rest in any::<[u8; 24]>(),
        len in 0usize..=32,
    ) -> Vec<u8> {
        let mut bytes = rest.to_vec();
        bytes[..2].copy_from_slice(&[flags, kind | ecn]);
        bytes[8..10].copy_from_slice(&offset.to_le_bytes());
        bytes.resize(len, 0);
        bytes
    }
}

prop_compose! {
    /// Offloads that a receiver may be given: GSO with the protocol's checksum.
    fn offloads()(
        start: u16,
        plain_offset: u16,
        partial: bool,
        gso in proptest::option::of((kinds(), any::<bool>(), any::<u16>(), Gso::SIZES)),
    ) -> TxOffload {
        let gso = gso.map(|(kind, ecn, hdr_len, size)| {
            Gso { kind, ecn: ecn && kind.is_tcp(), hdr_len, size, tunnel: None }
        });
        let offset = gso.map_or(plain_offset, |gso| gso.kind.checksum_offset());
        let checksum = (partial || gso.is_some()).then_some(PartialChecksum { start, offset });
        TxOffload { checksum, gso }
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail(layout in layouts(), bytes in headers(), frame_len: usize) {
        match decode(layout, &bytes) {
            Ok(header) => {
                prop_assert!(bytes.len() >= layout.len());
                prop_assert!(header.gso.is_none_or(|gso| Gso::SIZES.contains(&gso.size)));
                let fits = header.check_frame_len(frame_len).is_ok();
                let no_offset = !matches!(header.checksum, RxChecksum::Partial(_));
                prop_assert!(fits || !no_offset);
            }
            Err(RxHeaderError::Truncated) => prop_assert!(bytes.len() < layout.len()),
            Err(RxHeaderError::ChecksumBeyondFrame) => prop_assert!(false, "no length given"),
            Err(_) => prop_assert_ne!(bytes[1], gso::NONE),
        }
    }

    #[test]
    fn plain_is_what_decodes_to_nothing(layout in layouts(), mut bytes in headers()) {
        bytes.resize(layout.len(), 0);
        let (base, _) = Base::ref_from_prefix(&bytes).expect("long enough");
        let expected = if base.is_data_valid() { RxChecksum::Valid } else { RxChecksum::None };
        let decoded = decode(layout, &bytes).map(|header| (header.checksum, header.gso));
        // Flags that are not known make a header worth a look, and no more.
        let known = base.flags & (flag::NEEDS_CSUM | flag::DATA_VALID) == base.flags;
        let nothing = decoded == Ok((expected, None));
        prop_assert_eq!(base.is_plain(), nothing && known);
    }

    #[test]
    fn what_is_sent_is_what_is_received(
        layout in layouts(),
        offload in offloads(),
        mut buffer in proptest::collection::vec(any::<u8>(), 24..40),
    ) {
        let before = buffer.clone();
        prop_assert_eq!(offload.encode(layout, &mut buffer), Some(layout.len()));
        prop_assert_eq!(&buffer[layout.len()..], &before[layout.len()..]);
        let header = decode(layout, &buffer).expect("well formed");
        let checksum = offload.checksum.map_or(RxChecksum::None, RxChecksum::Partial);
        prop_assert_eq!((header.checksum, header.gso), (checksum, offload.gso));
        prop_assert_eq!(header.num_buffers, u16::from(layout == HeaderLayout::Legacy10));
        let short = layout.len() - 1;
        let mut out = before.clone();
        prop_assert_eq!(offload.encode(layout, &mut out[..short]), None);
        prop_assert_eq!(out, before);
    }
}
