// SPDX-License-Identifier: GPL-2.0

//! What the two ends say to each other: one datagram for a question, one for its answer. A
//! question that is repeated, as its answer was lost, is not carried out twice.

use crate::frames::{Mac, Plan};
use crate::tally::Tally;
use serde::{Deserialize, Serialize};

/// The port of the far end.
pub const PORT: u16 = 20825;
/// Both ends speak the same.
pub const VERSION: u32 = 1;
/// More bytes are in no datagram.
pub const LONGEST: usize = 8192;
/// How many frames may be asked for at once.
pub const MOST: u32 = 4096;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its number: another one for each.
    pub id: u64,
    /// What is asked for.
    pub what: What,
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Who the far end is.
    Hello,
    /// That it sends frames.
    Send {
        /// To whom.
        to: Mac,
        /// Which.
        plan: Plan,
    },
    /// What has arrived there of a test.
    Report {
        /// The test.
        test: u32,
    },
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's number.
    pub id: u64,
    /// What was found, or why not.
    pub result: Result<Found, String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// The far end.
    Hello(Hello),
    /// So many frames were sent.
    Sent(u32),
    /// What has arrived.
    Tally(Tally),
}

/// Who the far end is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `VERSION` there.
    pub version: u32,
    /// Its interface.
    pub interface: String,
    /// That one's address.
    pub mac: Mac,
    /// And MTU.
    pub mtu: u32,
}

/// Whether a plan can be carried out.
pub fn check(plan: &Plan, mtu: u32) -> Result<(), String> {
    let room = mtu as usize + 14;
    if plan.count > MOST {
        return Err(format!("{} frames are too many", plan.count));
    }
    if plan.longest > room {
        return Err(format!("{} bytes are too long for MTU {mtu}", plan.longest));
    }
    if u64::from(plan.count) * plan.gap > 10_000_000 {
        return Err("that takes too long".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_survive_the_way() {
        let question = Question {
            id: 5,
            what: What::Send {
                to: [1, 2, 3, 4, 5, 6],
                plan: Plan::new(9, 64, 1514),
            },
        };
        let bytes = serde_json::to_vec(&question).unwrap();
        assert!(bytes.len() < LONGEST);
        assert_eq!(
            serde_json::from_slice::<Question>(&bytes).unwrap(),
            question
        );
        assert!(serde_json::from_slice::<Question>(&bytes[1..]).is_err());
    }

    #[test]
    fn plans_have_bounds() {
        let plan = Plan::new(1, 64, 1514);
        assert_eq!(check(&plan, 1500), Ok(()));
        assert!(check(&plan, 1499).is_err());
        assert!(check(&Plan::new(1, MOST + 1, 100), 1500).is_err());
        let slow = Plan {
            gap: 1_000_000,
            ..plan
        };
        assert!(check(&slow, 1500).is_err());
    }
}
