// SPDX-License-Identifier: GPL-2.0

//! What is looked at in received frames.

use crate::clock::Clock;
use crate::content::{self, Seen};
use crate::latency::Latency;
use crate::options::Options;
use crate::{packet, stamp};
use serde::Serialize;
use std::collections::BTreeSet;
use xdpilone::xdp::XdpDesc;

/// In the options of a descriptor: the frame goes on in the next one.
pub const XDP_PKT_CONTD: u32 = 1;

/// How received frames lie in chunks.
#[derive(Serialize, Default)]
pub struct Places {
    /// Where in their chunks they begin and go on.
    offsets: BTreeSet<u64>,
    /// Bytes in a chunk when they go on in the next one.
    full: BTreeSet<u32>,
    /// The most chunks of a frame.
    most: usize,
}

/// What has come of a frame that goes on.
#[derive(Default)]
struct Begun {
    bytes: Vec<u8>,
    chunks: usize,
}

/// What was found.
pub struct Checks {
    verifies: bool,
    clock: Option<Clock>,
    /// By sockets.
    begun: Vec<Begun>,
    /// The numbers of frames with the content of their number.
    pub seen: Seen,
    /// Frames of UDP with another content.
    pub wrong: u64,
    /// Frames that are not UDP, such as those that ask for addresses.
    pub foreign: u64,
    /// Where they were.
    pub places: Places,
    /// How long they took, all of them.
    pub latency: Latency,
    /// The same since the last report.
    pub recent: Latency,
    /// Frames without a time stamp.
    pub unstamped: u64,
}

impl Checks {
    /// Nothing yet.
    pub fn new(options: &Options) -> Self {
        Self {
            verifies: options.verify,
            clock: options.latency.then_some(options.clock),
            begun: (0..options.sockets()).map(|_| Begun::default()).collect(),
            seen: Seen::default(),
            wrong: 0,
            foreign: 0,
            places: Places::default(),
            latency: Latency::new(),
            recent: Latency::new(),
            unstamped: 0,
        }
    }

    /// The time that frames which are received now have to be compared with.
    pub fn now(&self) -> u64 {
        self.clock.map_or(0, Clock::now)
    }

    /// A time that passed.
    pub fn took(&mut self, sent: u64, now: u64) {
        self.latency.see(sent, now);
        self.recent.see(sent, now);
    }

    /// Looks at what a descriptor of a socket has, `offset` bytes from the beginning of its chunk.
    pub fn see(&mut self, socket: usize, frame: &XdpDesc, offset: u64, bytes: &[u8], now: u64) {
        let goes_on = frame.options & XDP_PKT_CONTD != 0;
        let begun = &mut self.begun[socket];
        begun.chunks += 1;
        self.places.offsets.insert(offset);
        self.places.most = self.places.most.max(begun.chunks);
        if goes_on {
            self.places.full.insert(frame.len);
        }
        if !self.verifies && self.clock.is_none() {
            if !goes_on {
                begun.chunks = 0;
            }
            return;
        }
        if goes_on || begun.chunks > 1 {
            begun.bytes.extend_from_slice(bytes);
        }
        if goes_on {
            return;
        }
        let whole = std::mem::take(begun);
        self.look(
            if whole.chunks > 1 {
                &whole.bytes
            } else {
                bytes
            },
            now,
        );
    }

    fn look(&mut self, frame: &[u8], now: u64) {
        if self.verifies {
            match content::number(frame) {
                Some(number) => self.seen.see(number),
                None if packet::payload(frame).is_none() => self.foreign += 1,
                None => self.wrong += 1,
            }
        }
        if self.clock.is_some() {
            match packet::payload(frame).and_then(stamp::read) {
                Some((sent, _)) => self.took(sent, now),
                None => self.unstamped += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::options;

    fn frame(number: u64, now: u64) -> Vec<u8> {
        let options = options("-t -s 204 --verify --latency").unwrap();
        let mut frame = vec![0; options.tx_len()];
        options
            .payload()
            .write(&options.flow(), &mut frame, number, now);
        frame
    }

    fn descriptor(len: usize, goes_on: bool) -> XdpDesc {
        XdpDesc {
            addr: 256,
            len: len as u32,
            options: u32::from(goes_on),
        }
    }

    #[test]
    fn frames_of_two_sockets_do_not_mix() {
        let mut checks = Checks::new(&options("-M --verify --latency").unwrap());
        let (first, second) = (frame(1, 1000), frame(2, 2000));
        checks.see(0, &descriptor(100, true), 256, &first[..100], 5000);
        checks.see(3, &descriptor(100, true), 256, &second[..100], 5000);
        checks.see(0, &descriptor(100, false), 0, &first[100..], 5000);
        checks.see(3, &descriptor(100, false), 0, &second[100..], 5000);
        checks.see(3, &descriptor(200, false), 256, &second, 5000);
        assert_eq!(
            (checks.seen.count, checks.seen.again, checks.wrong),
            (2, 1, 0)
        );
        let summary = checks.latency.summary();
        assert_eq!((summary.count, summary.min), (3, 3000));
        assert_eq!(checks.places.most, 2);
        assert_eq!(checks.places.offsets, BTreeSet::from([0, 256]));
        assert_eq!(checks.places.full, BTreeSet::from([100]));
    }

    #[test]
    fn what_is_wrong_is_counted() {
        let mut checks = Checks::new(&options("--verify --latency").unwrap());
        let mut wrong = frame(1, 1);
        wrong[150] ^= 1;
        checks.see(0, &descriptor(wrong.len(), false), 256, &wrong, 5);
        checks.see(0, &descriptor(60, false), 256, &[0; 60], 5);
        assert_eq!((checks.wrong, checks.foreign, checks.unstamped), (1, 1, 1));
        assert_eq!(checks.seen.count, 0);
    }
}
