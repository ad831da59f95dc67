// SPDX-License-Identifier: GPL-2.0

//! A driver's side of a ring, small and simple, for tests.

use super::Layout;
use crate::memory::Memory;

/// Where the parts of the ring are.
const DESC: u64 = 0x1000;
const DRIVER: u64 = 0x5000;
const DEVICE: u64 = 0x6000;

/// A buffer: address, length, whether the device writes it.
pub(crate) type Buffer = (u64, u32, bool);

pub(crate) struct Driver {
    pub(crate) layout: Layout,
    next: u16,
    wrap: bool,
    seen: u16,
    seen_wrap: bool,
    /// Slots of the outstanding chains, by id.
    slots: Vec<u16>,
}

impl Driver {
    pub(crate) fn new(size: u16, packed: bool) -> Self {
        Self {
            layout: Layout {
                size,
                desc: DESC,
                driver: DRIVER,
                device: DEVICE,
                packed,
                event_idx: false,
                indirect: true,
                in_order: false,
            },
            next: 0,
            wrap: true,
            seen: 0,
            seen_wrap: true,
            slots: vec![0; size.into()],
        }
    }

    /// Guest memory that the ring and some buffers are in.
    pub(crate) fn memory() -> Memory {
        Memory::anonymous(0, 0x20_0000).expect("memory")
    }

    /// The ring moved, for a second queue in the same memory.
    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.layout.desc += offset;
        self.layout.driver += offset;
        self.layout.device += offset;
        self
    }

    pub(crate) fn put_desc(
        memory: &Memory,
        at: u64,
        (addr, len, _): Buffer,
        third: u16,
        fourth: u16,
    ) {
        memory.write(at, &addr.to_le_bytes()).expect("memory");
        memory.write(at + 8, &len.to_le_bytes()).expect("memory");
        memory.write(at + 12, &third.to_le_bytes()).expect("memory");
        memory
            .write(at + 14, &fourth.to_le_bytes())
            .expect("memory");
    }

    /// Makes a chain available and returns its id.
    pub(crate) fn add(&mut self, memory: &Memory, buffers: &[Buffer]) -> u16 {
        let (size, desc) = (self.layout.size, self.layout.desc);
        let head = self.next % size;
        let mut head_flags = 0;
        for (index, buffer) in buffers.iter().enumerate() {
            let slot = self.next % size;
            let more = index + 1 < buffers.len();
            let mut flags = u16::from(more) | (u16::from(buffer.2) << 1);
            let at = desc + 16 * u64::from(slot);
            if self.layout.packed {
                flags |= (u16::from(self.wrap) << 7) | (u16::from(!self.wrap) << 15);
                if index == 0 {
                    // The head becomes visible last.
                    head_flags = flags;
                    let old = memory.load_u16(at + 14).expect("memory");
                    Self::put_desc(memory, at, *buffer, head, old);
                } else {
                    Self::put_desc(memory, at, *buffer, head, flags);
                }
                self.next = (self.next + 1) % size;
                self.wrap ^= self.next == 0;
            } else {
                Self::put_desc(memory, at, *buffer, flags, (slot + 1) % size);
                self.next = self.next.wrapping_add(1);
            }
        }
        self.slots[usize::from(head)] = buffers.len() as u16;
        if self.layout.packed {
            let at = desc + 16 * u64::from(head) + 14;
            memory.store_u16(at, head_flags).expect("memory");
        } else {
            self.offer(memory, head);
        }
        head
    }

    /// Puts a head into a split ring's available ring.
    pub(crate) fn offer(&self, memory: &Memory, head: u16) {
        let index = memory.load_u16(self.layout.driver + 2).expect("memory");
        let slot = u64::from(index % self.layout.size);
        let at = self.layout.driver + 4 + 2 * slot;
        memory.store_u16(at, head).expect("memory");
        let index = index.wrapping_add(1);
        memory
            .store_u16(self.layout.driver + 2, index)
            .expect("memory");
    }

    /// The next used chain: id and length.
    pub(crate) fn used(&mut self, memory: &Memory) -> Option<(u16, u32)> {
        let mut entry = [0; 8];
        if self.layout.packed {
            let at = self.layout.desc + 16 * u64::from(self.seen);
            let flags = memory.load_u16(at + 14).expect("memory");
            let (avail, used) = ((flags >> 7) & 1 == 1, flags >> 15 == 1);
            if avail != used || used != self.seen_wrap {
                return None;
            }
            memory.read(at + 8, &mut entry).expect("memory");
            let id = u16::from_le_bytes([entry[4], entry[5]]);
            let next = self.seen + self.slots[usize::from(id % self.layout.size)];
            self.seen = next % self.layout.size;
            self.seen_wrap ^= next >= self.layout.size;
            return Some((
                id,
                u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]),
            ));
        }
        let index = memory.load_u16(self.layout.device + 2).expect("memory");
        if index == self.seen {
            return None;
        }
        let at = self.layout.device + 4 + 8 * u64::from(self.seen % self.layout.size);
        memory.read(at, &mut entry).expect("memory");
        self.seen = self.seen.wrapping_add(1);
        let id = u16::from_le_bytes([entry[0], entry[1]]);
        Some((
            id,
            u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]),
        ))
    }

    /// Wants an interrupt when the device passes the next chain but `after`.
    pub(crate) fn want_interrupt(&self, memory: &Memory, after: u16) {
        if self.layout.packed {
            let slot = self.seen + after;
            let wrap = self.seen_wrap ^ (slot >= self.layout.size);
            let event = (slot % self.layout.size) | (u16::from(wrap) << 15);
            memory.store_u16(self.layout.driver, event).expect("memory");
            memory.store_u16(self.layout.driver + 2, 2).expect("memory");
        } else {
            let at = self.layout.driver + 4 + 2 * u64::from(self.layout.size);
            let event = self.seen.wrapping_add(after);
            memory.store_u16(at, event).expect("memory");
        }
    }

    /// Wants no interrupt at all (without event indices).
    pub(crate) fn want_none(&self, memory: &Memory) {
        let at = self.layout.driver + if self.layout.packed { 2 } else { 0 };
        memory.store_u16(at, 1).expect("memory");
    }
}
