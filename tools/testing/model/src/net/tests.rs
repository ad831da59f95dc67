// SPDX-License-Identifier: GPL-2.0

//! A device with a driver of the test's own on its rings.

use super::*;
use crate::hostile::{Lie, When};
use crate::ring::driver::{Buffer, Driver};
use std::time::{Duration, Instant};
use virtio_net_wire::Features;

/// Where the buffers are.
const BUFFERS: u64 = 0x10_0000;
/// Bytes between the rings of two queues.
const RINGS: u64 = 0x8000;

struct Bench {
    device: Device,
    drivers: Vec<Driver>,
    now: Instant,
}

impl Bench {
    /// A running device with `pairs` pairs and these features beside the usual.
    fn new(pairs: u16, packed: bool, more: Features) -> Self {
        let mut settings = Settings {
            pairs,
            ..Settings::default()
        };
        settings.changes.push((Features::all(), false));
        let mut features = more
            | Features::VERSION_1
            | Features::CTRL_VQ
            | Features::MAC
            | Features::STATUS
            | Features::GUEST_CSUM;
        features.set(Features::RING_PACKED, packed);
        features.set(Features::MQ, pairs > 1);
        settings.changes.push((features, true));
        let mut device = Device::new(settings);
        device.memory = Driver::memory();
        assert!(device.negotiate(features));
        let drivers: Vec<_> = (0..device.queue_count())
            .map(|index| Driver::new(16, packed).at(RINGS * u64::from(index)))
            .collect();
        for (index, driver) in drivers.iter().enumerate() {
            device.start_queue(index as u16, driver.layout);
        }
        device.start();
        Self {
            device,
            drivers,
            now: Instant::now(),
        }
    }

    fn add(&mut self, queue: u16, buffers: &[Buffer]) -> u16 {
        let id = self.drivers[usize::from(queue)].add(&self.device.memory, buffers);
        self.device.kick(queue);
        id
    }

    fn used(&mut self, queue: u16) -> Option<(u16, u32)> {
        self.drivers[usize::from(queue)].used(&self.device.memory)
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.device.memory.read(at, &mut out).expect("memory");
        out
    }

    /// Sends a control command; the acknowledgement and the result, if used.
    fn command(&mut self, class: u8, command: u8, payload: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = vec![class, command];
        bytes.extend_from_slice(payload);
        self.device.memory.write(BUFFERS, &bytes).expect("memory");
        let answer = BUFFERS + 0x4000;
        self.device
            .memory
            .write(answer, &[0xff; 600])
            .expect("memory");
        let queue = self.device.index_of(Role::Control);
        let buffers = [(BUFFERS, bytes.len() as u32, false), (answer, 600, true)];
        self.add(queue, &buffers);
        self.device.turn(self.now);
        let (_, len) = self.used(queue)?;
        Some(self.bytes(answer, len as usize))
    }
}

#[test]
fn frames_are_sent() {
    for packed in [false, true] {
        let mut bench = Bench::new(1, packed, Features::CSUM);
        let mut header = [0; 12];
        (header[0], header[6], header[8]) = (1, 34, 16);
        bench.device.memory.write(BUFFERS, &header).expect("memory");
        bench
            .device
            .memory
            .write(BUFFERS + 64, &[7; 100])
            .expect("memory");
        let id = bench.add(1, &[(BUFFERS, 12, false), (BUFFERS + 64, 100, false)]);
        let frames = bench.device.drain(0, bench.now);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].data, [7; 100]);
        let header = frames[0].header;
        assert!(header.needs_csum());
        assert_eq!((header.csum_start, header.csum_offset), (34, 16));
        assert_eq!(bench.used(1), Some((id, 0)));
        bench.device.turn(bench.now);
        assert!(bench.device.take_interrupts().queues.contains(&1));
        // Too short for a header: counted, given back, no frame.
        let id = bench.add(1, &[(BUFFERS, 5, false)]);
        assert_eq!(bench.device.drain(0, bench.now), []);
        assert_eq!(bench.used(1), Some((id, 0)));
        assert_eq!(bench.device.stats.tx[0].malformed, 1);
        assert!(!bench.device.needs_reset());
    }
}

#[test]
fn frames_are_merged_over_buffers() {
    for packed in [false, true] {
        let mut bench = Bench::new(1, packed, Features::MRG_RXBUF);
        let frame = Frame::plain((0..=255).collect());
        let refused = bench.device.deliver(0, &frame, bench.now);
        assert_eq!(refused, Err(Refused::NoBuffers));
        let ids: Vec<_> = (0..2)
            .map(|n| bench.add(0, &[(BUFFERS + 128 * n, 128, true)]))
            .collect();
        // Not enough: kept until there is a third one.
        let refused = bench.device.deliver(0, &frame, bench.now);
        assert_eq!(refused, Err(Refused::NoBuffers));
        assert_eq!(bench.used(0), None);
        let last = bench.add(0, &[(BUFFERS + 256, 128, true)]);
        assert_eq!(bench.device.deliver(0, &frame, bench.now), Ok(()));
        assert_eq!(bench.used(0), Some((ids[0], 128)));
        assert_eq!(bench.used(0), Some((ids[1], 128)));
        assert_eq!(bench.used(0), Some((last, 12)));
        let bytes = bench.bytes(BUFFERS, 12 + 256);
        assert_eq!(bytes[10..12], [3, 0]);
        assert_eq!(bytes[12..], frame.data);
    }
}

#[test]
fn without_merging_a_frame_fits_or_not() {
    let mut bench = Bench::new(1, false, Features::empty());
    let id = bench.add(0, &[(BUFFERS, 12, true), (BUFFERS + 64, 100, true)]);
    let long = Frame::plain(vec![1; 101]);
    let refused = bench.device.deliver(0, &long, bench.now);
    assert_eq!(refused, Err(Refused::TooLong));
    let fits = Frame::plain(vec![2; 100]);
    assert_eq!(bench.device.deliver(0, &fits, bench.now), Ok(()));
    assert_eq!(bench.used(0), Some((id, 112)));
    assert_eq!(bench.bytes(BUFFERS + 64, 100), [2; 100]);
}

#[test]
fn commands_are_answered() {
    let all = Features::CTRL_RX | Features::CTRL_VLAN | Features::CTRL_MAC_ADDR;
    for packed in [false, true] {
        let mut bench = Bench::new(4, packed, all | Features::GUEST_ANNOUNCE);
        assert_eq!(bench.command(4, 0, &[3, 0]), Some(vec![0]));
        assert_eq!(bench.device.control().pairs, 3);
        for pairs in [0, 5] {
            assert_eq!(bench.command(4, 0, &[pairs, 0]), Some(vec![1]));
        }
        assert_eq!(bench.command(1, 1, &[2, 3, 4, 5, 6, 7]), Some(vec![0]));
        let mut mac = [0; 6];
        bench.device.config_read(0, &mut mac);
        assert_eq!(mac, [2, 3, 4, 5, 6, 7]);
        assert_eq!(bench.command(2, 0, &[9, 0]), Some(vec![0]));
        assert_eq!(bench.command(0, 0, &[0]), Some(vec![0]));
        bench.device.announce();
        assert_eq!(bench.command(3, 0, &[]), Some(vec![0]));
        let mut status = [0];
        bench.device.config_read(6, &mut status);
        assert_eq!(status, [1]);
        // Not negotiated, unknown, of a wrong length, and nothing at all.
        for (class, command, payload) in [(6, 0, &[0; 8][..]), (77, 0, &[]), (4, 0, &[1])] {
            assert_eq!(bench.command(class, command, payload), Some(vec![1]));
        }
        let queue = bench.device.index_of(Role::Control);
        bench.add(queue, &[(BUFFERS + 0x4000, 1, true)]);
        bench.device.turn(bench.now);
        assert_eq!(bench.used(queue).map(|(_, len)| len), Some(1));
        assert!(!bench.device.needs_reset());
        assert_eq!(bench.device.control().history.len(), 11);
    }
}

#[test]
fn filters() {
    let mut bench = Bench::new(1, false, Features::CTRL_RX | Features::CTRL_VLAN);
    let to = |address: [u8; 6], vlan: Option<u16>| {
        let mut data = address.to_vec();
        data.extend([2; 6]);
        if let Some(vlan) = vlan {
            data.extend([0x81, 0x00]);
            data.extend(vlan.to_be_bytes());
        }
        data.extend([0x08, 0x00, 0, 0]);
        data
    };
    let own = bench.device.settings.mac;
    assert!(
        bench.device.wants(&to([4; 6], None)),
        "promiscuous at first"
    );
    bench.command(0, 0, &[0]);
    let table = [[1, 0, 0, 0].as_slice(), &[6; 6], &[1, 0, 0, 0], &[7; 6]].concat();
    assert_eq!(bench.command(1, 0, &table), Some(vec![0]));
    bench.command(2, 0, &[5, 0]);
    for (address, vlan, wanted) in [
        (own, None, true),
        ([4; 6], None, false),
        ([6; 6], None, true),
        ([7; 6], None, true),
        ([9; 6], None, false),
        ([0xff; 6], None, true),
        (own, Some(5), true),
        (own, Some(6), false),
    ] {
        let wants = bench.device.wants(&to(address, vlan));
        assert_eq!(wants, wanted, "{address:?} {vlan:?}");
    }
}

#[test]
fn statistics_and_coalescing_are_read_back() {
    let features = Features::DEVICE_STATS | Features::VQ_NOTF_COAL | Features::NOTF_COAL;
    let mut bench = Bench::new(1, false, features);
    let types = bench.command(8, 0, &[]).expect("answered");
    assert_eq!(types, [0, 7, 0, 7, 0, 1, 0, 0, 0]);
    bench.add(0, &[(BUFFERS + 0x8000, 200, true)]);
    let frame = Frame::plain(vec![1; 100]);
    assert_eq!(bench.device.deliver(0, &frame, bench.now), Ok(()));
    let mut query = vec![0; 16];
    query[8] = 1;
    let answer = bench.command(8, 1, &query).expect("answered");
    assert_eq!(answer.len(), 1 + 8 + 48);
    assert_eq!(answer[1..9], [0, 0, 0, 0, 0, 0, 56, 0]);
    assert_eq!((answer[17], answer[25]), (1, 100));
    // A queue that is not there.
    query[0] = 9;
    assert_eq!(bench.command(8, 1, &query), Some(vec![1]));

    assert_eq!(
        bench.command(6, 1, &[4, 0, 0, 0, 50, 0, 0, 0]),
        Some(vec![0])
    );
    let answer = bench.command(6, 3, &[0, 0, 0, 0]).expect("answered");
    assert_eq!(answer, [0, 4, 0, 0, 0, 50, 0, 0, 0]);
    let answer = bench.command(6, 3, &[1, 0, 0, 0]).expect("answered");
    assert_eq!(answer, [0; 9]);
}

#[test]
fn coalescing_delays_and_merges() {
    let mut bench = Bench::new(1, false, Features::NOTF_COAL);
    // 3 packets, 1000 us.
    bench.command(6, 1, &[3, 0, 0, 0, 0xe8, 3, 0, 0]);
    bench.device.take_interrupts();
    let frame = Frame::plain(vec![1; 60]);
    let deliver = |bench: &mut Bench, after: u64| {
        bench.add(0, &[(BUFFERS, 200, true)]);
        let now = bench.now + Duration::from_micros(after);
        assert_eq!(bench.device.deliver(0, &frame, now), Ok(()));
        bench.device.turn(now);
        bench.device.take_interrupts().queues.contains(&0)
    };
    assert!(!deliver(&mut bench, 0));
    assert!(!deliver(&mut bench, 10));
    assert!(deliver(&mut bench, 20), "the third packet");
    assert!(!deliver(&mut bench, 30));
    let due = bench.now + Duration::from_micros(1030);
    assert_eq!(bench.device.deadline(), Some(due));
    bench.device.turn(due - Duration::from_micros(1));
    assert_eq!(bench.device.take_interrupts(), Interrupts::default());
    bench.device.turn(due);
    assert!(bench.device.take_interrupts().queues.contains(&0));
    assert_eq!(bench.device.deadline(), None);
}

#[test]
fn lies_are_told_and_counted() {
    for packed in [false, true] {
        let mut bench = Bench::new(1, packed, Features::MRG_RXBUF);
        let frame = Frame::plain(vec![1; 60]);
        let mut tell = |lie: Lie| {
            bench.device.hostile.set(lie, When::Next(1), None);
            bench.add(0, &[(BUFFERS, 200, true)]);
            let _ = bench.device.deliver(0, &frame, bench.now);
            assert_eq!(bench.device.hostile.count(lie), 1, "{}", lie.name());
            let header = bench.bytes(BUFFERS, 12);
            (header, bench.used(0))
        };
        let (header, _) = tell(Lie::NumBuffersZero);
        assert_eq!(header[10..], [0, 0]);
        let (header, _) = tell(Lie::GsoSizeZero);
        assert_eq!((header[1], header[4]), (1, 0));
        let (_, used) = tell(Lie::UsedLenHuge);
        assert!(used.expect("used").1 > 1000);
        let (_, used) = tell(Lie::UsedLenZero);
        assert_eq!(used.expect("used").1, 0);
        let (_, used) = tell(Lie::UsedIdBeyond);
        assert!(used.expect("used").0 >= 16);
        assert!(!bench.device.needs_reset());
    }
    let mut bench = Bench::new(1, false, Features::CTRL_RX);
    for (lie, answer) in [
        (Lie::CtrlRefused, Some(vec![1])),
        (Lie::CtrlWrong, Some(vec![1])),
        (Lie::CtrlGarbage, Some(vec![0x55])),
        (Lie::CtrlShort, Some(vec![])),
        (Lie::CtrlLate, None),
        (Lie::CtrlNever, None),
    ] {
        bench.device.hostile.set(lie, When::Next(1), None);
        assert_eq!(bench.command(0, 0, &[1]), answer, "{}", lie.name());
        assert_eq!(bench.device.hostile.count(lie), 1);
    }
    let late = bench.device.deadline().expect("an answer is due");
    bench.device.turn(late);
    assert_eq!(bench.used(2).map(|(_, len)| len), Some(1));
    assert_eq!(bench.used(2), None);
}

#[test]
fn every_lie_has_one_name() {
    let names: std::collections::BTreeSet<_> = Lie::ALL.iter().map(|lie| lie.name()).collect();
    assert_eq!(names.len(), Lie::ALL.len());
    assert!(Lie::ALL
        .iter()
        .all(|lie| Lie::from_name(lie.name()) == Some(*lie)));
    let mut hostile = crate::hostile::Hostile::new();
    assert!(hostile
        .set_by_name("nonsense", When::Next(1), None)
        .is_err());
    hostile
        .set_by_name("all", When::Probability(0.5), None)
        .expect("known");
    let told = (0..1000).filter(|_| hostile.tells(Lie::HashType)).count();
    assert!((400..600).contains(&told), "{told}");
    hostile.honest();
    assert!(hostile.is_honest());
}

#[test]
fn statistics_are_garbled() {
    // All that the receive queue and the control queue have.
    let mut question = [0; 32];
    question[8] = 7;
    question[16] = 2;
    question[28] = 1;
    // Without the features that they are about, none is told.
    let mut lacking = Bench::new(1, false, Features::DEVICE_STATS | Features::GUEST_CSUM);
    let refused = lacking.command(8, 1, &question).expect("an answer");
    assert_eq!(refused[0], 1);
    let features = Features::DEVICE_STATS | Features::GUEST_CSUM | Features::GUEST_TSO4;
    let mut bench = Bench::new(1, false, features);
    let honest = bench.command(8, 1, &question).expect("an answer");
    assert_eq!((honest[0], honest.len()), (0, 1 + 56 + 40 + 40 + 24));
    bench
        .device
        .hostile
        .set(Lie::StatsGarbage, When::Next(200), None);
    let (mut types, mut queues, mut lens) = (vec![], vec![], vec![]);
    for _ in 0..200 {
        let answer = bench.command(8, 1, &question).expect("an answer");
        assert_eq!((answer[0], answer.len()), (0, honest.len()));
        assert_ne!(answer, honest);
        types.push(answer[1]);
        queues.push(u16::from_le_bytes([answer[3], answer[4]]));
        lens.push(u16::from_le_bytes([answer[7], answer[8]]));
    }
    assert!(types.contains(&0) && types.iter().any(|kind| *kind != 0));
    assert!(queues.contains(&0) && queues.iter().any(|queue| *queue > 1000));
    assert!(lens.contains(&0) && lens.contains(&56) && lens.contains(&0xffff));
    assert_eq!(bench.device.hostile.count(Lie::StatsGarbage), 200);
}

#[test]
fn a_broken_ring_is_the_drivers_fault_once() {
    let mut bench = Bench::new(1, false, Features::empty());
    bench.add(1, &[(u64::MAX - 5, 100, false)]);
    assert_eq!(bench.device.drain(0, bench.now), []);
    bench.device.turn(bench.now);
    assert!(bench.device.needs_reset());
    assert!(bench.device.take_interrupts().config);
    bench.device.turn(bench.now);
    assert_eq!(bench.device.stats.broken, 1);
    bench.device.reset();
    assert!(!bench.device.needs_reset());
}

#[test]
fn a_storm_needs_no_traffic() {
    let mut bench = Bench::new(1, false, Features::empty());
    assert_eq!(bench.device.deadline(), None);
    bench
        .device
        .hostile
        .set(Lie::ConfigInterrupt, When::Next(3), None);
    let mut interrupts = 0;
    for _ in 0..10 {
        bench.device.turn(bench.now);
        interrupts += u32::from(bench.device.take_interrupts().config);
        let Some(next) = bench.device.deadline() else {
            break;
        };
        assert!(next > bench.now);
        bench.now = next;
    }
    assert_eq!(interrupts, 3);
    assert_eq!(bench.device.deadline(), None, "over");
}
