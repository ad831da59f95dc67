// SPDX-License-Identifier: GPL-2.0

//! Split virtqueues (section 2.7).

use super::{Chain, Layout, Ring, RingError, Used};
use crate::memory::{Memory, Span};
use std::sync::atomic::{fence, Ordering};

/// Descriptor flags, which packed rings share.
pub(super) mod flag {
    pub(in super::super) const NEXT: u16 = 1;
    pub(in super::super) const WRITE: u16 = 2;
    pub(in super::super) const INDIRECT: u16 = 4;
}

/// In the available ring's flags: the driver wants no interrupt.
const NO_INTERRUPT: u16 = 1;
/// In the used ring's flags: the device wants no notification.
const NO_NOTIFY: u16 = 1;
/// Bytes of a descriptor.
pub(super) const DESC_LEN: u64 = 16;
/// Most descriptors of an indirect table that are followed.
const MAX_TABLE: u32 = 32768;

/// A split virtqueue.
pub struct Split {
    layout: Layout,
    next_available: u16,
    next_used: u16,
    /// `next_used` when the driver was last considered for an interrupt.
    signalled: u16,
    /// Whether notifications are disabled, so that memory is written only on change.
    disabled: bool,
}

/// Address and length of a descriptor, and the two numbers behind: flags and next
/// in a split ring, id and flags in a packed one.
pub(super) type Desc = (u64, u32, u16, u16);

pub(super) fn read_desc(memory: &Memory, address: u64) -> Result<Desc, RingError> {
    let mut raw = [0; DESC_LEN as usize];
    memory.read(address, &mut raw)?;
    let [a0, a1, a2, a3, a4, a5, a6, a7, l0, l1, l2, l3, f0, f1, n0, n1] = raw;
    Ok((
        u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
        u32::from_le_bytes([l0, l1, l2, l3]),
        u16::from_le_bytes([f0, f1]),
        u16::from_le_bytes([n0, n1]),
    ))
}

impl Chain {
    /// Appends one buffer: first all that the device reads, then all it writes.
    pub(super) fn add(&mut self, addr: u64, len: u32, write: bool) -> Result<(), RingError> {
        addr.checked_add(u64::from(len)).ok_or(RingError::Address)?;
        let span = Span { addr, len };
        if write {
            self.writable.push(span);
        } else if self.writable.is_empty() {
            self.readable.push(span);
        } else {
            return Err(RingError::Order);
        }
        Ok(())
    }
}

impl Split {
    /// Opens the ring; reads nothing yet.
    ///
    /// # Errors
    ///
    /// [`RingError`] for a bad size, alignment, or memory that is not there.
    pub fn new(memory: &Memory, layout: Layout) -> Result<Self, RingError> {
        if !layout.size.is_power_of_two() || layout.size > 32768 {
            return Err(RingError::Size(layout.size));
        }
        if layout.desc % 16 != 0 || layout.driver % 2 != 0 || layout.device % 4 != 0 {
            return Err(RingError::Address);
        }
        let size = u64::from(layout.size);
        memory.check(layout.desc, size * DESC_LEN, false)?;
        memory.check(layout.driver, 4 + size * 2 + 2, false)?;
        memory.check(layout.device, 4 + size * 8 + 2, true)?;
        Ok(Self {
            layout,
            next_available: 0,
            next_used: 0,
            signalled: 0,
            disabled: false,
        })
    }

    /// Available entries, not popped yet.
    fn pending(&self, memory: &Memory) -> Result<u16, RingError> {
        let index = memory.load_u16(self.layout.driver + 2)?;
        let pending = index.wrapping_sub(self.next_available);
        if pending > self.layout.size {
            return Err(RingError::AvailableIndex(index));
        }
        Ok(pending)
    }

    /// Follows the descriptors of one table from `head` on.
    fn follow(
        &self,
        memory: &Memory,
        table: u64,
        entries: u32,
        head: u16,
        nested: bool,
        chain: &mut Chain,
    ) -> Result<(), RingError> {
        let mut index = head;
        for _ in 0..entries {
            if u32::from(index) >= entries {
                return Err(RingError::Index(index));
            }
            let (addr, len, flags, next) = read_desc(memory, table + u64::from(index) * DESC_LEN)?;
            if flags & flag::INDIRECT != 0 {
                let allowed = self.layout.indirect && !nested && flags & flag::NEXT == 0;
                let entries = table_entries(len).filter(|_| allowed);
                let entries = entries.ok_or(RingError::Indirect)?;
                addr.checked_add(u64::from(len)).ok_or(RingError::Address)?;
                return self.follow(memory, addr, entries, 0, true, chain);
            }
            chain.add(addr, len, flags & flag::WRITE != 0)?;
            if flags & flag::NEXT == 0 {
                return Ok(());
            }
            index = next;
        }
        Err(RingError::Loop)
    }

    fn used_event(&self) -> u64 {
        self.layout.driver + 4 + u64::from(self.layout.size) * 2
    }

    fn avail_event(&self) -> u64 {
        self.layout.device + 4 + u64::from(self.layout.size) * 8
    }
}

/// How many descriptors an indirect table of `len` bytes has.
pub(super) fn table_entries(len: u32) -> Option<u32> {
    let entries = len / DESC_LEN as u32;
    (len % DESC_LEN as u32 == 0 && (1..=MAX_TABLE).contains(&entries)).then_some(entries)
}

/// Whether `event` is among the positions from `old` up to, without, `new`.
pub(super) fn passed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

impl Ring for Split {
    fn pop_chain(&mut self, memory: &Memory) -> Result<Option<Chain>, RingError> {
        if self.pending(memory)? == 0 {
            return Ok(None);
        }
        let slot = u64::from(self.next_available % self.layout.size);
        let head = memory.load_u16(self.layout.driver + 4 + slot * 2)?;
        let mut chain = Chain {
            id: head,
            slots: 1,
            ..Chain::default()
        };
        let entries = u32::from(self.layout.size);
        self.follow(memory, self.layout.desc, entries, head, false, &mut chain)?;
        self.next_available = self.next_available.wrapping_add(1);
        Ok(Some(chain))
    }

    fn push_used(&mut self, memory: &Memory, used: &[Used]) -> Result<(), RingError> {
        if used.is_empty() {
            return Ok(());
        }
        let batch = super::batch(&self.layout, used);
        let entries = batch.as_ref().map_or(used, std::slice::from_ref);
        for (index, used) in (self.next_used..=u16::MAX).chain(0..=u16::MAX).zip(entries) {
            let slot = u64::from(index % self.layout.size);
            let mut entry = [0; 8];
            entry[..4].copy_from_slice(&u32::from(used.id).to_le_bytes());
            entry[4..].copy_from_slice(&used.len.to_le_bytes());
            memory.write(self.layout.device + 4 + slot * 8, &entry)?;
        }
        self.next_used = self.next_used.wrapping_add(used.len() as u16);
        Ok(memory.store_u16(self.layout.device + 2, self.next_used)?)
    }

    fn needs_interrupt(&mut self, memory: &Memory) -> Result<bool, RingError> {
        // The used index must be seen before the driver's wish is read.
        fence(Ordering::SeqCst);
        let old = std::mem::replace(&mut self.signalled, self.next_used);
        if old == self.next_used {
            return Ok(false);
        }
        if self.layout.event_idx {
            let event = memory.load_u16(self.used_event())?;
            return Ok(passed(event, self.next_used, old));
        }
        Ok(memory.load_u16(self.layout.driver)? & NO_INTERRUPT == 0)
    }

    fn enable_notifications(&mut self, memory: &Memory) -> Result<bool, RingError> {
        if self.layout.event_idx {
            memory.store_u16(self.avail_event(), self.next_available)?;
        } else if self.disabled {
            memory.store_u16(self.layout.device, 0)?;
        }
        self.disabled = false;
        fence(Ordering::SeqCst);
        Ok(self.pending(memory)? != 0)
    }

    fn disable_notifications(&mut self, memory: &Memory) -> Result<(), RingError> {
        // With event indices, an event that stays behind disables by itself.
        if !self.layout.event_idx && !self.disabled {
            memory.store_u16(self.layout.device, NO_NOTIFY)?;
        }
        self.disabled = true;
        Ok(())
    }

    fn jump_used(&mut self, memory: &Memory, by: u16) -> Result<(), RingError> {
        self.next_used = self.next_used.wrapping_add(by);
        Ok(memory.store_u16(self.layout.device + 2, self.next_used)?)
    }

    fn position(&self) -> (u16, u16) {
        (self.next_available, self.next_used)
    }

    fn set_position(&mut self, available: u16, used: u16) {
        self.next_available = available;
        self.next_used = used;
        self.signalled = used;
    }
}
