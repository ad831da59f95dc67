// SPDX-License-Identifier: GPL-2.0

//! What happens to the frames that drivers send, and where others come from.
//!
//! | module | holds |
//! | --- | --- |
//! | [`scene`] | all of it together: forwarding, generators, captures, counters |
//! | [`switch`], [`reflect`] | ways of forwarding; *loop* is a switch to the sender, *sink* is none |
//! | [`generator`], [`template`] | frames that the model makes |
//! | [`observe`], [`content`] | what a frame says, verified |
//! | [`capture`] | frames into files |
//! | [`packet`] | headers and checksums |

pub mod capture;
pub mod content;
pub mod generator;
pub mod observe;
pub mod packet;
pub mod reflect;
pub mod scene;
pub mod switch;
pub mod template;
#[cfg(test)]
pub(crate) mod testing;

pub use crate::net::{Frame, Header, Refused};
pub use scene::{Forwarding, Scene, SharedScene};

use std::time::Instant;
use virtio_net_wire::Features;

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
    /// How many ports there are.
    fn ports(&self) -> usize;

    /// What the driver of `port` takes now: `GUEST_CSUM`, `GUEST_TSO4`, ….
    fn offloads(&self, port: usize) -> Features;

    /// Gives a frame to the driver of `port`: on `pair`, unless the device's own
    /// steering decides. A frame that the port's filter keeps away is taken.
    ///
    /// # Errors
    ///
    /// [`Refused`]; only [`Refused::NoBuffers`] may be tried again.
    fn send(&mut self, port: usize, pair: usize, frame: &Frame) -> Result<(), Refused>;
}
