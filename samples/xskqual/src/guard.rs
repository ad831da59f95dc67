// SPDX-License-Identifier: GPL-2.0

//! Bounds of a run. All that it does to an interface is by links and sockets, which the kernel ends with
//! the process: so that ending at once, by a signal or by this guard, leaves nothing behind.

use std::io::{self, Write};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Not even a verdict.
pub const TROUBLE: i32 = 2;
const INTERRUPTED: libc::c_int = 130;

extern "C" fn interrupted(_: libc::c_int) {
    let text = b"Bail out! interrupted\n";
    // SAFETY: Both are allowed in a handler; `text` is valid.
    unsafe {
        libc::write(1, text.as_ptr().cast(), text.len());
        libc::_exit(INTERRUPTED);
    }
}

/// Has signals that end the process say so.
pub fn on_signals() {
    let handler: extern "C" fn(libc::c_int) = interrupted;
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: The handler only does what handlers may.
        unsafe { libc::signal(number, handler as libc::sighandler_t) };
    }
}

/// Ends the process if a step takes too long.
pub struct Guard {
    steps: Sender<Option<(String, Duration)>>,
}

impl Guard {
    /// One that watches nothing yet.
    pub fn new() -> Self {
        let (steps, told) = mpsc::channel::<Option<(String, Duration)>>();
        thread::spawn(move || {
            let mut now: Option<(String, Duration)> = None;
            loop {
                let limit = now.as_ref().map_or(Duration::MAX, |(_, limit)| *limit);
                match told.recv_timeout(limit) {
                    Ok(step) => now = step,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let (name, limit) = now.unwrap_or_default();
                        let _ = writeln!(
                            io::stdout(),
                            "Bail out! {name} has not ended within {} s",
                            limit.as_secs()
                        );
                        process::exit(TROUBLE);
                    }
                }
            }
        });
        Self { steps }
    }

    /// A step begins, in place of the one before.
    pub fn step(&self, name: &str, limit: Duration) {
        let _ = self.steps.send(Some((name.into(), limit)));
    }

    /// The last one has ended.
    pub fn rest(&self) {
        let _ = self.steps.send(None);
    }
}
