// SPDX-License-Identifier: GPL-2.0

//! A driver that is not ours, the crate `virtio-drivers`, drives the device within
//! this process: by the function's registers, over split rings in memory that both
//! have mapped.

mod hal;
mod transport;

use hal::Machine;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use transport::Registers;
use virtio_drivers::device::net::{TxBuffer, VirtIONet};
use virtio_net_model::model::{lock, Bell, Model, Port};
use virtio_net_model::net::{Device, Settings};
use virtio_net_model::pci::Function;
use virtio_net_model::traffic::{Frame, Mode, Output};
use virtio_net_wire::Features;

const QUEUE_SIZE: usize = 16;
const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 9];
/// What the library can take of our offer.
const LIBRARY: Features = Features::MAC
    .union(Features::STATUS)
    .union(Features::RING_EVENT_IDX)
    .union(Features::RING_INDIRECT_DESC)
    .union(Features::VERSION_1);

/// Sends each frame back with its addresses exchanged and its payload inverted.
#[derive(Default)]
struct Echo {
    /// Frames that were not taken at once.
    waiting: Vec<(usize, usize, Frame)>,
}

fn echoed(data: &[u8]) -> Vec<u8> {
    let (to, rest) = data.split_at(6);
    let (from, payload) = rest.split_at(6);
    let payload = payload.iter().map(|byte| !byte);
    [from, to].concat().into_iter().chain(payload).collect()
}

impl Mode for Echo {
    fn received(&mut self, port: usize, pair: usize, frame: Frame, out: &mut dyn Output) {
        let mut back = frame.clone();
        back.data = echoed(&frame.data);
        if !self.waiting.is_empty() || out.send(port, pair, &back).is_err() {
            self.waiting.push((port, pair, back));
        }
    }

    fn tick(&mut self, _now: Instant, out: &mut dyn Output) {
        let waiting = std::mem::take(&mut self.waiting);
        for (port, pair, frame) in waiting {
            if !self.waiting.is_empty() || out.send(port, pair, &frame).is_err() {
                self.waiting.push((port, pair, frame));
            }
        }
    }
}

type Net = VirtIONet<Machine, Registers, QUEUE_SIZE>;

struct Setup {
    function: Arc<Mutex<Function>>,
    model: Arc<Mutex<Model>>,
    /// Bytes of each receive buffer.
    buffer_len: usize,
}

impl Setup {
    fn new(settings: &[(&str, &str)], buffer_len: usize) -> Self {
        let mut all = Settings::default();
        all.set("mac", "52:54:00:00:00:09").expect("a MAC address");
        for (key, value) in settings {
            all.set(key, value).expect(key);
        }
        let mut device = Device::new(all);
        device
            .memory
            .map(hal::BASE, hal::SIZE, Some((hal::shared_file(), 0)), true)
            .expect("map the memory");
        let function = Arc::new(Mutex::new(Function::new(device)));
        let mut model = Model::new(Box::new(Echo::default()), Bell::default());
        model.add_port(function.clone());
        Self {
            function,
            model: Arc::new(Mutex::new(model)),
            buffer_len,
        }
    }

    fn driver(&self) -> Net {
        let registers = Registers::new(self.function.clone(), self.model.clone());
        Net::new(registers, self.buffer_len).expect("a driver")
    }

    fn turn(&self) {
        lock(&self.model).turn();
    }

    fn negotiated(&self) -> Features {
        lock(&self.function).device().negotiated()
    }

    /// Whether the device has found anything wrong with the driver.
    fn is_broken(&self) -> bool {
        lock(&self.function).device().needs_reset()
    }

    /// Sends `frames`, and has the answers to all of them, in order.
    fn exchange(&self, net: &mut Net, frames: &[Vec<u8>]) {
        for data in frames {
            net.send(TxBuffer::from(data)).expect("sent");
        }
        for (number, data) in frames.iter().enumerate() {
            for _ in 0..10 {
                if net.can_recv() {
                    break;
                }
                self.turn();
            }
            let received = net.receive().unwrap_or_else(|error| {
                panic!("answer {number} of {} bytes: {error:?}", data.len())
            });
            assert!(received.packet() == echoed(data), "answer {number}");
            net.recycle_rx_buffer(received).expect("posted again");
        }
        assert!(!net.can_recv(), "an answer too many");
        assert!(!self.is_broken());
    }
}

/// A frame of `len` bytes that no other number has.
fn frame(number: usize, len: usize) -> Vec<u8> {
    let mut data = [&[0xff; 6][..], &MAC, &[0x88, 0xb5]].concat();
    let mut state = number as u32 ^ 0x9e37_79b9;
    data.resize_with(len, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    data
}

#[test]
fn features_and_configuration() {
    let setup = Setup::new(&[], 2048);
    let net = setup.driver();
    assert_eq!(net.mac_address(), MAC);
    assert_eq!(setup.negotiated(), LIBRARY);
    assert!(!setup.is_broken());
}

#[test]
fn features_that_are_off_are_not_taken() {
    let off = [("event_idx", "off"), ("indirect_desc", "off")];
    let setup = Setup::new(&off, 2048);
    let mut net = setup.driver();
    let without = Features::RING_EVENT_IDX | Features::RING_INDIRECT_DESC;
    assert_eq!(setup.negotiated(), LIBRARY.difference(without));
    setup.exchange(&mut net, &[frame(1, 60)]);
}

#[test]
fn frames_of_every_size() {
    let setup = Setup::new(&[], 2048);
    let mut net = setup.driver();
    for len in 14..1515 {
        setup.exchange(&mut net, &[frame(len, len)]);
    }
}

/// To the longest: the library rounds its buffers down to whole words.
#[test]
fn large_frames() {
    let setup = Setup::new(&[("mtu", "65000")], 65_535);
    let mut net = setup.driver();
    for len in [1515, 4096, 4097, 9014, 16_384, 32_768, 65_000, 65_516] {
        setup.exchange(&mut net, &[frame(len, len), frame(len + 1, 60)]);
    }
}

/// With and without indirect descriptors and event indices: other paths of the ring.
#[test]
fn rings_wrap_many_times() {
    for off in [&["event_idx", "indirect_desc"][..], &["event_idx"], &[]] {
        let off: Vec<_> = off.iter().map(|key| (*key, "off")).collect();
        let setup = Setup::new(&off, 2048);
        let mut net = setup.driver();
        // The ring's index is of 16 bits: it wraps, too.
        for round in 0..70_000 / QUEUE_SIZE {
            let burst = 1 + round % QUEUE_SIZE;
            let frames: Vec<_> = (0..burst)
                .map(|n| frame(round * QUEUE_SIZE + n, 14 + (round * 31 + n * 7) % 400))
                .collect();
            setup.exchange(&mut net, &frames);
            if cfg!(debug_assertions) && std::env::var_os("VNR_SLOW").is_some() && round == 200 {
                break;
            }
        }
    }
}

#[test]
fn more_frames_than_buffers_wait() {
    let setup = Setup::new(&[], 2048);
    let mut net = setup.driver();
    let frames: Vec<_> = (0..4 * QUEUE_SIZE).map(|n| frame(n, 100 + n)).collect();
    setup.exchange(&mut net, &frames);
}

#[test]
fn drivers_come_and_go() {
    let before = hal::pages_in_use();
    let setup = Setup::new(&[], 2048);
    for round in 0..50 {
        let mut net = setup.driver();
        setup.exchange(&mut net, &[frame(round, 300)]);
        drop(net);
        assert_eq!(setup.negotiated(), Features::empty(), "the device is reset");
    }
    // The library leaves the buffers that it has posted to the device.
    let left = hal::pages_in_use() - before;
    assert!(left <= 50 * QUEUE_SIZE, "{left} pages are not given back");
}

#[test]
fn interrupts_are_told_by_the_status_register() {
    let setup = Setup::new(&[], 2048);
    let mut net = setup.driver();
    net.enable_interrupts();
    net.ack_interrupt();
    setup.exchange(&mut net, &[frame(0, 60)]);
    assert!(!net.ack_interrupt().is_empty());
    assert!(net.ack_interrupt().is_empty(), "reading clears it");
    lock(&setup.function).device_mut().set_link(false);
    setup.turn();
    assert!(!net.ack_interrupt().is_empty());
}
