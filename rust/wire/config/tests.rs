// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::seed::record;
use zerocopy::{FromBytes, IntoBytes};

#[test]
fn fields_exist_with_their_features() {
    let exist = |features| {
        [
            field::MAC.exists(features),
            field::STATUS.exists(features),
            field::MAX_VIRTQUEUE_PAIRS.exists(features),
            field::MTU.exists(features),
            field::SPEED.exists(features),
            field::RSS_MAX_KEY_SIZE.exists(features),
            field::RSS_MAX_INDIRECTION_TABLE_LENGTH.exists(features),
            field::SUPPORTED_TUNNEL_TYPES.exists(features),
        ]
    };
    assert_eq!(exist(Features::empty()), [false; 8]);
    assert_eq!(exist(Features::all()), [true; 8]);
    assert_eq!(
        exist(Features::RSS),
        [false, false, true, false, false, true, true, false]
    );
    assert_eq!(
        exist(Features::HASH_REPORT),
        [false, false, false, false, false, true, false, false]
    );
}

#[test]
fn unknown_speed_and_duplex() {
    assert_eq!(Speed::from(0), Speed::Mbps(0));
    assert_eq!(Speed::from(0x7fff_ffff), Speed::Mbps(0x7fff_ffff));
    assert_eq!(Speed::from(0x8000_0000), Speed::Unknown);
    assert_eq!(Speed::from(u32::MAX), Speed::Unknown);
    assert_eq!(
        [0, 1, 2, 255]
            .map(Duplex::from)
            .map(|duplex| duplex == Duplex::Unknown),
        [false, false, true, true]
    );
    assert_eq!(Duplex::from(1), Duplex::Full);
}

#[test]
fn queue_pairs_out_of_range_count_as_one() {
    let mq = Features::MQ | Features::CTRL_VQ;
    for (offered, expected) in [(0, 1), (1, 1), (4, 4), (0x8000, 0x8000), (0x8001, 1)] {
        let config = Config {
            max_virtqueue_pairs: U16::new(offered),
            mtu: U16::new(1500),
            ..Config::default()
        };
        for features in [mq, mq | Features::MRG_RXBUF, mq | Features::GUEST_TSO4] {
            let features = features.bits().to_le_bytes();
            record("config", &[&features, config.as_bytes(), &[0, 1]]);
        }
        assert_eq!(max_queue_pairs(offered, mq), expected);
    }
    assert_eq!(max_queue_pairs(4, Features::MQ), 1);
    assert_eq!(max_queue_pairs(4, Features::CTRL_VQ), 1);
    assert_eq!(max_queue_pairs(4, Features::RSS | Features::CTRL_VQ), 4);
}

#[test]
fn a_field_is_decoded_from_its_place() {
    let bytes: [u8; size_of::<Config>()] = core::array::from_fn(|at| at as u8);
    let config = Config::ref_from_bytes(&bytes).expect("as long");
    assert_eq!(field::MAC.offset(), 0);
    assert_eq!(config.mac, [0, 1, 2, 3, 4, 5]);
    assert_eq!(field::STATUS.decode([6, 7]), config.status.get());
    assert_eq!(field::SPEED.decode([12, 13, 14, 15]), config.speed.get());
    assert_eq!(field::DUPLEX.decode([16]), config.duplex);
    assert_eq!([field::MAC.len(), field::SPEED.len()], [6, 4]);
    assert!(!field::DUPLEX.is_empty());

    let field = Field::<u16>::new(6, Features::STATUS);
    assert!(field.exists(Features::all()) && !field.exists(Features::MAC));
    assert_eq!(field.decode([0x34, 0x12]), 0x1234);
}
