// SPDX-License-Identifier: GPL-2.0

use super::common::{reg, status, Common, Event, NO_VECTOR};
use super::*;
use crate::net::Settings;
use virtio_net_wire::Features;

fn registers() -> Common {
    let offered = Features::VERSION_1 | Features::RING_RESET | Features::HOST_UDP_TUNNEL_GSO;
    Common::new(offered, 3, [256, 256, 64])
}

fn read16(common: &Common, offset: u64) -> u16 {
    let mut out = [0; 2];
    common.read(offset, &mut out);
    u16::from_le_bytes(out)
}

fn read32(common: &Common, offset: u64) -> u32 {
    let mut out = [0; 4];
    common.read(offset, &mut out);
    u32::from_le_bytes(out)
}

#[test]
fn features_by_words() {
    let mut common = registers();
    let words: Vec<_> = (0..6u32)
        .map(|select| {
            common.write(reg::DEVICE_FEATURE_SELECT, &select.to_le_bytes());
            read32(&common, reg::DEVICE_FEATURE)
        })
        .collect();
    assert_eq!(words, [0, 1 | (1 << 8), 1 << 3, 0, 0, 0]);
    for (select, word) in [(1u32, 1u32), (2, 8), (7, 5)] {
        common.write(reg::DRIVER_FEATURE_SELECT, &select.to_le_bytes());
        common.write(reg::DRIVER_FEATURE, &word.to_le_bytes());
    }
    let accepted = Features::VERSION_1 | Features::HOST_UDP_TUNNEL_GSO;
    assert_eq!(common.driver_features(), accepted);
    common.set_status(status::FEATURES_OK);
    common.write(reg::DRIVER_FEATURE, &0u32.to_le_bytes());
    assert_eq!(
        common.driver_features(),
        accepted,
        "fixed after FEATURES_OK"
    );
    common.reset();
    assert_eq!(common.driver_features(), Features::empty());
}

#[test]
fn queues_are_set_up_and_then_fixed() {
    let mut common = registers();
    assert_eq!(read16(&common, reg::NUM_QUEUES), 3);
    common.write(reg::QUEUE_SELECT, &[2, 0]);
    assert_eq!(read16(&common, reg::QUEUE_SIZE), 64);
    assert_eq!(read16(&common, reg::QUEUE_NOTIFY_OFF), 2);
    for (size, expected) in [(128u16, 64), (0, 64), (32, 32)] {
        common.write(reg::QUEUE_SIZE, &size.to_le_bytes());
        assert_eq!(read16(&common, reg::QUEUE_SIZE), expected);
    }
    for (vector, expected) in [(2u16, 2), (3, NO_VECTOR)] {
        common.write(reg::QUEUE_MSIX_VECTOR, &vector.to_le_bytes());
        assert_eq!(read16(&common, reg::QUEUE_MSIX_VECTOR), expected);
    }
    common.write(reg::QUEUE_DESC, &0x1000u32.to_le_bytes());
    common.write(reg::QUEUE_DESC + 4, &1u32.to_le_bytes());
    common.write(reg::QUEUE_DEVICE, &0x2000u64.to_le_bytes());
    let enable = common.write(reg::QUEUE_ENABLE, &[1, 0]);
    assert_eq!(enable, Some(Event::EnableQueue(2)));
    let queue = common.queue_mut(2).expect("exists");
    assert_eq!(
        (queue.desc, queue.driver, queue.device),
        (0x1_0000_1000, 0, 0x2000)
    );
    queue.enabled = true;
    common.write(reg::QUEUE_DESC, &0u32.to_le_bytes());
    assert_eq!(common.queue(2).expect("exists").desc, 0x1_0000_1000);
    assert_eq!(
        common.write(reg::QUEUE_ENABLE, &[1, 0]),
        None,
        "enabled already"
    );
    // A queue that is not there reads as zero and takes nothing.
    common.write(reg::QUEUE_SELECT, &[3, 0]);
    assert_eq!(read16(&common, reg::QUEUE_SIZE), 0);
    assert_eq!(common.write(reg::QUEUE_ENABLE, &[1, 0]), None);
}

#[test]
fn a_queue_reset_needs_the_feature() {
    let mut common = registers();
    common.queue_mut(0).expect("exists").enabled = true;
    assert_eq!(common.write(reg::QUEUE_RESET, &[1, 0]), None);
    common.write(reg::DRIVER_FEATURE_SELECT, &1u32.to_le_bytes());
    common.write(reg::DRIVER_FEATURE, &(1u32 << 8).to_le_bytes());
    let event = common.write(reg::QUEUE_RESET, &[1, 0]);
    assert_eq!(event, Some(Event::ResetQueue(0)));
}

/// No access, however odd, is more than ignored.
#[test]
fn odd_accesses() {
    let mut function = Function::new(Device::new(Settings::default()));
    let mut out = [0; 16];
    for bar in 0..6 {
        for offset in (0..0x10100).step_by(3).chain([u64::MAX - 3, u64::MAX]) {
            function.bar_read(bar, offset, &mut out[..(offset % 16) as usize]);
            function.bar_write(
                bar,
                offset,
                &[1, 0, 0, 0, 0, 0, 0, 0][..(offset % 9) as usize],
            );
        }
    }
    for offset in (0..4200).chain([u64::MAX]) {
        function.config_write(offset, &[0xff; 4]);
        function.config_read(offset, &mut out[..4]);
    }
}

#[test]
fn capabilities_can_be_walked() {
    let mut function = Function::new(Device::new(Settings::default()));
    let mut byte = |offset: u64| {
        let mut out = [0];
        function.config_read(offset, &mut out);
        out[0]
    };
    let (mut at, mut found) = (byte(0x34), Vec::new());
    while at != 0 && found.len() < 20 {
        let id = byte(at.into());
        found.push((id, if id == 9 { byte(u64::from(at) + 3) } else { 0 }));
        at = byte(u64::from(at) + 1);
    }
    let expected = [
        (1, 0),
        (0x11, 0),
        (0x10, 0),
        (9, 1),
        (9, 2),
        (9, 3),
        (9, 4),
        (9, 5),
    ];
    assert_eq!(found, expected);
}

#[test]
fn bars_have_sizes() {
    let mut function = Function::new(Device::new(Settings::default()));
    for (bar, size) in [
        (0x10, layout::BAR0_LEN),
        (0x14, layout::BAR1_LEN),
        (0x18, 0),
    ] {
        function.config_write(bar, &[0xff; 4]);
        let mut out = [0; 4];
        function.config_read(bar, &mut out);
        let mask = u32::from_le_bytes(out);
        assert_eq!(u64::from(mask.wrapping_neg()), size);
    }
}

#[test]
fn a_function_level_reset_takes_all_back() {
    let mut function = Function::new(Device::new(Settings::default()));
    function.bar_write(0, layout::COMMON + reg::DEVICE_STATUS, &[3]);
    function.config_write(4, &[6, 4]);
    assert_eq!(function.common().status(), 3);
    // Device control of the PCI Express capability, at 0x54 + 8.
    function.config_write(0x5c, &[0, 0x80]);
    assert_eq!(function.common().status(), 0);
    let mut out = [0; 2];
    function.config_read(4, &mut out);
    assert_eq!(out, [0, 0]);
    function.config_read(0x5c, &mut out);
    assert_eq!(out, [0, 0], "the bit reads as zero");
    assert_eq!(function.device().stats.resets, 1);
}

#[test]
fn registers_through_the_configuration_space() {
    let mut function = Function::new(Device::new(Settings::default()));
    // Window at 0xd4: BAR 0, device_status, one byte.
    function.config_write(0xd8, &[0]);
    function.config_write(0xdc, &(reg::DEVICE_STATUS as u32).to_le_bytes());
    function.config_write(0xe0, &1u32.to_le_bytes());
    function.config_write(0xe4, &[1]);
    assert_eq!(function.common().status(), 1);
    let mut out = [0];
    function.config_read(0xe4, &mut out);
    assert_eq!(out, [1]);
}

#[test]
fn without_vectors_there_is_a_line() {
    let settings = Settings {
        vectors: Some(0),
        ..Settings::default()
    };
    let mut function = Function::new(Device::new(settings));
    assert!(function.has_line());
    let mut out = [0; 2];
    function.config_read(0x40, &mut out);
    assert_eq!(out, [1, 0x54], "no MSI-X in the list");
    function.device_mut().set_link(false);
    function.raise();
    // Reading clears.
    for expected in [2, 0] {
        function.bar_read(0, layout::ISR, &mut out[..1]);
        assert_eq!(out[0], expected);
    }
}
