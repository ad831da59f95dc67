// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const PAGE: usize = 4096;

fn mergeable(reserved: usize) -> Mergeable {
    Mergeable {
        header_len: 12,
        min_data_len: FRAME_LEN,
        page_size: PAGE,
        reserved,
        align: 64,
    }
}

fn average(lengths: impl IntoIterator<Item = usize>) -> AveragePacketLen {
    let mut average = AveragePacketLen::new();
    for len in lengths {
        average.add(len);
    }
    average
}

#[test]
fn modes() {
    let mode = RxBufferMode::new;
    assert_eq!(
        mode(Features::MRG_RXBUF | Features::GUEST_TSO4, 9000),
        RxBufferMode::Mergeable
    );
    assert_eq!(mode(Features::GUEST_CSUM, 1500), RxBufferMode::Small);
    assert_eq!(mode(Features::GUEST_CSUM, 1501), RxBufferMode::Big);
    for gso in Features::GUEST_GSO {
        assert_eq!(mode(gso, 1500), RxBufferMode::Big, "{gso}");
    }
}

#[test]
fn average_moves_by_a_sixty_fourth() {
    assert_eq!(average([]).get(), 0);
    assert_eq!(average([1000]).get(), 1000);
    assert_eq!(average([1000, 1064]).get(), 1001);
    assert_eq!(average([1000, 1063]).get(), 1000);
    assert_eq!(average([1500, 0]).get(), 1476);
}

#[test]
fn least_room_for_the_longest_packet() {
    let min = Mergeable::min_data_len;
    // With 256 descriptors an ordinary frame is more than the share.
    assert_eq!(min(12, IP_MAX_LEN, 256), FRAME_LEN);
    // ceil((12 + 18 + 65535) / 16) = 4098, less the header.
    assert_eq!(min(12, IP_MAX_LEN, 16), 4086);
    assert_eq!(min(12, 1500, 1), FRAME_LEN);
    assert_eq!(min(12, 9000, 0), 9018);
}

#[test]
fn mergeable_buffers() {
    let len = |lengths: &[usize]| mergeable(0).buffer_len(average(lengths.iter().copied()));
    // 12 + 1518 = 1530, in cache lines of 64.
    assert_eq!(len(&[]), 1536);
    assert_eq!(len(&[60]), 1536);
    assert_eq!(len(&[2000]), 2048);
    assert_eq!(len(&[65535]), PAGE);
    assert_eq!(mergeable(256 + 320).max_buffer_len(), 3520);
    assert_eq!(mergeable(PAGE + 1).max_buffer_len(), 0);
}

#[test]
fn small_buffers() {
    let small = Small {
        headroom: 66,
        header_len: 12,
        tailroom: 320,
        align: 64,
    };
    assert_eq!(small.posted_len(), 1530);
    assert_eq!(small.allocated_len(), 1600 + 320);
}

#[test]
fn big_buffers() {
    let big = |features, mtu| Big::new(features, mtu, 16, PAGE);
    // 16 + 18 + 65535 = 65569: one byte in 33 more than sixteen pages.
    let gso = Some(Big {
        pages: 17,
        data_len: 17 * PAGE - 16,
    });
    assert_eq!(big(Features::GUEST_TSO4, 1500), gso);
    assert_eq!(big(Features::empty(), 9000).map(|big| big.pages), Some(3));
    assert_eq!(
        big(Features::empty(), 3 * PAGE).map(|big| big.pages),
        Some(4)
    );
    assert_eq!(Big::new(Features::empty(), 9000, PAGE, PAGE), None);
    assert_eq!(Big::new(Features::empty(), 9000, 16, 0), None);
}

proptest! {
    #[test]
    fn the_average_stays_between_its_packets(
        lengths in proptest::collection::vec(0usize..=65562, 1..200),
    ) {
        let (min, max) = (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap());
        let result = average(lengths.iter().copied()).get();
        // Rounding down stops the fall within one weight below the least.
        prop_assert!(result <= max);
        prop_assert!(result + 64 >= min);
    }

    #[test]
    fn any_length_can_be_averaged(lengths: Vec<usize>) {
        prop_assert!(average(lengths).get() < 1 << 24);
    }

    #[test]
    fn a_queue_takes_the_longest_packet(
        header_len in prop_oneof![Just(10usize), Just(12), Just(20), Just(24)],
        packet_len in 68usize..=65535,
        queue_shift in 4u32..=15,
    ) {
        let queue_size = 1 << queue_shift;
        let data = Mergeable::min_data_len(header_len, packet_len, queue_size);
        // The header is only in the first buffer; the others hold data instead.
        let room = queue_size * (header_len + data);
        prop_assert!(room >= header_len + ETHERNET_LEN + VLAN_LEN + packet_len);
        prop_assert!(data >= FRAME_LEN);
    }

    #[test]
    fn so_many_buffers_take_the_longest_packet(
        header_len in prop_oneof![Just(10usize), Just(12), Just(20), Just(24)],
        packet_len in 68usize..=65535,
        queue_shift in 5u32..=15,
        lengths in proptest::collection::vec(0usize..=65562, 0..20),
    ) {
        let queue_size = 1 << queue_shift;
        let sizes = Mergeable {
            header_len,
            min_data_len: Mergeable::min_data_len(header_len, packet_len, queue_size),
            ..mergeable(0)
        };
        let whole = header_len + ETHERNET_LEN + VLAN_LEN + packet_len;
        let most = sizes.most_buffers(packet_len);
        prop_assert!(most <= queue_size);
        prop_assert!(most * sizes.buffer_len(average(lengths.iter().copied())) >= whole);
        prop_assert!((most - 1) * sizes.buffer_len(AveragePacketLen::new()) < whole);
    }

    #[test]
    fn buffers_fit_the_page_in_whole_lines(
        lengths: Vec<u16>,
        reserved in 0usize..=PAGE,
        min_data_len in FRAME_LEN..PAGE,
    ) {
        let sizes = Mergeable { min_data_len, ..mergeable(reserved) };
        let average = average(lengths.into_iter().map(usize::from));
        let len = sizes.buffer_len(average);
        prop_assert!(len + reserved <= PAGE);
        prop_assert_eq!(len % sizes.align, 0);
        let wanted = sizes.header_len + average.get().max(min_data_len);
        prop_assert!(len >= wanted || len == sizes.max_buffer_len());
    }

    #[test]
    fn a_big_buffer_takes_the_longest_packet(mtu in 68usize..=65535, gso: bool) {
        let features = if gso { Features::GUEST_TSO4 } else { Features::empty() };
        let big = Big::new(features, mtu, 16, PAGE).expect("a page is longer");
        let longest = ETHERNET_LEN + VLAN_LEN + if gso { IP_MAX_LEN } else { mtu };
        prop_assert!(big.data_len >= longest);
        prop_assert!(big.data_len - longest < PAGE);
    }

    #[test]
    fn alignment(len in 0usize..1 << 40, shift in 0u32..20) {
        let align = 1usize << shift;
        prop_assert_eq!(align_up(len, align), len.div_ceil(align) * align);
        prop_assert_eq!(align_down(len, align), len / align * align);
    }

    #[test]
    fn nothing_overflows(a: usize, b: usize, c: usize, d: usize) {
        let sizes =
            Mergeable { header_len: a, min_data_len: b, page_size: c, reserved: d, align: 64 };
        let _ = sizes.buffer_len(average([a]));
        let _ = Mergeable::min_data_len(a, b, c);
        let small = Small { headroom: a, header_len: b, tailroom: c, align: 64 };
        let _ = small.allocated_len();
        let _ = Big::new(Features::GUEST_TSO4, a, b, c);
        let _ = Big::new(Features::empty(), a, b, c);
    }
}

fn xdp(header_len: usize) -> Xdp {
    Xdp {
        header_len,
        headroom: 256,
        tailroom: 320,
        page_size: PAGE,
    }
}

#[test]
fn buffers_for_programs() {
    let sizes = xdp(12);
    assert_eq!(sizes.offset(), 244);
    assert_eq!(sizes.frame_len(), 3520);
    assert_eq!(sizes.posted_len(), 3532);
    assert_eq!(sizes.posted_len_of_many(), 3776);
    // The longest frame is in a first buffer and no more fragments than an skb has.
    assert!(18 * sizes.posted_len_of_many() >= 12 + ETHERNET_LEN + IP_MAX_LEN);
}

proptest! {
    #[test]
    fn buffers_for_programs_hold_what_is_posted(
        header_len in 0usize..256,
        headroom in 256usize..512,
        more in 0usize..512,
    ) {
        let sizes = Xdp { header_len, headroom, tailroom: headroom + more, page_size: PAGE };
        // The frame is behind the headroom, and ends before the tailroom.
        prop_assert_eq!(sizes.offset() + header_len, headroom);
        prop_assert!(sizes.offset() + sizes.posted_len() + sizes.tailroom <= PAGE);
        // What is in the tailroom of one fits in front of the next.
        let end = sizes.offset() + sizes.posted_len_of_many();
        prop_assert!(end <= PAGE);
        prop_assert!(end.saturating_sub(PAGE - sizes.tailroom) <= sizes.offset());
        prop_assert!(sizes.posted_len_of_many() >= sizes.posted_len());
    }

    #[test]
    fn buffers_for_programs_never_overflow(
        header_len: usize,
        headroom: usize,
        tailroom: usize,
        page_size: usize,
    ) {
        let sizes = Xdp { header_len, headroom, tailroom, page_size };
        prop_assert!(sizes.frame_len() <= page_size);
        prop_assert!(sizes.posted_len_of_many() <= page_size);
        let _ = sizes.posted_len();
    }
}
