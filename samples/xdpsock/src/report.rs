// SPDX-License-Identifier: GPL-2.0

//! What is printed, and when.

mod json;
mod text;

use crate::bench::Bench;
use crate::counters::Counters;
use crate::interrupts::Interrupt;
use crate::latency::Latency;
use crate::locale::Locale;
use crate::options::Options;
use std::io::Write;
use std::time::{Duration, Instant};

/// What was printed so far.
pub struct Report<'o> {
    options: &'o Options,
    locale: Locale,
    interrupt: Option<Interrupt>,
    zero_copy: bool,
    started: Instant,
    /// When the last report was, and what it said.
    last: (Instant, Vec<Counters>),
    /// When the next one is due.
    due: Instant,
}

/// One report.
struct Moment<'b> {
    options: &'b Options,
    /// Since the one before.
    seconds: f64,
    /// What is said.
    now: &'b [Counters],
    /// What was said.
    before: &'b [Counters],
    bench: &'b Bench<'b>,
    /// Of the frames since then, or at the end, of all.
    latency: &'b Latency,
}

impl<'o> Report<'o> {
    /// Nothing yet.
    pub fn new(options: &'o Options, interrupt: Option<Interrupt>, zero_copy: bool) -> Self {
        let now = Instant::now();
        Self {
            options,
            locale: Locale::of_user(),
            interrupt,
            zero_copy,
            started: now,
            last: (now, vec![Counters::default(); options.sockets()]),
            // A number that is too large for a clock is as good as never.
            due: now + Duration::from_secs(options.interval.min(u32::MAX.into())),
        }
    }

    /// When the time of the first one began, as that of the run does.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The sockets are there.
    pub fn ready(&self, warnings: &[String]) {
        if self.options.json {
            line(&json::Ready::new(self.zero_copy, warnings));
            return;
        }
        for warning in warnings {
            eprintln!("xdpsock: {warning}");
        }
    }

    fn counters(&self, bench: &Bench<'_>) -> Vec<Counters> {
        let interrupts = self.interrupt.as_ref().and_then(Interrupt::count);
        let wants_kernel = self.options.extra_stats || self.options.json;
        bench
            .bound
            .lanes
            .iter()
            .zip(&bench.rings)
            .zip(&bench.calls)
            .map(|((lane, rings), calls)| Counters {
                rings: *rings,
                calls: *calls,
                kernel: wants_kernel.then(|| lane.kernel()).flatten(),
                interrupts,
            })
            .collect()
    }

    /// Prints a report if one is due.
    pub fn tick(&mut self, bench: &mut Bench<'_>) {
        let now = Instant::now();
        if now < self.due || self.options.quiet {
            return;
        }
        let interval = Duration::from_secs(self.options.interval);
        // None that was missed is printed later.
        while self.due <= now {
            self.due += interval;
        }
        let counters = self.counters(bench);
        let (at, before) = &self.last;
        let moment = Moment {
            options: self.options,
            seconds: (now - *at).as_secs_f64(),
            now: &counters,
            before,
            bench,
            latency: &bench.checks.recent,
        };
        if self.options.json {
            line(&json::Interval::new(&moment, now - self.started));
        } else {
            print(&text::report(&moment, &self.locale));
        }
        self.last = (now, counters);
        bench.checks.recent.clear();
    }

    /// The end; whether all adds up.
    pub fn end(&mut self, bench: &mut Bench<'_>) -> bool {
        // At the end of the time, the last interval is over as well.
        self.tick(bench);
        let counters = self.counters(bench);
        let (at, before) = &self.last;
        let moment = Moment {
            options: self.options,
            seconds: at.elapsed().as_secs_f64(),
            now: &counters,
            before,
            bench,
            latency: &bench.checks.latency,
        };
        if self.options.json {
            line(&json::End::new(
                &moment,
                self.started.elapsed(),
                self.zero_copy,
            ));
        } else {
            print(&text::report(&moment, &self.locale));
            print(&text::end(&moment, &self.locale));
        }
        bench.checks.wrong == 0 && bench.completed == bench.tx && bench.bound.frames.add_up()
    }
}

fn line<T: serde::Serialize>(what: &T) {
    if let Ok(text) = serde_json::to_string(what) {
        print(&format!("{text}\n"));
    }
}

/// Who reads it waits for it; if nobody does any more, that is no reason to end.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
