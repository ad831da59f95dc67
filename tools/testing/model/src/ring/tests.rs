// SPDX-License-Identifier: GPL-2.0

use super::driver::Driver;
use super::*;
use crate::hostile::Random;

const BUFFERS: u64 = 0x10_0000;

fn pair(size: u16, packed: bool, event_idx: bool) -> (Memory, Driver, Box<dyn Ring>) {
    let memory = Driver::memory();
    let mut driver = Driver::new(size, packed);
    driver.layout.event_idx = event_idx;
    let ring = open(&memory, driver.layout).expect("a good ring");
    (memory, driver, ring)
}

fn used(chain: &Chain, len: u32) -> Used {
    Used {
        id: chain.id,
        len,
        slots: chain.slots,
    }
}

#[test]
fn chains_go_round_and_round() {
    for packed in [false, true] {
        // A packed ring need not be a power of two.
        let size = if packed { 7 } else { 8 };
        let (memory, mut driver, mut ring) = pair(size, packed, false);
        assert_eq!(ring.pop_chain(&memory), Ok(None));
        for turn in 0..70u64 {
            let at = BUFFERS + 64 * turn;
            let first = driver.add(&memory, &[(at, 10, false), (at + 16, 20, true)]);
            let second = driver.add(&memory, &[(at + 40, 4, true)]);
            let a = ring.pop_chain(&memory).expect("sound").expect("a chain");
            let b = ring.pop_chain(&memory).expect("sound").expect("a chain");
            assert_eq!(ring.pop_chain(&memory), Ok(None));
            assert_eq!((a.id, b.id), (first, second), "turn {turn}");
            assert_eq!(a.readable, [Span { addr: at, len: 10 }]);
            assert_eq!(
                a.writable,
                [Span {
                    addr: at + 16,
                    len: 20
                }]
            );
            assert_eq!((b.readable_len(), b.writable_len()), (0, 4));
            if turn % 2 == 0 {
                ring.push_used(&memory, &[used(&a, 7), used(&b, 0)])
                    .expect("sound");
            } else {
                ring.push_used(&memory, &[used(&a, 7)]).expect("sound");
                assert_eq!(driver.used(&memory), Some((first, 7)));
                ring.push_used(&memory, &[used(&b, 0)]).expect("sound");
                assert_eq!(driver.used(&memory), Some((second, 0)));
                continue;
            }
            assert_eq!(driver.used(&memory), Some((first, 7)));
            assert_eq!(driver.used(&memory), Some((second, 0)));
            assert_eq!(driver.used(&memory), None);
        }
    }
}

#[test]
fn indirect_tables() {
    for packed in [false, true] {
        let (memory, mut driver, mut ring) = pair(8, packed, false);
        let table = BUFFERS + 0x1000;
        for index in 0..3u16 {
            let write = u16::from(index > 0) << 1;
            let next = u16::from(index < 2);
            let buffer = (BUFFERS + u64::from(index), 5, false);
            let at = table + 16 * u64::from(index);
            if packed {
                Driver::put_desc(&memory, at, buffer, 0, write);
            } else {
                Driver::put_desc(&memory, at, buffer, write | next, index + 1);
            }
        }
        driver.add(&memory, &[(table, 48, false)]);
        let flags = driver.layout.desc + if packed { 14 } else { 12 };
        let old = memory.load_u16(flags).expect("memory");
        memory.store_u16(flags, old | 4).expect("memory");
        let chain = ring.pop_chain(&memory).expect("sound").expect("a chain");
        assert_eq!((chain.readable.len(), chain.writable.len()), (1, 2));
        assert_eq!(chain.slots, 1);

        // Not if it was not negotiated, and not of half a descriptor.
        for (indirect, len) in [(false, 48u32), (true, 47), (true, 0)] {
            let layout = Layout {
                indirect,
                ..driver.layout
            };
            let mut ring = open(&memory, layout).expect("a good ring");
            memory
                .write(driver.layout.desc + 8, &len.to_le_bytes())
                .expect("memory");
            assert_eq!(ring.pop_chain(&memory), Err(RingError::Indirect));
        }
    }
}

#[test]
fn interrupts_by_flag() {
    for packed in [false, true] {
        let (memory, mut driver, mut ring) = pair(8, packed, false);
        driver.add(&memory, &[(BUFFERS, 4, true)]);
        driver.add(&memory, &[(BUFFERS, 4, true)]);
        let chain = ring.pop_chain(&memory).expect("sound").expect("a chain");
        assert_eq!(ring.needs_interrupt(&memory), Ok(false), "nothing was used");
        ring.push_used(&memory, &[used(&chain, 1)]).expect("sound");
        assert_eq!(ring.needs_interrupt(&memory), Ok(true));
        assert_eq!(ring.needs_interrupt(&memory), Ok(false), "asked twice");
        driver.want_none(&memory);
        let chain = ring.pop_chain(&memory).expect("sound").expect("a chain");
        ring.push_used(&memory, &[used(&chain, 1)]).expect("sound");
        assert_eq!(ring.needs_interrupt(&memory), Ok(false));
    }
}

#[test]
fn interrupts_by_index() {
    for packed in [false, true] {
        let (memory, mut driver, mut ring) = pair(8, packed, true);
        // Over several laps: an interrupt exactly when the third chain is passed.
        for lap in 0..40 {
            driver.want_interrupt(&memory, 2);
            for nth in 0..4 {
                driver.add(&memory, &[(BUFFERS, 4, true)]);
                let chain = ring.pop_chain(&memory).expect("sound").expect("a chain");
                ring.push_used(&memory, &[used(&chain, 1)]).expect("sound");
                let wanted = ring.needs_interrupt(&memory).expect("sound");
                assert_eq!(wanted, nth == 2, "packed {packed}, lap {lap}, chain {nth}");
            }
            (0..4).for_each(|_| assert!(driver.used(&memory).is_some()));
        }
    }
}

#[test]
fn enabling_notifications_looks_again() {
    for (packed, event_idx) in [(false, false), (false, true), (true, false), (true, true)] {
        let (memory, mut driver, mut ring) = pair(8, packed, event_idx);
        ring.disable_notifications(&memory).expect("sound");
        assert_eq!(ring.enable_notifications(&memory), Ok(false));
        ring.disable_notifications(&memory).expect("sound");
        driver.add(&memory, &[(BUFFERS, 4, true)]);
        assert_eq!(ring.enable_notifications(&memory), Ok(true));
    }
}

#[test]
fn rings_that_cannot_be() {
    let memory = Driver::memory();
    let good = Driver::new(8, false).layout;
    let refused = |layout: Layout| open(&memory, layout).map(drop).expect_err("refused");
    for packed in [false, true] {
        let good = Layout { packed, ..good };
        assert_eq!(refused(Layout { size: 0, ..good }), RingError::Size(0));
        assert_eq!(refused(Layout { desc: 8, ..good }), RingError::Address);
        for far in [0x20_0000, u64::MAX & !15, (u64::MAX & !15) - 16] {
            assert!(matches!(
                refused(Layout { desc: far, ..good }),
                RingError::Fault(_)
            ));
        }
    }
    assert_eq!(refused(Layout { size: 7, ..good }), RingError::Size(7));
}

#[test]
fn chains_that_cannot_be() {
    // Split: a loop, an index beyond the ring, an available index too far ahead.
    let (memory, driver, mut ring) = pair(4, false, false);
    Driver::put_desc(&memory, driver.layout.desc, (BUFFERS, 4, false), 1, 0);
    driver.offer(&memory, 0);
    assert_eq!(ring.pop_chain(&memory), Err(RingError::Loop));
    let (memory, driver, mut ring) = pair(4, false, false);
    driver.offer(&memory, 9);
    assert_eq!(ring.pop_chain(&memory), Err(RingError::Index(9)));
    let (memory, driver, mut ring) = pair(4, false, false);
    memory
        .store_u16(driver.layout.driver + 2, 5)
        .expect("memory");
    assert_eq!(ring.pop_chain(&memory), Err(RingError::AvailableIndex(5)));

    for packed in [false, true] {
        let (memory, mut driver, mut ring) = pair(4, packed, false);
        driver.add(&memory, &[(BUFFERS, 4, true), (BUFFERS, 4, false)]);
        assert_eq!(ring.pop_chain(&memory), Err(RingError::Order));
        let (memory, mut driver, mut ring) = pair(4, packed, false);
        driver.add(&memory, &[(u64::MAX, 4, true)]);
        assert_eq!(ring.pop_chain(&memory), Err(RingError::Address));
        // Outside of memory is found when the buffer is used.
        let (mut memory, mut driver, mut ring) = pair(4, packed, false);
        driver.add(&memory, &[(0x20_0000 - 2, 4, false)]);
        let chain = ring.pop_chain(&memory).expect("sound").expect("a chain");
        assert!(matches!(chain.read(&memory, 100), Err(RingError::Fault(_))));
        // Unless it is to be taken for zeros, which are counted.
        memory.holes_are_zeros = true;
        assert_eq!(chain.read(&memory, 100), Ok(vec![0; 4]));
        assert_eq!(*memory.holes.get_mut(), 1);
    }
    // Packed: every slot says that there is a next one.
    let (memory, driver, mut ring) = pair(4, true, false);
    for slot in 0..4 {
        let at = driver.layout.desc + 16 * slot;
        Driver::put_desc(&memory, at, (BUFFERS, 4, false), 0, (1 << 7) | 1);
    }
    assert_eq!(ring.pop_chain(&memory), Err(RingError::Loop));
}

#[test]
fn in_order_a_batch_is_one_entry() {
    for packed in [false, true] {
        let (memory, mut driver, _) = pair(8, packed, false);
        driver.layout.in_order = true;
        let mut ring = open(&memory, driver.layout).expect("a good ring");
        for lap in 0..9 {
            let ids = [1, 2, 1].map(|len| driver.add(&memory, &vec![(BUFFERS, 4, false); len]));
            let chains = ids.map(|_| ring.pop_chain(&memory).expect("sound").expect("a chain"));
            let (_, before) = ring.position();
            let all = chains.each_ref().map(|chain| used(chain, 0));
            ring.push_used(&memory, &all).expect("sound");
            assert_eq!(ring.needs_interrupt(&memory), Ok(true));
            let (_, after) = ring.position();
            let mut entry = [0; 8];
            if packed {
                let at = driver.layout.desc + 16 * u64::from(before & 0x7fff);
                memory.read(at + 12, &mut entry[..2]).expect("memory");
                assert_eq!((before & 0x7fff) ^ 4, after & 0x7fff, "lap {lap}");
            } else {
                let at = driver.layout.device + 4 + 8 * u64::from(before % 8);
                memory.read(at, &mut entry).expect("memory");
                assert_eq!(after, before + 3);
            }
            assert_eq!(entry[0], ids[2] as u8, "the last one's id");
        }
    }
}

/// Whatever is in the ring's memory, the device comes back with an answer.
#[test]
fn rings_of_noise() {
    let mut random = Random::default();
    for round in 0..2000 {
        let packed = round % 2 == 0;
        let (memory, driver, mut ring) = pair(8, packed, round % 4 < 2);
        for area in [
            driver.layout.desc,
            driver.layout.driver,
            driver.layout.device,
        ] {
            let mut noise = [0; 160];
            random.fill(&mut noise);
            // Half of the bytes zero: addresses that are memory, flags that are plausible.
            noise
                .iter_mut()
                .step_by(2)
                .for_each(|byte| *byte &= round as u8);
            memory.write(area, &noise).expect("memory");
        }
        let _ = ring.enable_notifications(&memory);
        for _ in 0..20 {
            match ring.pop_chain(&memory) {
                Ok(Some(chain)) => {
                    let _ = chain.read(&memory, 1000);
                    let _ = chain.write(&memory, 3, &[1; 100]);
                    let _ = ring.push_used(&memory, &[used(&chain, 3)]);
                    let _ = ring.needs_interrupt(&memory);
                }
                _ => break,
            }
        }
    }
}
