// SPDX-License-Identifier: GPL-2.0

//! The port: a device, and what the machine has said of its rings.

use crate::model::Port;
use crate::net::{Device, Role};
use crate::ring::Layout;
use std::fs::File;
use std::io::{Read, Write};
use virtio_net_wire::Features;

/// One ring, as far as it is set up.
#[derive(Default)]
pub(super) struct Ring {
    pub(super) size: u16,
    /// Guest addresses of descriptor, driver and device area, once they are known.
    pub(super) areas: Option<[u64; 3]>,
    /// Where it goes on: next available and next used position.
    pub(super) base: (u16, u16),
    pub(super) enabled: bool,
    pub(super) kick: Option<File>,
    pub(super) call: Option<File>,
    pub(super) error: Option<File>,
    /// Notified, and running since then.
    started: bool,
}

/// A part of the machine's address space that is guest memory.
pub(super) struct Mapping {
    /// Where it is in the machine's process.
    pub(super) user: u64,
    /// Where it is in the guest.
    pub(super) guest: u64,
    /// Bytes.
    pub(super) size: u64,
}

/// A device behind vhost-user.
pub struct VhostPort {
    device: Device,
    rings: Vec<Ring>,
    mappings: Vec<Mapping>,
}

impl VhostPort {
    /// What a machine may be offered: features of frames and rings. The others are
    /// the machine's own.
    pub const OFFERED: Features = Features::CSUM
        .union(Features::GUEST_CSUM)
        .union(Features::GUEST_GSO)
        .union(Features::HOST_TSO4)
        .union(Features::HOST_TSO6)
        .union(Features::HOST_ECN)
        .union(Features::HOST_UFO)
        .union(Features::HOST_USO)
        .union(Features::MRG_RXBUF)
        .union(Features::MTU)
        .union(Features::MQ)
        .union(Features::GUEST_ANNOUNCE)
        .union(Features::RING_INDIRECT_DESC)
        .union(Features::RING_EVENT_IDX)
        .union(Features::RING_PACKED)
        .union(Features::RING_RESET)
        .union(Features::IN_ORDER)
        .union(Features::VERSION_1);

    /// A port around a device.
    pub fn new(device: Device) -> Self {
        let rings = (0..2 * device.settings.pairs).map(|_| Ring::default());
        Self {
            rings: rings.collect(),
            device,
            mappings: Vec::new(),
        }
    }

    /// What this device offers a machine.
    pub(super) fn offered(&self) -> Features {
        // Nobody else could announce the guest's address.
        (self.device.offered() | Features::GUEST_ANNOUNCE) & Self::OFFERED
    }

    /// Takes what the machine and the driver agreed upon. A driver that comes after
    /// another one finds the device as after a reset.
    pub(super) fn accept(&mut self, features: Features) {
        if !self.rings.iter().any(|ring| ring.started) {
            self.device.reset();
        }
        self.device.accept(features);
        // There is no DRIVER_OK here: a ring that is set up is reason enough.
        self.device.start();
    }

    pub(super) fn ring(&mut self, index: u32) -> Option<&mut Ring> {
        self.rings.get_mut(usize::try_from(index).ok()?)
    }

    pub(super) fn set_mappings(&mut self, mappings: Vec<Mapping>) {
        self.mappings = mappings;
    }

    /// The guest's name for an address in the machine's process.
    pub(super) fn to_guest(&self, user: u64) -> Option<u64> {
        self.mappings.iter().find_map(|mapping| {
            let offset = user.checked_sub(mapping.user)?;
            (offset < mapping.size).then(|| mapping.guest.checked_add(offset))?
        })
    }

    /// Starts the ring, if it is not running: a notification, or its descriptor,
    /// says that it may.
    pub(super) fn start(&mut self, index: u16) {
        let Some(ring) = self.rings.get_mut(usize::from(index)) else {
            return;
        };
        let (false, Some([desc, driver, device])) = (ring.started, ring.areas) else {
            return;
        };
        ring.started = true;
        let layout = Layout {
            size: ring.size,
            desc,
            driver,
            device,
            ..Layout::default()
        };
        let (available, used) = ring.base;
        self.device.start_queue(index, layout);
        self.device.set_position(index, available, used);
    }

    /// Stops the ring. The position to go on from: what is behind it has been used,
    /// in the order in which it was made available.
    pub(super) fn stop(&mut self, index: u16) -> u16 {
        let position = self.device.queue(index).and_then(|queue| queue.position());
        self.device.stop_queue(index);
        let Some(ring) = self.rings.get_mut(usize::from(index)) else {
            return 0;
        };
        let used = position.map_or(ring.base.1, |(_, used)| used);
        ring.started = false;
        ring.kick = None;
        ring.base = (used, used);
        used
    }

    /// Enables a ring or disables it. A receive ring that is disabled gets nothing:
    /// the pairs in use are those whose receive ring is enabled.
    pub(super) fn enable(&mut self, index: u16, enabled: bool) {
        if let Some(ring) = self.rings.get_mut(usize::from(index)) {
            ring.enabled = enabled;
        }
        let receive = self.rings.iter().step_by(2);
        let pairs = receive.take_while(|ring| ring.enabled).count();
        self.device.set_pairs(pairs as u16);
    }

    /// The driver has notified: takes the notification off its descriptor.
    pub(super) fn take_kick(&mut self, index: u16) {
        let kick = self
            .rings
            .get(usize::from(index))
            .and_then(|ring| ring.kick.as_ref());
        let Some(mut kick) = kick else {
            return;
        };
        // One that somebody else has taken is no notification.
        if kick.read_exact(&mut [0; 8]).is_ok() {
            self.start(index);
            self.device.kick(index);
        }
    }

    /// The machine is gone: no memory, no rings.
    pub(super) fn disconnect(&mut self) {
        self.device.reset();
        self.device.memory.clear();
        self.mappings.clear();
        self.rings
            .iter_mut()
            .for_each(|ring| *ring = Ring::default());
    }
}

/// Adds one to an event descriptor, if there is one.
fn notify(event: Option<&File>) {
    if let Some(mut event) = event {
        if let Err(error) = event.write_all(&1u64.to_ne_bytes()) {
            log::warn!("interrupt not sent: {error}");
        }
    }
}

impl Port for VhostPort {
    fn device(&self) -> &Device {
        &self.device
    }

    fn device_mut(&mut self) -> &mut Device {
        &mut self.device
    }

    fn raise(&mut self) {
        let pending = self.device.take_interrupts();
        for index in pending.queues {
            if let Some(ring) = self.rings.get(usize::from(index)) {
                notify(ring.call.as_ref());
            }
        }
        // The configuration is the machine's. Of a device that is broken it hears by
        // the rings' own descriptors.
        if pending.config && self.device.needs_reset() {
            for (index, ring) in (0..).zip(&self.rings) {
                let broken = self
                    .device
                    .queue(index)
                    .is_some_and(|queue| queue.error().is_some());
                if broken && self.device.role(index) != Some(Role::Control) {
                    notify(ring.error.as_ref());
                }
            }
        }
    }
}
