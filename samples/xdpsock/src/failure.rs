// SPDX-License-Identifier: GPL-2.0

//! What did not work, why, and what to do about it.

use std::fmt;
use std::io;

/// What did not work.
#[derive(Debug)]
pub struct Failure {
    what: String,
    why: Option<io::Error>,
    advice: Vec<String>,
}

impl Failure {
    /// That it has this reason.
    pub fn new(what: impl Into<String>, why: io::Error) -> Self {
        Self {
            what: what.into(),
            why: Some(why),
            advice: Vec::new(),
        }
    }

    /// That nothing else is known of.
    pub fn plain(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: None,
            advice: Vec::new(),
        }
    }

    /// What may be done about it.
    pub fn advise(mut self, advice: impl IntoIterator<Item = String>) -> Self {
        self.advice.extend(advice);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        self.advice
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// A failure of something.
pub fn failed(what: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |why| Failure::new(what, why)
}

/// The crate of sockets says errors by words; the number is what the system call left.
pub fn refused<E>(what: &str) -> impl Fn(E) -> Failure + '_ {
    move |_| Failure::new(what, io::Error::last_os_error())
}
