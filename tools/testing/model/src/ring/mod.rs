// SPDX-License-Identifier: GPL-2.0

//! The device's side of virtqueues: [`split`] and [`packed`], behind one trait.
//!
//! Everything that the driver wrote is checked before it is followed. A ring
//! that makes no sense gives a [`RingError`], after which the device asks for a
//! reset; it never panics and never loops without bound.

#[cfg(test)]
pub(crate) mod driver;
pub mod packed;
pub mod queue;
pub mod split;

use crate::memory::{Fault, Memory, Span};
use std::sync::atomic::Ordering;

pub use queue::{Coalescing, Queue};

/// A descriptor chain that the driver made available.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// What the driver knows the chain by: the head's index (split) or the
    /// buffer id (packed).
    pub id: u16,
    /// Parts that the device reads, in order.
    pub readable: Vec<Span>,
    /// Parts that the device writes, in order.
    pub writable: Vec<Span>,
    /// Slots that the chain takes in a packed ring; 1 in a split one.
    pub slots: u16,
}

impl Chain {
    /// Bytes that the device may write.
    pub fn writable_len(&self) -> u64 {
        self.writable.iter().map(|span| u64::from(span.len)).sum()
    }

    /// Bytes that the device may read.
    pub fn readable_len(&self) -> u64 {
        self.readable.iter().map(|span| u64::from(span.len)).sum()
    }

    /// Reads the whole readable part, at most `limit` bytes of it.
    ///
    /// # Errors
    ///
    /// [`RingError::Fault`] if it is not all in guest memory, unless
    /// [`Memory::holes_are_zeros`].
    pub fn read(&self, memory: &Memory, limit: usize) -> Result<Vec<u8>, RingError> {
        let mut data = Vec::new();
        for span in &self.readable {
            let old = data.len();
            let take = (span.len as usize).min(limit - old);
            // Not allocated before it is known to be memory: lengths are the driver's.
            match memory.check(span.addr, take as u64, false) {
                Err(_) if memory.holes_are_zeros => {
                    memory.holes.fetch_add(1, Ordering::Relaxed);
                    data.resize(old + take, 0);
                }
                Err(fault) => return Err(fault.into()),
                Ok(()) => {
                    data.resize(old + take, 0);
                    memory.read(span.addr, &mut data[old..])?;
                }
            }
        }
        Ok(data)
    }

    /// Writes `data` at `offset` of the writable part, and returns how many
    /// bytes there was room for.
    ///
    /// # Errors
    ///
    /// [`RingError::Fault`] if it is not all in guest memory.
    pub fn write(&self, memory: &Memory, offset: usize, data: &[u8]) -> Result<usize, RingError> {
        let (mut skip, mut done) = (offset, 0);
        for span in &self.writable {
            let len = span.len as usize;
            if skip >= len {
                skip -= len;
                continue;
            }
            let take = (len - skip).min(data.len() - done);
            if take == 0 {
                break;
            }
            let address = span
                .addr
                .checked_add(skip as u64)
                .ok_or(RingError::Address)?;
            memory.write(address, &data[done..done + take])?;
            done += take;
            skip = 0;
        }
        Ok(done)
    }
}

/// A chain that the device is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// [`Chain::id`].
    pub id: u16,
    /// Bytes that were written to it.
    pub len: u32,
    /// [`Chain::slots`].
    pub slots: u16,
}

/// In order, chains that nothing was written to can be handed back by their last
/// one alone (section 2.7.9): that entry, and the slots of all.
fn batch(layout: &Layout, used: &[Used]) -> Option<Used> {
    let (last, unwritten) = (used.last()?, used.iter().all(|used| used.len == 0));
    (layout.in_order && unwritten && used.len() > 1).then(|| Used {
        slots: used
            .iter()
            .map(|used| used.slots)
            .fold(0, u16::wrapping_add),
        ..*last
    })
}

/// What is wrong with a ring that the driver made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The ring, or a buffer, is not in guest memory.
    Fault(Fault),
    /// An address is misaligned or wraps.
    Address,
    /// Size zero, too large, or for a split ring no power of two.
    Size(u16),
    /// A descriptor index beyond the ring or table.
    Index(u16),
    /// The available index is further ahead than the ring is long.
    AvailableIndex(u16),
    /// A chain that is longer than its ring or table: a loop.
    Loop,
    /// A device-readable descriptor after a device-writable one.
    Order,
    /// An indirect table that may not be: not negotiated, nested, of odd length.
    Indirect,
    /// A chain without any byte.
    Empty,
}

impl From<Fault> for RingError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl std::fmt::Display for RingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            other => write!(f, "{other:?}"),
        }
    }
}

impl std::error::Error for RingError {}

/// Where a ring is, and what was negotiated for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Entries.
    pub size: u16,
    /// Descriptor area.
    pub desc: u64,
    /// Driver area: available ring, or driver event suppression.
    pub driver: u64,
    /// Device area: used ring, or device event suppression.
    pub device: u64,
    /// `VIRTIO_F_RING_PACKED`.
    pub packed: bool,
    /// `VIRTIO_F_RING_EVENT_IDX`.
    pub event_idx: bool,
    /// `VIRTIO_F_INDIRECT_DESC`.
    pub indirect: bool,
    /// `VIRTIO_F_IN_ORDER`: used chains are reported in batches.
    pub in_order: bool,
}

/// One virtqueue, seen by the device.
pub trait Ring: Send {
    /// The next chain that the driver made available, `None` if there is none.
    fn pop_chain(&mut self, memory: &Memory) -> Result<Option<Chain>, RingError>;

    /// Hands chains back to the driver, all at once.
    fn push_used(&mut self, memory: &Memory, used: &[Used]) -> Result<(), RingError>;

    /// Whether the driver wants an interrupt for what was pushed since it was
    /// last asked.
    fn needs_interrupt(&mut self, memory: &Memory) -> Result<bool, RingError>;

    /// Asks the driver for notifications. `true` if there is something in the
    /// ring that it may not notify of any more.
    fn enable_notifications(&mut self, memory: &Memory) -> Result<bool, RingError>;

    /// Tells the driver that no notifications are wanted.
    fn disable_notifications(&mut self, memory: &Memory) -> Result<(), RingError>;

    /// A lie: lets the driver see `by` used entries that nobody wrote.
    fn jump_used(&mut self, memory: &Memory, by: u16) -> Result<(), RingError>;

    /// Next available and next used position; for a packed ring with the wrap
    /// counter as bit 15 (what vhost-user calls the vring's base).
    fn position(&self) -> (u16, u16);

    /// Goes on at another position, before anything was popped.
    fn set_position(&mut self, available: u16, used: u16);
}

/// The ring that `layout` describes.
///
/// # Errors
///
/// [`RingError`] if size or addresses cannot be.
pub fn open(memory: &Memory, layout: Layout) -> Result<Box<dyn Ring>, RingError> {
    Ok(if layout.packed {
        Box::new(packed::Packed::new(memory, layout)?)
    } else {
        Box::new(split::Split::new(memory, layout)?)
    })
}

#[cfg(test)]
mod tests;
