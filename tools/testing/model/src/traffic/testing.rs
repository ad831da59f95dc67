// SPDX-License-Identifier: GPL-2.0

//! Ports without devices, for unit tests.

use super::{Frame, Output, Refused};
use virtio_net_wire::Features;

/// Ports that take what they have room for, and keep it.
pub struct Ports {
    /// Guest offloads of each port.
    pub offloads: Vec<Features>,
    /// Frames that are still taken.
    pub room: usize,
    /// What all are refused with, if they are.
    pub refuse: Option<Refused>,
    /// What was taken: port, pair, frame.
    pub sent: Vec<(usize, usize, Frame)>,
}

impl Ports {
    /// So many, with all offloads.
    pub fn new(ports: usize) -> Self {
        Self {
            offloads: vec![Features::GUEST_GSO | Features::GUEST_CSUM; ports],
            room: usize::MAX,
            refuse: None,
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

    fn send(&mut self, port: usize, pair: usize, frame: &Frame) -> Result<(), Refused> {
        if let Some(refused) = self.refuse {
            return Err(refused);
        }
        if self.room == 0 {
            return Err(Refused::NoBuffers);
        }
        self.room -= 1;
        self.sent.push((port, pair, frame.clone()));
        Ok(())
    }
}
