// SPDX-License-Identifier: GPL-2.0

//! From a claim and what was measured to a verdict, as KTAP.

use std::fmt;

/// What a device says of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It has it.
    Made,
    /// It does not say so.
    NotMade,
}

impl Claim {
    /// Made, or not.
    pub fn when(is_made: bool) -> Self {
        if is_made {
            Self::Made
        } else {
            Self::NotMade
        }
    }
}

/// What a test has found, with a reason of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The feature works.
    Works(String),
    /// It does not.
    Fails(String),
    /// Nobody knows.
    Unknown(String),
}

impl Measured {
    /// By what was wrong, if anything.
    pub fn of(result: Result<String, String>) -> Self {
        match result {
            Ok(how) => Self::Works(how),
            Err(why) => Self::Fails(why),
        }
    }
}

/// A line of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The test's name.
    pub name: String,
    /// Whether the claim holds, as far as anybody knows.
    pub holds: bool,
    /// Whether there was nothing to hold, or nothing was measured.
    pub is_skipped: bool,
    /// Whether there is a claim of which nothing was measured.
    pub is_open: bool,
    /// Why.
    pub reason: String,
}

impl Verdict {
    /// Only a claim that is made can be false. A feature that works without a claim is worth a
    /// word, and no more: users who ask first will not use it, and nobody is told wrong things.
    pub fn new(name: &str, claim: Claim, measured: Measured) -> Self {
        let is_open = claim == Claim::Made && matches!(measured, Measured::Unknown(_));
        let (holds, is_skipped, reason) = match (claim, measured) {
            (Claim::Made, Measured::Works(how)) => (true, false, format!("claimed, works: {how}")),
            (Claim::Made, Measured::Fails(why)) => (false, false, format!("claimed, fails: {why}")),
            (Claim::Made, Measured::Unknown(why)) => {
                (true, true, format!("claimed, not measured: {why}"))
            }
            (Claim::NotMade, Measured::Works(how)) => {
                (true, false, format!("works, not claimed: {how}"))
            }
            (Claim::NotMade, Measured::Fails(why) | Measured::Unknown(why)) => {
                (true, true, format!("not claimed: {why}"))
            }
        };
        Self {
            name: name.into(),
            holds,
            is_skipped,
            is_open,
            // One line, without what begins a directive.
            reason: reason.replace(['\n', '#'], " "),
        }
    }

    /// The line of a test with a number.
    pub fn line(&self, number: usize) -> impl fmt::Display + '_ {
        let word = if self.holds { "ok" } else { "not ok" };
        let mark = if self.is_skipped { "SKIP " } else { "" };
        format!("{word} {number} {} # {mark}{}", self.name, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(claim: Claim, measured: Measured) -> String {
        Verdict::new("a.b", claim, measured).line(3).to_string()
    }

    #[test]
    fn all_pairs() {
        let works = Measured::Works("yes".into());
        let fails = Measured::Fails("no".into());
        let unknown = Measured::Unknown("dark".into());
        assert_eq!(
            line(Claim::Made, works.clone()),
            "ok 3 a.b # claimed, works: yes"
        );
        assert_eq!(
            line(Claim::Made, fails.clone()),
            "not ok 3 a.b # claimed, fails: no"
        );
        assert_eq!(
            line(Claim::Made, unknown.clone()),
            "ok 3 a.b # SKIP claimed, not measured: dark"
        );
        assert_eq!(
            line(Claim::NotMade, works),
            "ok 3 a.b # works, not claimed: yes"
        );
        assert_eq!(
            line(Claim::NotMade, fails),
            "ok 3 a.b # SKIP not claimed: no"
        );
        assert_eq!(
            line(Claim::NotMade, unknown),
            "ok 3 a.b # SKIP not claimed: dark"
        );
    }

    #[test]
    fn only_a_claim_can_be_false() {
        for (claim, measured, holds) in [
            (Claim::Made, Measured::Fails(String::new()), false),
            (Claim::NotMade, Measured::Fails(String::new()), true),
            (Claim::Made, Measured::Unknown(String::new()), true),
        ] {
            let is_open = measured == Measured::Unknown(String::new());
            let verdict = Verdict::new("x", claim, measured);
            assert_eq!((verdict.holds, verdict.is_open), (holds, is_open));
        }
    }

    #[test]
    fn a_reason_is_one_line() {
        let text = line(Claim::Made, Measured::Fails("a\nb # SKIP c".into()));
        assert_eq!(text, "not ok 3 a.b # claimed, fails: a b   SKIP c");
    }
}
