// SPDX-License-Identifier: GPL-2.0

//! Packed virtqueues (section 2.8).

use super::split::{flag, passed, read_desc, table_entries, DESC_LEN};
use super::{Chain, Layout, Ring, RingError, Used};
use crate::memory::Memory;
use std::sync::atomic::{fence, Ordering};

const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;

/// Values of the flags in an event suppression area.
mod event {
    pub(super) const ENABLE: u16 = 0;
    pub(super) const DISABLE: u16 = 1;
    pub(super) const DESC: u16 = 2;
}

/// A place in the ring, and how often it was passed, modulo two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    slot: u16,
    wrap: bool,
}

impl Position {
    const START: Self = Self {
        slot: 0,
        wrap: true,
    };

    fn advance(&mut self, by: u16, size: u16) {
        let slot = u32::from(self.slot) + u32::from(by);
        let laps = slot / u32::from(size);
        self.slot = (slot % u32::from(size)) as u16;
        self.wrap ^= laps % 2 == 1;
    }

    /// As event suppression areas and vhost-user have it.
    fn to_bits(self) -> u16 {
        self.slot | (u16::from(self.wrap) << 15)
    }

    fn from_bits(bits: u16, size: u16) -> Self {
        Self {
            slot: (bits & 0x7fff) % size,
            wrap: bits >> 15 == 1,
        }
    }
}

/// A packed virtqueue.
pub struct Packed {
    layout: Layout,
    available: Position,
    used: Position,
    /// `used` when the driver was last considered for an interrupt.
    signalled: Position,
}

impl Packed {
    /// Opens the ring; reads nothing yet.
    ///
    /// # Errors
    ///
    /// [`RingError`] for a bad size, alignment, or memory that is not there.
    pub fn new(memory: &Memory, layout: Layout) -> Result<Self, RingError> {
        if !(1..=32768).contains(&layout.size) {
            return Err(RingError::Size(layout.size));
        }
        if layout.desc % 16 != 0 || layout.driver % 4 != 0 || layout.device % 4 != 0 {
            return Err(RingError::Address);
        }
        memory.check(layout.desc, u64::from(layout.size) * DESC_LEN, true)?;
        memory.check(layout.driver, 4, false)?;
        memory.check(layout.device, 4, true)?;
        Ok(Self {
            layout,
            available: Position::START,
            used: Position::START,
            signalled: Position::START,
        })
    }

    fn slot_address(&self, slot: u16) -> u64 {
        self.layout.desc + u64::from(slot) * DESC_LEN
    }

    fn is_available(&self, memory: &Memory) -> Result<bool, RingError> {
        let flags = memory.load_u16(self.slot_address(self.available.slot) + 14)?;
        let wrap = self.available.wrap;
        Ok((flags & AVAIL != 0) == wrap && (flags & USED != 0) != wrap)
    }

    fn follow_table(
        &self,
        memory: &Memory,
        table: u64,
        len: u32,
        chain: &mut Chain,
    ) -> Result<(), RingError> {
        let entries = table_entries(len).ok_or(RingError::Indirect)?;
        table
            .checked_add(u64::from(len))
            .ok_or(RingError::Address)?;
        for entry in 0..u64::from(entries) {
            let (addr, len, _, flags) = read_desc(memory, table + entry * DESC_LEN)?;
            if flags & flag::INDIRECT != 0 {
                return Err(RingError::Indirect);
            }
            chain.add(addr, len, flags & flag::WRITE != 0)?;
        }
        Ok(())
    }

    fn used_flags(wrap: bool) -> u16 {
        if wrap {
            AVAIL | USED
        } else {
            0
        }
    }
}

impl Ring for Packed {
    fn pop_chain(&mut self, memory: &Memory) -> Result<Option<Chain>, RingError> {
        if !self.is_available(memory)? {
            return Ok(None);
        }
        let mut chain = Chain::default();
        let mut at = self.available;
        loop {
            if chain.slots == self.layout.size {
                return Err(RingError::Loop);
            }
            let (addr, len, id, flags) = read_desc(memory, self.slot_address(at.slot))?;
            // The id that counts is that of the last descriptor.
            (chain.id, chain.slots) = (id, chain.slots + 1);
            at.advance(1, self.layout.size);
            if flags & flag::INDIRECT != 0 {
                let single = chain.slots == 1 && flags & flag::NEXT == 0;
                if !self.layout.indirect || !single {
                    return Err(RingError::Indirect);
                }
                self.follow_table(memory, addr, len, &mut chain)?;
                break;
            }
            chain.add(addr, len, flags & flag::WRITE != 0)?;
            if flags & flag::NEXT == 0 {
                break;
            }
        }
        self.available = at;
        Ok(Some(chain))
    }

    fn push_used(&mut self, memory: &Memory, used: &[Used]) -> Result<(), RingError> {
        let batch = super::batch(&self.layout, used);
        let mut first = None;
        for used in batch.as_ref().map_or(used, std::slice::from_ref) {
            let address = self.slot_address(self.used.slot);
            let mut entry = [0; 6];
            entry[..4].copy_from_slice(&used.len.to_le_bytes());
            entry[4..].copy_from_slice(&used.id.to_le_bytes());
            memory.write(address + 8, &entry)?;
            let written = if used.len > 0 { flag::WRITE } else { 0 };
            let flags = Self::used_flags(self.used.wrap) | written;
            // The first one's flags come last: they let the driver see all.
            match first {
                None => first = Some((address, flags)),
                Some(_) => memory.store_u16(address + 14, flags)?,
            }
            self.used.advance(used.slots, self.layout.size);
        }
        if let Some((address, flags)) = first {
            memory.store_u16(address + 14, flags)?;
        }
        Ok(())
    }

    fn needs_interrupt(&mut self, memory: &Memory) -> Result<bool, RingError> {
        fence(Ordering::SeqCst);
        let old = std::mem::replace(&mut self.signalled, self.used);
        let new = self.used;
        if old == new {
            return Ok(false);
        }
        let flags = memory.load_u16(self.layout.driver + 2)?;
        if flags != event::DESC || !self.layout.event_idx {
            return Ok(flags != event::DISABLE);
        }
        let wanted = Position::from_bits(memory.load_u16(self.layout.driver)?, self.layout.size);
        // All three counted from the lap that `new` is in.
        let lap = |position: Position| {
            let size = if position.wrap == new.wrap {
                0
            } else {
                self.layout.size
            };
            position.slot.wrapping_sub(size)
        };
        Ok(passed(lap(wanted), new.slot, lap(old)))
    }

    fn enable_notifications(&mut self, memory: &Memory) -> Result<bool, RingError> {
        if self.layout.event_idx {
            memory.store_u16(self.layout.device, self.available.to_bits())?;
            memory.store_u16(self.layout.device + 2, event::DESC)?;
        } else {
            memory.store_u16(self.layout.device + 2, event::ENABLE)?;
        }
        fence(Ordering::SeqCst);
        self.is_available(memory)
    }

    fn disable_notifications(&mut self, memory: &Memory) -> Result<(), RingError> {
        Ok(memory.store_u16(self.layout.device + 2, event::DISABLE)?)
    }

    fn jump_used(&mut self, memory: &Memory, by: u16) -> Result<(), RingError> {
        for _ in 0..by.min(self.layout.size) {
            let flags = Self::used_flags(self.used.wrap);
            memory.store_u16(self.slot_address(self.used.slot) + 14, flags)?;
            self.used.advance(1, self.layout.size);
        }
        Ok(())
    }

    fn position(&self) -> (u16, u16) {
        (self.available.to_bits(), self.used.to_bits())
    }

    fn set_position(&mut self, available: u16, used: u16) {
        self.available = Position::from_bits(available, self.layout.size);
        self.used = Position::from_bits(used, self.layout.size);
        self.signalled = self.used;
    }
}
