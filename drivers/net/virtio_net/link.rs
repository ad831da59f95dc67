// SPDX-License-Identifier: GPL-2.0

//! Link state, speed and duplex, and announcements (section 5.1.4).

use crate::nic::Nic;
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
    let status = status(&nic.device, nic.negotiated);
    if status.contains(Status::ANNOUNCE) {
        nic.netdev.notify_peers();
        if let Some(control) = &nic.control {
            let _ = control.send(&nic.device, &AckAnnounce);
        }
    }
    nic.netdev.locked(|lock| {
        if nic.netdev.is_running() {
            set_carrier(nic, status, lock);
        }
    });
}

/// Shows the state of the link while the interface is up.
pub(crate) fn show(nic: &Nic, lock: &OpsLocked<'_, Nic>) {
    set_carrier(nic, status(&nic.device, nic.negotiated), lock);
}

fn set_carrier(nic: &Nic, status: Status, lock: &OpsLocked<'_, Nic>) {
    nic.netdev
        .set_carrier(status.contains(Status::LINK_UP), lock);
}

/// Speed and duplex, where the device says them.
pub(crate) fn settings(nic: &Nic) -> LinkSettings {
    if !nic.negotiated.contains(Features::SPEED_DUPLEX) {
        return LinkSettings {
            speed: None,
            full_duplex: None,
        };
    }
    let speed = field::SPEED.decode(nic.device.read_config(field::SPEED.offset() as u32));
    let duplex = field::DUPLEX.decode(nic.device.read_config(field::DUPLEX.offset() as u32));
    LinkSettings {
        speed: match Speed::from(speed) {
            Speed::Mbps(speed) => Some(speed),
            Speed::Unknown => None,
        },
        full_duplex: match Duplex::from(duplex) {
            Duplex::Full => Some(true),
            Duplex::Half => Some(false),
            Duplex::Unknown => None,
        },
    }
}
