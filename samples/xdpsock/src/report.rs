// SPDX-License-Identifier: GPL-2.0

//! What is printed.

use crate::bench::{Bench, Places};
use crate::frames::Owned;
use crate::options::{Mode, Options};
use serde::Serialize;
use std::io::Write;
use std::time::{Duration, Instant};

#[derive(Serialize)]
struct Ready {
    ready: bool,
    zero_copy: bool,
}

#[derive(Serialize)]
struct End<'b> {
    zero_copy: bool,
    seconds: f64,
    rx: u64,
    packets: u64,
    tx: u64,
    completed: u64,
    /// Different numbers of verified frames.
    right: usize,
    wrong: u64,
    places: &'b Places,
    frames: Owned,
    rx_dropped: u64,
    rx_ring_full: u64,
    rx_fill_ring_empty_descs: u64,
    invalid_descs: u64,
    times: Option<Times>,
}

/// When frames were sent; in nanoseconds of TAI.
#[derive(Serialize)]
struct Times {
    frames: usize,
    first: u64,
    last: u64,
    /// Of a frame and the one before it: sent earlier.
    disordered: usize,
    /// Sent before the time that was asked for.
    early: usize,
    /// The longest that one was sent after that time.
    latest: u64,
}

impl Times {
    fn new(times: &[(u64, u64)]) -> Option<Self> {
        let launched = || times.iter().filter(|(_, launch)| *launch != 0);
        Some(Self {
            frames: times.len(),
            first: times.first()?.0,
            last: times.last()?.0,
            disordered: times
                .windows(2)
                .filter(|pair| pair[1].0 < pair[0].0)
                .count(),
            early: launched().filter(|(sent, launch)| sent < launch).count(),
            latest: launched()
                .map(|(sent, launch)| sent.saturating_sub(*launch))
                .max()
                .unwrap_or(0),
        })
    }
}

/// What was printed so far.
pub struct Report<'o> {
    options: &'o Options,
    zero_copy: bool,
    started: Instant,
    last: (Instant, u64, u64),
}

impl<'o> Report<'o> {
    /// Nothing yet.
    pub fn new(options: &'o Options, zero_copy: bool) -> Self {
        let now = Instant::now();
        Self {
            options,
            zero_copy,
            started: now,
            last: (now, 0, 0),
        }
    }

    /// The socket is bound.
    pub fn ready(&self) {
        if self.options.json {
            line(&Ready {
                ready: true,
                zero_copy: self.zero_copy,
            });
        }
    }

    /// Prints rates, now and then.
    pub fn tick(&mut self, bench: &Bench<'_>) {
        let (at, rx, tx) = self.last;
        let seconds = at.elapsed();
        if self.options.json || seconds < Duration::from_secs(self.options.interval) {
            return;
        }
        self.last = (Instant::now(), bench.rx, bench.completed);
        self.table(bench, seconds.as_secs_f64(), rx, tx);
    }

    fn table(&self, bench: &Bench<'_>, seconds: f64, rx: u64, tx: u64) {
        let mode = match self.options.mode() {
            Mode::RxDrop => "rxdrop",
            Mode::TxOnly => "txonly",
            Mode::L2Fwd => "l2fwd",
        };
        let poll = if self.options.poll { "poll()" } else { "" };
        println!(
            "\n sock0@{}:{} {mode} xdp-drv {poll}",
            self.options.interface, self.options.queue
        );
        println!("{:<18} {:<14} {:<14} {:<14.2}", "", "pps", "pkts", seconds);
        for (name, now, before) in [("rx", bench.rx, rx), ("tx", bench.completed, tx)] {
            let rate = (now - before) as f64 / seconds;
            println!("{name:<18} {rate:<14.0} {now:<14}");
        }
    }

    /// The end; whether all adds up.
    pub fn end(&self, bench: &Bench<'_>) -> bool {
        let good = bench.wrong == 0 && bench.completed == bench.tx && bench.frames.add_up();
        if !self.options.json {
            self.table(bench, self.started.elapsed().as_secs_f64(), 0, 0);
            return good;
        }
        let statistics = bench.statistics();
        let of =
            |get: fn(&xdpilone::xdp::XdpStatisticsV2) -> u64| statistics.as_ref().map_or(0, get);
        line(&End {
            zero_copy: self.zero_copy,
            seconds: self.started.elapsed().as_secs_f64(),
            rx: bench.rx,
            packets: bench.packets,
            tx: bench.tx,
            completed: bench.completed,
            right: bench.numbers.len(),
            wrong: bench.wrong,
            places: &bench.places,
            frames: bench.frames.owned(),
            rx_dropped: of(|s| s.rx_dropped),
            rx_ring_full: of(|s| s.rx_ring_full),
            rx_fill_ring_empty_descs: of(|s| s.rx_fill_ring_empty_descs),
            invalid_descs: of(|s| s.rx_invalid_descs + s.tx_invalid_descs),
            times: Times::new(&bench.times),
        });
        good
    }
}

fn line<T: Serialize>(what: &T) {
    if let Ok(text) = serde_json::to_string(what) {
        println!("{text}");
        // Who reads it waits for it.
        let _ = std::io::stdout().flush();
    }
}
