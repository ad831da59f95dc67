// SPDX-License-Identifier: GPL-2.0

//! Driver for virtio network devices (virtio 1.3, section 5.1).
//!
//! | module | holds |
//! | --- | --- |
//! | [`nic`] | one device: probe, start, remove |
//! | [`queues`] | the device's queues, as they are found |
//! | [`restore`] | suspend, hibernation, reset |
//! | [`features`] | feature bits: which we take, and what they mean to the stack |
//! | [`rx`] | receive queues, with one module for each buffer layout |
//! | [`tx`] | transmit queues |
//! | [`rss`] | spreading received packets by their hash |
//! | [`coalesce`] | when the device interrupts |
//! | [`control`] | commands to the device |
//! | [`link`] | link state, speed, announcements |
//! | [`netdev`] | what the stack calls |
//! | [`resize`] | ring sizes, number of queue pairs, stuck queues |
//! | [`stats`] | counters |
//! | [`device_stats`] | counters that the device keeps |
//! | [`xdp`] | which programs can see received frames first |
//! | [`xsk`] | which processes receive into, and send from, memory of their own |
//! | [`needs_reset`] | a device that asks for a reset |
//! | [`private_flags`] | switches that only this driver has |
//! | [`affinity`] | which processors serve which queue pair |

#![forbid(unsafe_code)]

use kernel::{prelude::*, str::CStr};
use knet::virtio;

mod affinity;
mod coalesce;
mod control;
mod device_stats;
mod features;
mod link;
mod needs_reset;
mod netdev;
mod nic;
mod private_flags;
mod queues;
mod resize;
mod restore;
mod rss;
mod rx;
mod stats;
mod tx;
mod xdp;
mod xsk;

/// The driver's name: on the virtio bus, and in `ethtool -i`.
const NAME: &CStr = c"virtio_net_rs";
/// The version that `ethtool -i` shows.
const VERSION: &CStr = c"0.1.0";

/// The module: our place on the virtio bus.
#[pin_data]
struct VirtioNet {
    #[pin]
    _registration: virtio::Registration<nic::Nic>,
}

impl kernel::InPlaceModule for VirtioNet {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _registration <- virtio::Registration::new(NAME, module),
        })
    }
}

module! {
    type: VirtioNet,
    name: "virtio_net_rs",
    authors: ["virtio-net-rs contributors"],
    description: "Virtio network driver in Rust",
    license: "GPL",
    alias: ["virtio:d00000001v*"],
}
