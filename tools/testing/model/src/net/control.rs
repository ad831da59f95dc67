// SPDX-License-Identifier: GPL-2.0

//! The control queue (section 5.1.6.5).

use super::settings::Settings;
use super::Device;
use serde::Serialize;
use std::time::Instant;
use virtio_net_wire::Features;

/// What the driver has said on the control queue.
#[derive(Clone, Debug, Serialize)]
pub struct Control {
    /// Queue pairs in use.
    pub pairs: u16,
}

impl Control {
    /// Nothing said yet.
    pub fn new(_settings: &Settings) -> Self {
        Self { pairs: 1 }
    }

    pub(super) fn negotiated(&mut self, _features: Features) {}

    pub(super) fn deadline(&self) -> Option<Instant> {
        None
    }
}

impl Device {
    pub(super) fn process_control(&mut self, _now: Instant) {}
}
