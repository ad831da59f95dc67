// SPDX-License-Identifier: GPL-2.0

//! Commands of the control queue and their acknowledgement (section 5.1.6.5).
//!
//! A command is a type. It knows which features it needs, so that a driver can
//! refuse to send what the device does not know, and writes its own payload.
//!
//! ```
//! use virtio_net_wire::ctrl::{Ack, Command, SetQueuePairs};
//!
//! let command = SetQueuePairs::new(4).ok_or("not a number of queue pairs")?;
//! let mut payload = [0; 2];
//! assert_eq!(command.header(), [4, 0]);
//! assert_eq!(command.write(&mut payload), Some(2));
//! assert_eq!(payload, [4, 0]);
//! assert_eq!(Ack::from(0), Ack::Ok);
//! # Ok::<(), &'static str>(())
//! ```

use crate::config::QUEUE_PAIRS;
use crate::features::Features;

mod coalesce;
mod filter;
mod offload;
#[cfg(any(test, feature = "device"))]
pub mod request;
mod rss;
mod stats;

pub use coalesce::{Coalesce, SetQueueCoalesce, SetRxCoalesce, SetTxCoalesce};
pub use filter::{AddVlan, DelVlan, MacTable, RxMode, SetMac, SetRxMode, VlanId};
pub use offload::{GuestOffloads, SetGuestOffloads};
pub use rss::{SetHash, SetRss};
pub use stats::{GetStats, QueryStats};

/// A command: a class, a number in that class, and a payload.
pub trait Command {
    /// The class.
    const CLASS: u8;

    /// The features with all of which the command exists.
    const REQUIRES: Features;

    /// The number in the class.
    fn command(&self) -> u8;

    /// Length of the payload, in bytes.
    fn payload_len(&self) -> usize;

    /// Length of the payload's first part, in bytes, where it has two: a legacy device
    /// without [`Features::ANY_LAYOUT`] wants each in a descriptor of its own.
    fn first_len(&self) -> usize {
        self.payload_len()
    }

    /// Writes the payload to the beginning of `out` and returns its length;
    /// `None` if `out` is shorter than [`Command::payload_len`].
    fn write(&self, out: &mut [u8]) -> Option<usize>;

    /// What goes before the payload. A legacy device without
    /// [`Features::ANY_LAYOUT`] wants it in a descriptor of its own.
    fn header(&self) -> [u8; 2] {
        [Self::CLASS, self.command()]
    }

    /// Whether the negotiated features have the command.
    fn is_allowed_by(&self, negotiated: Features) -> bool {
        negotiated.contains(Self::REQUIRES)
    }
}

/// A command that the negotiated features have: what is sent is made from this only.
#[derive(Clone, Copy, Debug)]
pub struct Permitted<'a, C>(&'a C);

impl<'a, C: Command> Permitted<'a, C> {
    /// `None` if the negotiated features do not have the command.
    pub fn new(command: &'a C, negotiated: Features) -> Option<Self> {
        command.is_allowed_by(negotiated).then_some(Self(command))
    }

    /// The command.
    pub fn command(self) -> &'a C {
        self.0
    }
}

/// What the device answered, in one byte after the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Done.
    Ok,
    /// Refused.
    Err,
    /// Neither, such as [`Ack::UNSET`].
    Other(u8),
}

impl Ack {
    /// What a driver puts there first, to notice a device that answers nothing.
    pub const UNSET: u8 = 0xff;
}

impl From<u8> for Ack {
    fn from(ack: u8) -> Self {
        match ack {
            0 => Self::Ok,
            1 => Self::Err,
            other => Self::Other(other),
        }
    }
}

/// `VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET`: use this many queue pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetQueuePairs(u16);

impl SetQueuePairs {
    /// `None` if the number is not of [`QUEUE_PAIRS`].
    pub fn new(queue_pairs: u16) -> Option<Self> {
        QUEUE_PAIRS
            .contains(&queue_pairs)
            .then_some(Self(queue_pairs))
    }
}

impl Command for SetQueuePairs {
    const CLASS: u8 = 4;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::MQ);

    fn command(&self) -> u8 {
        0
    }

    fn payload_len(&self) -> usize {
        2
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(out, &[&self.0.to_le_bytes()])
    }
}

/// `VIRTIO_NET_CTRL_ANNOUNCE_ACK`: the announcement that the device asked for by
/// [`crate::config::Status::ANNOUNCE`] has been seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckAnnounce;

impl Command for AckAnnounce {
    const CLASS: u8 = 3;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::GUEST_ANNOUNCE);

    fn command(&self) -> u8 {
        0
    }

    fn payload_len(&self) -> usize {
        0
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(out, &[])
    }
}

/// Writes `parts` one after the other and returns their whole length.
fn write_parts(out: &mut [u8], parts: &[&[u8]]) -> Option<usize> {
    let (mut rest, mut len) = (out, 0usize);
    for part in parts {
        let (head, tail) = rest.split_at_mut_checked(part.len())?;
        head.copy_from_slice(part);
        rest = tail;
        len = len.checked_add(part.len())?;
    }
    Some(len)
}

#[cfg(test)]
mod tests;
