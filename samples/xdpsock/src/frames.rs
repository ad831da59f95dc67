// SPDX-License-Identifier: GPL-2.0

//! Who has which chunk of the memory.

use serde::Serialize;

/// Who has a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// We.
    Us,
    /// The kernel, to receive into.
    Fill,
    /// The kernel, to send.
    Tx,
}

/// How many chunks each has.
#[derive(Serialize, Default)]
pub struct Owned {
    us: usize,
    fill: usize,
    tx: usize,
    /// Chunks that came back from who did not have them, or twice.
    misplaced: u64,
}

/// The chunks.
pub struct Frames {
    size: u64,
    owners: Vec<Owner>,
    free: Vec<u64>,
    misplaced: u64,
}

/// Of an address with an offset (unaligned chunks): where the frame is.
pub fn place(address: u64) -> u64 {
    base(address) + (address >> 48)
}

fn base(address: u64) -> u64 {
    address & ((1 << 48) - 1)
}

impl Frames {
    /// So many chunks of `size` bytes, all ours.
    pub fn new(count: u32, size: u32) -> Self {
        let size = u64::from(size);
        Self {
            size,
            owners: vec![Owner::Us; count as usize],
            free: (0..u64::from(count))
                .rev()
                .map(|index| index * size)
                .collect(),
            misplaced: 0,
        }
    }

    /// How far from the start of its chunk an address is.
    pub fn offset(&self, address: u64) -> u64 {
        place(address) - base(address) / self.size * self.size
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Gives a free one away.
    pub fn give(&mut self, to: Owner) -> Option<u64> {
        let address = self.free.pop()?;
        self.set(address, to);
        Some(address)
    }

    /// Takes back one that `from` had; it is not free yet.
    pub fn take(&mut self, address: u64, from: Owner) {
        let owner = (base(address) / self.size) as usize;
        match self.owners.get_mut(owner) {
            Some(owner) if *owner == from => *owner = Owner::Us,
            _ => self.misplaced += 1,
        }
    }

    /// Passes one on that is ours.
    pub fn set(&mut self, address: u64, to: Owner) {
        if let Some(owner) = self.owners.get_mut((base(address) / self.size) as usize) {
            *owner = to;
        }
    }

    /// One that is ours is free.
    pub fn release(&mut self, address: u64) {
        self.free.push(base(address) / self.size * self.size);
    }

    /// Who has how many.
    pub fn owned(&self) -> Owned {
        let count = |who| self.owners.iter().filter(|owner| **owner == who).count();
        Owned {
            us: count(Owner::Us),
            fill: count(Owner::Fill),
            tx: count(Owner::Tx),
            misplaced: self.misplaced,
        }
    }

    /// Whether none was misplaced, and all that are ours are free.
    pub fn add_up(&self) -> bool {
        self.misplaced == 0 && self.owned().us == self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_owner() {
        let mut frames = Frames::new(4, 2048);
        let first = frames.give(Owner::Fill).unwrap();
        let second = frames.give(Owner::Tx).unwrap();
        assert!(frames.add_up());
        // Wherever in its chunk it comes back.
        frames.take(first + 256, Owner::Fill);
        frames.release(first + 256);
        assert!(frames.add_up());
        assert_eq!(frames.free(), 3);
        assert_eq!(frames.offset(3 * 2048 + 256), 256);
        assert_eq!(frames.offset((300 << 48) | 2048), 300);
        frames.take(second, Owner::Fill);
        assert!(!frames.add_up());
    }

    #[test]
    fn an_offset_is_in_the_upper_bits() {
        assert_eq!(place((256 << 48) | 8192), 8448);
        assert_eq!(place(4096), 4096);
    }
}
