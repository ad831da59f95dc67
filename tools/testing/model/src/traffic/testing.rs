// SPDX-License-Identifier: GPL-2.0

//! Ports without devices, for unit tests.

use super::{Frame, Output};
use virtio_net_wire::Features;

/// Ports that take what they have room for, and keep it.
pub struct Ports {
    /// Guest offloads of each port.
    pub offloads: Vec<Features>,
    /// Frames that are still taken.
    pub room: usize,
    /// What was taken: port, pair, frame.
    pub sent: Vec<(usize, usize, Frame)>,
}

impl Ports {
    /// So many, with all offloads.
    pub fn new(ports: usize) -> Self {
        Self {
            offloads: vec![Features::GUEST_GSO | Features::GUEST_CSUM; ports],
            room: usize::MAX,
            sent: Vec::new(),
        }
    }
}

impl Output for Ports {
    fn ports(&self) -> usize {
        self.offloads.len()
    }

    fn offloads(&self, port: usize) -> Features {
        self.offloads[port]
    }

    fn send(&mut self, port: usize, pair: usize, frame: &Frame) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        self.sent.push((port, pair, frame.clone()));
        true
    }
}
