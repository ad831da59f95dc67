// SPDX-License-Identifier: GPL-2.0

//! When frames were sent, as the device says it.

use serde::Serialize;

/// Of all frames; in nanoseconds of TAI.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// Frames with a time.
    pub frames: u64,
    first: u64,
    last: u64,
    /// Of a frame and the one before it: sent earlier.
    disordered: u64,
    /// Sent before the time that was asked for.
    early: u64,
    /// The longest that one was sent after that time.
    latest: u64,
}

impl Times {
    /// A frame that was sent, and the time that was asked for, or nought.
    pub fn see(&mut self, sent: u64, launch: u64) {
        if self.frames == 0 {
            self.first = sent;
        } else if sent < self.last {
            self.disordered += 1;
        }
        self.frames += 1;
        self.last = sent;
        if launch != 0 {
            self.early += u64::from(sent < launch);
            self.latest = self.latest.max(sent.saturating_sub(launch));
        }
    }

    /// What is said of them, if there are any.
    pub fn any(&self) -> Option<&Self> {
        (self.frames != 0).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_lateness_are_seen() {
        let mut times = Times::default();
        assert_eq!(times.any(), None);
        for (sent, launch) in [(100, 0), (200, 150), (190, 195), (300, 290)] {
            times.see(sent, launch);
        }
        let wanted = Times {
            frames: 4,
            first: 100,
            last: 300,
            disordered: 1,
            early: 1,
            latest: 50,
        };
        assert_eq!(times.any(), Some(&wanted));
    }
}
