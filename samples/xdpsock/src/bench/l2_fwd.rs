// SPDX-License-Identifier: GPL-2.0

//! Frames are sent back to whom they came from.

use super::Bench;
use crate::checks::XDP_PKT_CONTD;
use crate::frames::{place, Owner};
use crate::packet;
use crate::report::Report;
use std::time::{Duration, Instant};

/// How long the rest of a frame may take to come, at the end.
const PATIENCE: Duration = Duration::from_secs(1);

impl Bench<'_> {
    /// Receives frames, and sends them.
    pub(super) fn l2_fwd(&mut self, report: &mut Report<'_>) {
        let mut go_on = vec![false; self.bound.lanes.len()];
        let mut end = None;
        loop {
            if self.is_over() || self.received_all() {
                let end = *end.get_or_insert_with(|| Instant::now() + PATIENCE);
                // The kernel sends whole frames only, and has given the rest of one that goes on; older
                // ones may not have.
                if !go_on.contains(&true) || Instant::now() > end {
                    break;
                }
            }
            // In copy mode the kernel sends so many at a call: what is left is no event.
            let rest = !self.bound.zero_copy && self.completed < self.tx;
            self.wait(libc::POLLIN | if rest { libc::POLLOUT } else { 0 });
            for (socket, goes_on) in go_on.iter_mut().enumerate() {
                self.forward(socket, goes_on, report);
            }
            report.tick(self);
        }
        for parts in std::mem::take(&mut self.carried) {
            self.keep(&parts);
        }
    }

    fn forward(&mut self, socket: usize, goes_on: &mut bool, report: &mut Report<'_>) {
        let mut batch = self.receive(socket);
        for frame in &mut batch {
            let bytes = self.bound.area.frame(place(frame.addr), frame.len as usize);
            if let (Some(bytes), false) = (bytes, *goes_on) {
                packet::swap_addresses(bytes);
                self.packets += 1;
            }
            frame.options &= XDP_PKT_CONTD;
            *goes_on = frame.options != 0;
            self.bound.frames.set(frame.addr, Owner::Tx);
        }
        self.send(socket, batch, report);
        self.complete();
        self.give_back(socket);
    }
}
