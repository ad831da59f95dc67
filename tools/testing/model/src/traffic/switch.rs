// SPDX-License-Identifier: GPL-2.0

//! Joins all ports: what one sends, all others get.

use super::{Mode, Output};
use crate::net::Frame;
use std::time::Instant;

/// A wire between the ports that never learns.
#[derive(Debug, Default)]
pub struct Switch;

impl Mode for Switch {
    fn received(&mut self, port: usize, pair: usize, frame: Frame, out: &mut dyn Output) {
        for other in (0..out.ports()).filter(|other| *other != port) {
            out.send(other, pair, frame.clone());
        }
    }

    fn tick(&mut self, _now: Instant, _out: &mut dyn Output) {}
}
