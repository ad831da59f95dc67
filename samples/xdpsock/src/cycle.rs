// SPDX-License-Identifier: GPL-2.0

//! Sending in a cycle (`--tx-cycle`), and how well it is kept.

use crate::clock::Clock;
use serde::Serialize;

const MICROSECOND: u64 = 1000;

/// A cycle, and by how many nanoseconds its turns were late.
#[derive(Clone, Debug, Serialize)]
pub struct Cycle {
    /// From one turn to the next, in nanoseconds.
    pub period: u64,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// In all.
    pub sum: u64,
    /// Turns.
    pub count: u64,
    #[serde(skip)]
    next: u64,
}

impl Cycle {
    /// One that begins at a whole microsecond after `now`.
    pub fn new(microseconds: u64, now: u64) -> Self {
        let period = microseconds * MICROSECOND;
        Self {
            period,
            min: crate::clock::SECOND,
            max: 0,
            sum: 0,
            count: 0,
            next: (now / MICROSECOND + 1) * MICROSECOND + period,
        }
    }

    /// Waits for the next turn; false if there shall be none, as a signal came.
    pub fn wait(&mut self, clock: Clock) -> bool {
        if clock.sleep_until(self.next).is_err() {
            return false;
        }
        self.turn(clock.now());
        true
    }

    fn turn(&mut self, now: u64) {
        let late = now.saturating_sub(self.next);
        self.min = self.min.min(late);
        self.max = self.max.max(late);
        self.sum += late;
        self.count += 1;
        self.next += self.period;
    }

    /// The mean.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_that_of_the_plan() {
        let mut cycle = Cycle::new(100, 1_234_567);
        assert_eq!(cycle.next, 1_335_000);
        cycle.turn(1_335_050);
        cycle.turn(1_435_350);
        // The plan does not move with what was late.
        assert_eq!(cycle.next, 1_535_000);
        assert_eq!((cycle.min, cycle.max, cycle.mean()), (50, 350, 200));
    }
}
