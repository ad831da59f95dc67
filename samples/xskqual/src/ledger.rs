// SPDX-License-Identifier: GPL-2.0

//! Who has each chunk of a socket's memory: every one has one owner, and nobody gives back what
//! he does not have.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Us,
    /// The fill ring, or the kernel that has taken it from there.
    Fill,
    /// The transmit ring, likewise.
    Transmit,
}

/// The chunks of one socket.
#[derive(Debug)]
pub struct Ledger {
    chunk: u64,
    owners: Vec<Owner>,
    /// Chunks that were given back by somebody who did not have them.
    misplaced: u32,
}

impl Ledger {
    /// So many chunks of that size, all ours.
    pub fn new(count: usize, chunk: u64) -> Self {
        Self {
            chunk,
            owners: vec![Owner::Us; count],
            misplaced: 0,
        }
    }

    fn give(&mut self, to: Owner) -> Option<u64> {
        let at = self.owners.iter().position(|owner| *owner == Owner::Us)?;
        self.owners[at] = to;
        Some(at as u64 * self.chunk)
    }

    /// Takes a chunk back; whether `from` had it.
    fn take(&mut self, address: u64, from: Owner) -> bool {
        let owner = usize::try_from(address / self.chunk)
            .ok()
            .and_then(|at| self.owners.get_mut(at));
        match owner {
            Some(owner) if *owner == from => {
                *owner = Owner::Us;
                true
            }
            _ => {
                self.misplaced += 1;
                false
            }
        }
    }

    /// A chunk for the fill ring.
    pub fn for_fill(&mut self) -> Option<u64> {
        self.give(Owner::Fill)
    }

    /// One for the transmit ring.
    pub fn for_transmit(&mut self) -> Option<u64> {
        self.give(Owner::Transmit)
    }

    /// One was received into.
    pub fn received(&mut self, address: u64) -> bool {
        self.take(address, Owner::Fill)
    }

    /// One was sent.
    pub fn completed(&mut self, address: u64) -> bool {
        self.take(address, Owner::Transmit)
    }

    fn count(&self, who: Owner) -> usize {
        self.owners.iter().filter(|owner| **owner == who).count()
    }

    /// How many the transmit ring has.
    pub fn transmitting(&self) -> usize {
        self.count(Owner::Transmit)
    }

    /// How many the fill ring has, or the kernel from there.
    pub fn filled(&self) -> usize {
        self.count(Owner::Fill)
    }

    /// Whether nothing is lost: nothing misplaced, all that was to be sent completed.
    pub fn judge(&self) -> Result<(), String> {
        match (self.misplaced, self.transmitting()) {
            (0, 0) => Ok(()),
            (0, left) => Err(format!("{left} chunks to be sent were not given back")),
            (misplaced, _) => Err(format!(
                "{misplaced} chunks were given back by who did not have them"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_go_round() {
        let mut ledger = Ledger::new(2, 4096);
        assert_eq!(ledger.for_fill(), Some(0));
        assert_eq!(ledger.for_transmit(), Some(4096));
        assert_eq!(ledger.for_fill(), None);
        assert!(ledger.judge().is_err());
        // Anywhere in the chunk.
        assert!(ledger.received(256));
        assert!(ledger.completed(4096));
        assert_eq!(ledger.judge(), Ok(()));
    }

    #[test]
    fn thieves_are_seen() {
        let mut ledger = Ledger::new(2, 4096);
        assert!(!ledger.received(0));
        assert!(!ledger.completed(1 << 40));
        let at = ledger.for_fill().unwrap();
        assert!(!ledger.completed(at));
        assert!(ledger.judge().unwrap_err().starts_with("3 chunks"));
    }
}
