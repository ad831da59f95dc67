// SPDX-License-Identifier: GPL-2.0

//! Feature sets: words, tables, names and dependencies.

use proptest::prelude::*;
use virtio_net_wire::features::{Dependency, DEPENDENCIES};
use virtio_net_wire::Features as F;

fn settled(offered: F) -> F {
    offered.without_unmet_dependencies().0
}

#[test]
fn requirements_of_the_specification() {
    // A feature, and a set with which it can stay.
    let rows = [
        (F::GUEST_TSO4, F::GUEST_CSUM),
        (F::GUEST_TSO6, F::GUEST_CSUM),
        (F::GUEST_UFO, F::GUEST_CSUM),
        (F::GUEST_USO4, F::GUEST_CSUM),
        (F::GUEST_USO6, F::GUEST_CSUM),
        (F::GUEST_ECN, F::GUEST_CSUM | F::GUEST_TSO4),
        (F::GUEST_ECN, F::GUEST_CSUM | F::GUEST_TSO6),
        (F::HOST_TSO4, F::CSUM),
        (F::HOST_TSO6, F::CSUM),
        (F::HOST_UFO, F::CSUM),
        (F::HOST_USO, F::CSUM),
        (F::HOST_ECN, F::CSUM | F::HOST_TSO4),
        (F::HOST_ECN, F::CSUM | F::HOST_TSO6),
        (F::RSC_EXT, F::CSUM | F::HOST_TSO6),
        (F::CTRL_RX, F::CTRL_VQ),
        (F::CTRL_VLAN, F::CTRL_VQ),
        (F::GUEST_ANNOUNCE, F::CTRL_VQ),
        (F::MQ, F::CTRL_VQ),
        (F::CTRL_MAC_ADDR, F::CTRL_VQ),
        (F::NOTF_COAL, F::CTRL_VQ),
        (F::VQ_NOTF_COAL, F::CTRL_VQ),
        (F::RSS, F::CTRL_VQ),
        (F::HASH_REPORT, F::CTRL_VQ),
        (F::HASH_TUNNEL, F::CTRL_VQ | F::RSS),
        (F::HASH_TUNNEL, F::CTRL_VQ | F::HASH_REPORT),
        (F::RSS_CONTEXT, F::CTRL_VQ | F::RSS),
        (F::STANDBY, F::MAC),
    ];
    for (feature, with) in rows {
        assert_eq!(settled(feature), F::empty(), "{feature} alone");
        assert_eq!(settled(feature | with), feature | with);
        for missing in with {
            let kept = settled((feature | with).difference(missing));
            assert!(!kept.intersects(feature), "{feature} without {missing}");
        }
    }
}

#[test]
fn a_dropped_feature_takes_its_users_with_it() {
    let tunnel = F::GUEST_UDP_TUNNEL_GSO | F::GUEST_UDP_TUNNEL_GSO_CSUM;
    let kinds = F::GUEST_TSO4 | F::GUEST_TSO6 | F::GUEST_USO4 | F::GUEST_USO6;
    let (kept, dropped) = (tunnel | kinds | F::MAC).without_unmet_dependencies();
    assert_eq!((kept, dropped), (F::MAC, tunnel | kinds));

    let whole = tunnel | kinds | F::GUEST_CSUM;
    assert_eq!(settled(whole), whole);
    assert_eq!(
        settled(whole.difference(F::GUEST_USO6)),
        whole.difference(tunnel | F::GUEST_USO6)
    );
}

#[test]
fn every_dependency_is_about_one_feature() {
    for Dependency { feature, all, any } in DEPENDENCIES {
        assert_eq!(feature.count(), 1);
        assert!(!(*all | *any).is_empty() && !(*all | *any).intersects(*feature));
    }
}

#[test]
fn tables_of_bit_numbers() {
    const SET: F = F::CSUM
        .union(F::MAC)
        .union(F::SPEED_DUPLEX)
        .union(F::HOST_UDP_TUNNEL_GSO_CSUM);
    const TABLE: Option<[u32; SET.count()]> = SET.bit_table();
    assert_eq!(TABLE, Some([0, 5, 63, 68]));
    assert_eq!(SET.bit_table::<3>(), None);
    assert_eq!(SET.bit_table::<5>(), None);
    assert_eq!(F::empty().bit_table::<0>(), Some([]));
    assert_eq!(F::from_bits_retain(1 << 127).bit_table(), Some([127]));
}

#[test]
fn names() {
    assert_eq!(F::empty().to_string(), "(none)");
    assert_eq!(F::MRG_RXBUF.to_string(), "MRG_RXBUF");
    assert_eq!((F::VERSION_1 | F::MAC).to_string(), "MAC | VERSION_1");
    let unnamed = F::from_bits_retain((1 << 127) | (1 << 4));
    assert_eq!(unnamed.to_string(), "0x80000000000000000000000000000010");
    assert_eq!(
        format!("{:?}", unnamed | F::MTU),
        "Features(MTU | 0x80000000000000000000000000000010)"
    );
}

proptest! {
    #[test]
    fn words_and_back(words: [u64; 2]) {
        let features = F::from_words(words);
        prop_assert_eq!(features.to_words(), words);
        prop_assert_eq!(features.bits(), (u128::from(words[1]) << 64) | u128::from(words[0]));
    }

    #[test]
    fn bit_numbers_are_the_bits(bits: u128) {
        let features = F::from_bits_retain(bits);
        let numbers: Vec<u32> = features.bit_numbers().collect();
        prop_assert!(numbers.is_sorted());
        prop_assert_eq!(numbers.len(), features.count());
        prop_assert_eq!(numbers.iter().fold(0, |sum, bit| sum | (1 << bit)), bits);
    }

    #[test]
    fn nothing_unmet_is_kept_and_nothing_is_lost(bits: u128) {
        let offered = F::from_bits_retain(bits);
        let (kept, dropped) = offered.without_unmet_dependencies();
        prop_assert_eq!(kept | dropped, offered);
        prop_assert!(!kept.intersects(dropped));
        for dependency in DEPENDENCIES {
            prop_assert!(!kept.intersects(dependency.feature) || dependency.is_met_by(kept));
        }
        // The largest such set: each feature dropped is unmet even with all
        // that was kept.
        for feature in dropped {
            let with = kept | feature;
            let met = DEPENDENCIES
                .iter()
                .filter(|dependency| dependency.feature == feature)
                .all(|dependency| dependency.is_met_by(with));
            prop_assert!(!met, "{} was dropped for nothing", feature);
        }
    }
}
