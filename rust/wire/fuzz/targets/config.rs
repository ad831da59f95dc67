// SPDX-License-Identifier: GPL-2.0

//! What a device says of itself, and the receive buffers that follow from it:
//! `features (16), configuration space (28), queue size (2)`.

#![no_main]

mod input;

use input::Input;
use libfuzzer_sys::fuzz_target;
use virtio_net_wire::config::{self, field, Config, Duplex, Speed, Status};
use virtio_net_wire::features::DEPENDENCIES;
use virtio_net_wire::rx_buffer::{
    AveragePacketLen, Big, Mergeable, RxBufferMode, ETHERNET_DATA_LEN, FRAME_LEN, IP_MAX_LEN,
};
use virtio_net_wire::{Features, HeaderLayout};
use zerocopy::FromBytes;

const PAGE: usize = 4096;
const CACHE_LINE: usize = 64;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let offered = input.features();
    let space: [u8; size_of::<Config>()] = input.array();
    let queue_size = usize::from(input.u16());

    let negotiated = dependencies(offered);
    let config = fields(&space);
    let pairs = config::max_queue_pairs(config.max_virtqueue_pairs.get(), negotiated);
    assert!(config::QUEUE_PAIRS.contains(&pairs));
    assert!(pairs == 1 || field::MAX_VIRTQUEUE_PAIRS.exists(negotiated));
    buffers(negotiated, usize::from(config.mtu.get()), queue_size);
});

/// What is kept of an offer has all that it needs; nothing appears or is lost.
fn dependencies(offered: Features) -> Features {
    let (kept, dropped) = offered.without_unmet_dependencies();
    assert_eq!(kept | dropped, offered);
    assert!(!kept.intersects(dropped));
    for dependency in DEPENDENCIES {
        assert!(!kept.intersects(dependency.feature) || dependency.is_met_by(kept));
    }
    assert_eq!(kept.without_unmet_dependencies(), (kept, Features::empty()));
    assert_eq!(Features::from_words(kept.to_words()), kept);
    kept
}

/// Each field alone says what the whole space says.
fn fields(space: &[u8; size_of::<Config>()]) -> Config {
    let (config, _) = Config::read_from_prefix(space).expect("as long as that");
    macro_rules! same {
        ($($field:ident == $value:expr;)*) => {$(
            let at = field::$field.offset();
            let bytes = space[at..at + field::$field.len()].try_into().expect("as long");
            assert_eq!(field::$field.decode(bytes), $value);
        )*};
    }
    same! {
        STATUS == config.status.get();
        MAX_VIRTQUEUE_PAIRS == config.max_virtqueue_pairs.get();
        MTU == config.mtu.get();
        SPEED == config.speed.get();
        DUPLEX == config.duplex;
        RSS_MAX_KEY_SIZE == config.rss_max_key_size;
        RSS_MAX_INDIRECTION_TABLE_LENGTH == config.rss_max_indirection_table_length.get();
        SUPPORTED_HASH_TYPES == config.supported_hash_types.get();
        SUPPORTED_TUNNEL_TYPES == config.supported_tunnel_types.get();
    }
    let status = Status::from_bits_retain(config.status.get());
    assert_eq!(status.contains(Status::LINK_UP), space[6] & 1 != 0);
    match Speed::from(config.speed.get()) {
        Speed::Mbps(mbps) => assert!(mbps == config.speed.get() && mbps < 1 << 31),
        Speed::Unknown => assert!(config.speed.get() >= 1 << 31),
    }
    assert_eq!(
        Duplex::from(config.duplex) == Duplex::Unknown,
        config.duplex > 1
    );
    config
}

/// A full queue takes the longest packet, in buffers of at most a page.
fn buffers(negotiated: Features, mtu: usize, queue_size: usize) {
    let layout = HeaderLayout::from_features(negotiated);
    match RxBufferMode::new(negotiated, mtu) {
        RxBufferMode::Mergeable => {
            let sizes = Mergeable {
                header_len: layout.len(),
                min_data_len: Mergeable::min_data_len(layout.len(), IP_MAX_LEN, queue_size),
                page_size: PAGE,
                reserved: 0,
                align: CACHE_LINE,
            };
            let mut average = AveragePacketLen::new();
            average.add(mtu);
            let len = sizes.buffer_len(average);
            assert!(len <= PAGE && len % CACHE_LINE == 0 && len >= layout.len() + FRAME_LEN);
        }
        RxBufferMode::Big => {
            let sizes = Big::new(negotiated, mtu, 32, PAGE).expect("a page has room");
            assert!(sizes.data_len >= mtu && sizes.pages <= 17);
        }
        RxBufferMode::Small => {
            assert!(mtu <= ETHERNET_DATA_LEN && !negotiated.intersects(Features::GUEST_GSO));
        }
    }
}
