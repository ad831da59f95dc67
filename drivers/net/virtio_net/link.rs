// SPDX-License-Identifier: GPL-2.0

//! Link state, speed and duplex, and announcements (section 5.1.4).

use crate::nic::Nic;
use core::sync::atomic::{AtomicU32, AtomicU8, Ordering};
use knet::{
    net::{LinkSettings, OpsLocked},
    virtio,
};
use virtio_net_wire::{
    config::{field, Duplex, Speed, Status},
    ctrl::AckAnnounce,
    Features,
};

/// What the device says of its link.
fn status(device: &virtio::Device, negotiated: Features) -> Status {
    if negotiated.contains(Features::STATUS) {
        Status::from_bits_retain(
            field::STATUS.decode(device.read_config(field::STATUS.offset() as u32)),
        )
    } else {
        // A device that cannot say is always connected.
        Status::LINK_UP
    }
}

/// Follows a change of the configuration space.
pub(crate) fn changed(nic: &Nic) {
    if !nic.netdev.is_running() {
        // It is looked at when the interface goes up.
        return;
    }
    if status(&nic.device, nic.negotiated).contains(Status::ANNOUNCE) {
        nic.netdev.notify_peers();
        if let Some(control) = &nic.control {
            let _ = control.send(&nic.device, &AckAnnounce);
        }
    }
    nic.netdev.locked(|lock| {
        if nic.netdev.is_running() {
            // Read with the lock: not while the device is reset.
            show(nic, lock);
        }
    });
}

/// Shows the state of the link while the interface is up.
pub(crate) fn show(nic: &Nic, lock: &OpsLocked<'_, Nic>) {
    let up = status(&nic.device, nic.negotiated).contains(Status::LINK_UP);
    if up {
        nic.link.follow(&nic.device, nic.negotiated);
    }
    nic.netdev.set_carrier(up, lock);
}

/// Speed and duplex, as the device says them when the link goes up, or as users do.
/// Nothing depends on them.
pub(crate) struct Shown {
    /// In Mbit/s; what is none is unknown.
    speed: AtomicU32,
    duplex: AtomicU8,
}

const UNKNOWN: u8 = u8::MAX;

impl Shown {
    pub(crate) fn of(device: &virtio::Device, negotiated: Features) -> Self {
        let this = Self {
            speed: AtomicU32::new(u32::MAX),
            duplex: AtomicU8::new(UNKNOWN),
        };
        this.follow(device, negotiated);
        this
    }

    fn follow(&self, device: &virtio::Device, negotiated: Features) {
        if negotiated.contains(Features::SPEED_DUPLEX) {
            let speed = device.read_config(field::SPEED.offset() as u32);
            let duplex = device.read_config(field::DUPLEX.offset() as u32);
            self.speed
                .store(field::SPEED.decode(speed), Ordering::Relaxed);
            self.duplex
                .store(field::DUPLEX.decode(duplex), Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> LinkSettings {
        LinkSettings {
            speed: match Speed::from(self.speed.load(Ordering::Relaxed)) {
                Speed::Mbps(speed) => Some(speed),
                Speed::Unknown => None,
            },
            full_duplex: match Duplex::from(self.duplex.load(Ordering::Relaxed)) {
                Duplex::Full => Some(true),
                Duplex::Half => Some(false),
                Duplex::Unknown => None,
            },
        }
    }

    pub(crate) fn set(&self, settings: LinkSettings) {
        let speed = settings.speed.unwrap_or(u32::MAX);
        let duplex = settings.full_duplex.map_or(UNKNOWN, u8::from);
        self.speed.store(speed, Ordering::Relaxed);
        self.duplex.store(duplex, Ordering::Relaxed);
    }
}
