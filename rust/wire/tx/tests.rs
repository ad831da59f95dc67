// SPDX-License-Identifier: GPL-2.0

use super::*;

#[test]
fn nothing_asked_for_is_a_header_of_zeroes() {
    let checksum = Some(PartialChecksum {
        start: 34,
        offset: 16,
    });
    let gso = Some(Gso {
        kind: GsoKind::TcpV6,
        ecn: true,
        hdr_len: 74,
        size: 1428,
        tunnel: None,
    });
    let of = |checksum, gso| TxOffload { checksum, gso };
    assert!(TxOffload::NONE.is_none() && TxOffload::default().is_none());
    assert!(!of(checksum, None).is_none());
    assert!(!of(None, gso).is_none());
    assert!(!of(checksum, gso).is_none());

    for layout in [
        HeaderLayout::Legacy10,
        HeaderLayout::Mergeable12,
        HeaderLayout::Hash20,
        HeaderLayout::Tunnel24,
    ] {
        let mut out = [0xff; HeaderLayout::MAX_LEN];
        assert_eq!(TxOffload::NONE.encode(layout, &mut out), Some(layout.len()));
        let (header, behind) = out.split_at(layout.len());
        assert!(header.iter().all(|byte| *byte == 0));
        assert!(behind.iter().all(|byte| *byte == 0xff));
        assert_eq!(TxOffload::NONE.encode(layout, &mut out[..9]), None);
    }
}
