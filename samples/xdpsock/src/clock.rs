// SPDX-License-Identifier: GPL-2.0

//! The clocks.

use clap::ValueEnum;
use std::io;

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// A clock of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Clock {
    /// Time of day.
    Realtime,
    /// The same without leap seconds.
    Tai,
    /// Since the start of the machine.
    Boottime,
    /// The same without suspend.
    Monotonic,
}

impl Clock {
    fn id(self) -> libc::clockid_t {
        match self {
            Self::Realtime => libc::CLOCK_REALTIME,
            Self::Tai => libc::CLOCK_TAI,
            Self::Boottime => libc::CLOCK_BOOTTIME,
            Self::Monotonic => libc::CLOCK_MONOTONIC,
        }
    }

    /// Its nanoseconds.
    pub fn now(self) -> u64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: One structure, which is valid.
        unsafe { libc::clock_gettime(self.id(), &mut time) };
        time.tv_sec as u64 * SECOND + time.tv_nsec as u64
    }

    /// Sleeps until its nanoseconds are these, or a signal comes (`Interrupted`).
    pub fn sleep_until(self, at: u64) -> io::Result<()> {
        let time = libc::timespec {
            tv_sec: (at / SECOND) as libc::time_t,
            tv_nsec: (at % SECOND) as libc::c_long,
        };
        // SAFETY: One structure, which is valid; no rest is asked for.
        match unsafe {
            libc::clock_nanosleep(self.id(), libc::TIMER_ABSTIME, &time, std::ptr::null_mut())
        } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}
