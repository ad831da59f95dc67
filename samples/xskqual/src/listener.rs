// SPDX-License-Identifier: GPL-2.0

//! What the stack of one end gets of the tests' frames.

use crate::frames::{self, Mac};
use crate::packet::{self, Packet};
use crate::tally::Tally;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

/// Tests whose counts are kept.
const TESTS: usize = 32;

/// Counts frames by test.
pub struct Listener {
    /// The socket, which can send too.
    pub packet: Packet,
    own: Mac,
    tallies: BTreeMap<u32, Tally>,
}

impl Listener {
    /// Of an interface, whose address is that of no frame that it receives.
    pub fn new(ifindex: u32, own: Mac) -> io::Result<Self> {
        Ok(Self {
            packet: Packet::open(ifindex)?,
            own,
            tallies: BTreeMap::new(),
        })
    }

    /// Counts all that is there.
    pub fn drain(&mut self) -> io::Result<()> {
        while let Some(received) = self.packet.receive()? {
            let Some(found) = frames::parse(&received.bytes) else {
                continue;
            };
            // What is flooded comes back sometimes.
            if found.from == self.own {
                continue;
            }
            if self.tallies.len() >= TESTS && !self.tallies.contains_key(&found.test) {
                self.tallies.pop_first();
            }
            self.tallies.entry(found.test).or_default().count(
                &found,
                received.is_partial,
                received.time,
            );
        }
        Ok(())
    }

    /// What has come of a test by now.
    pub fn tally(&mut self, test: u32) -> io::Result<Tally> {
        self.drain()?;
        Ok(self.tallies.get(&test).cloned().unwrap_or_default())
    }

    /// Waits until all frames of a test have come, and a little longer for those that should not,
    /// or until it is too late.
    pub fn wait(&mut self, test: u32, count: u32, patience: Duration) -> io::Result<Tally> {
        let end = Instant::now() + patience;
        while self.tally(test)?.intact < count && Instant::now() < end {
            packet::wait(&[self.packet.raw()], libc::POLLIN, 20)?;
        }
        std::thread::sleep(Duration::from_millis(20));
        self.tally(test)
    }
}
