// SPDX-License-Identifier: GPL-2.0

//! What happens to the frames that drivers send, and where others come from.

mod switch;

pub use switch::Switch;

use crate::net::Frame;
use std::time::Instant;

/// One way to deal with traffic.
pub trait Mode: Send {
    /// A driver has sent `frame` on `pair` of `port`.
    fn received(&mut self, port: usize, pair: usize, frame: Frame, out: &mut dyn Output);

    /// Called at each turn of the model: whenever something happened, when
    /// [`Mode::deadline`] has come, and at least ten times in a second.
    fn tick(&mut self, now: Instant, out: &mut dyn Output);

    /// When the next tick is wanted, if nothing happens before. A time that has
    /// passed means at once.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// The ways out of a mode.
pub trait Output {
    /// Gives a frame to the driver of `port`: on `pair`, unless the device's own
    /// steering decides. `false` if it was dropped: no buffers, or no driver.
    fn send(&mut self, port: usize, pair: usize, frame: Frame) -> bool;

    /// How many ports there are.
    fn ports(&self) -> usize;
}
