// SPDX-License-Identifier: GPL-2.0

//! What has arrived of a test's frames.

use crate::frames::{Checksum, Found};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many times of arrival are kept.
const TIMES: usize = 40;

/// Counts of one test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Different frames that came unchanged.
    pub intact: u32,
    /// Frames with other bytes.
    pub changed: u32,
    /// Frames that had come before.
    pub twice: u32,
    /// Frames that came behind one with a higher number.
    pub disordered: u32,
    /// Frames with a checksum that is none.
    pub wrong_checksums: u32,
    /// Frames whose checksum is still to be completed.
    pub partial_checksums: u32,
    /// The longest one's bytes.
    pub longest: usize,
    /// Numbers and times (nanoseconds since 1970) of the first ones.
    pub times: Vec<(u32, u64)>,
    /// The frames that came.
    #[serde(skip)]
    numbers: BTreeSet<u32>,
}

impl Tally {
    /// Counts a frame. Where its checksum lies beside it (`has_partial`), the one in it may be partial.
    pub fn count(&mut self, found: &Found, has_partial: bool, time: u64) {
        match found.checksum {
            Checksum::Whole => {}
            Checksum::Partial if has_partial => self.partial_checksums += 1,
            Checksum::Partial | Checksum::Wrong => self.wrong_checksums += 1,
        }
        if !found.intact {
            self.changed += 1;
            return;
        }
        if self.numbers.last().is_some_and(|&last| last > found.number) {
            self.disordered += 1;
        }
        if !self.numbers.insert(found.number) {
            self.twice += 1;
            return;
        }
        self.intact += 1;
        self.longest = self.longest.max(found.len);
        if self.times.len() < TIMES {
            self.times.push((found.number, time));
        }
    }

    /// Whether so many came, unchanged, once each and with good checksums; or what is wrong.
    pub fn judge(&self, count: u32) -> Result<(), String> {
        let mut wrong = Vec::new();
        if self.intact != count {
            wrong.push(format!("{} of {count} frames came", self.intact));
        }
        for (number, what) in [
            (self.changed, "changed"),
            (self.twice, "twice"),
            (self.wrong_checksums, "with a wrong checksum"),
        ] {
            if number > 0 {
                wrong.push(format!("{number} {what}"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{make_partial, parse, Plan, Way};

    fn tally(numbers: &[u32]) -> Tally {
        let plan = Plan::new(1, 8, 200);
        let mut tally = Tally::default();
        for &number in numbers {
            let frame = plan.frame(number, [0; 6], [0; 6], Way::In);
            tally.count(&parse(&frame).unwrap(), false, u64::from(number));
        }
        tally
    }

    #[test]
    fn all_once_is_right() {
        assert_eq!(tally(&[0, 1, 2, 3, 4, 5, 6, 7]).judge(8), Ok(()));
        let mixed = tally(&[0, 2, 1]);
        assert_eq!(mixed.judge(3), Ok(()));
        assert_eq!(mixed.disordered, 1);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(tally(&[0, 1]).judge(3).unwrap_err(), "2 of 3 frames came");
        assert_eq!(tally(&[0, 1, 1]).judge(2).unwrap_err(), "1 twice");
    }

    #[test]
    fn partial_checksums_need_a_word() {
        let plan = Plan::new(1, 1, 200);
        let mut frame = plan.frame(0, [0; 6], [0; 6], Way::Out);
        make_partial(&mut frame);
        let found = parse(&frame).unwrap();
        let mut tally = Tally::default();
        tally.count(&found, true, 0);
        assert_eq!(tally.judge(1), Ok(()));
        let mut tally = Tally::default();
        tally.count(&found, false, 0);
        assert_eq!(tally.judge(1).unwrap_err(), "1 with a wrong checksum");
    }
}
