// SPDX-License-Identifier: GPL-2.0

//! Frames are received, and dropped.

use super::Bench;
use crate::report::Report;

impl Bench<'_> {
    /// Receives frames.
    pub(super) fn rx_drop(&mut self, report: &mut Report<'_>) {
        while !self.is_over() && !self.received_all() {
            self.wait(libc::POLLIN);
            for socket in 0..self.bound.lanes.len() {
                for frame in self.receive(socket) {
                    self.bound.frames.release(frame.addr);
                }
                self.give_back(socket);
            }
            report.tick(self);
        }
    }
}
