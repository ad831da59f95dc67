// SPDX-License-Identifier: GPL-2.0

//! Reports as lines of JSON.

use super::Moment;
use crate::checks::Places;
use crate::counters::{Counters, Kernel};
use crate::cycle::Cycle;
use crate::frames::Owned;
use crate::latency::{Bar, Summary};
use crate::times::Times;
use serde::Serialize;
use std::time::Duration;

/// The sockets are there.
#[derive(Serialize)]
pub(super) struct Ready<'w> {
    ready: bool,
    zero_copy: bool,
    warnings: &'w [String],
}

impl<'w> Ready<'w> {
    pub(super) fn new(zero_copy: bool, warnings: &'w [String]) -> Self {
        Self {
            ready: true,
            zero_copy,
            warnings,
        }
    }
}

/// A report.
#[derive(Serialize)]
pub(super) struct Interval<'b> {
    /// Since the start.
    seconds: f64,
    /// Since the report before.
    interval: f64,
    /// What is counted since the start.
    sockets: &'b [Counters],
    /// Frames a second, received and sent, of all sockets since the report before.
    rx_pps: f64,
    tx_pps: f64,
    /// Of the frames since the report before.
    latency: Option<Summary>,
}

fn total(counters: &[Counters], get: fn(&Counters) -> u64) -> u64 {
    counters.iter().map(get).sum()
}

impl<'b> Interval<'b> {
    pub(super) fn new(moment: &Moment<'b>, since_start: Duration) -> Self {
        let rate = |get: fn(&Counters) -> u64| {
            let n = total(moment.now, get).saturating_sub(total(moment.before, get));
            let rate = n as f64 / moment.seconds;
            if rate.is_finite() {
                rate
            } else {
                0.0
            }
        };
        Self {
            seconds: since_start.as_secs_f64(),
            interval: moment.seconds,
            sockets: moment.now,
            rx_pps: rate(|counters| counters.rings.rx),
            tx_pps: rate(|counters| counters.rings.tx),
            latency: moment
                .options
                .has_latency()
                .then(|| moment.latency.summary()),
        }
    }
}

/// The end.
#[derive(Serialize)]
pub(super) struct End<'b> {
    zero_copy: bool,
    seconds: f64,
    /// Frames received.
    rx: u64,
    /// Frames that were to be sent.
    packets: u64,
    /// Chunks given to the kernel to be sent.
    tx: u64,
    /// Chunks that came back.
    completed: u64,
    /// Different numbers of verified frames.
    right: u64,
    /// Verified frames with a number that had been there.
    again: u64,
    wrong: u64,
    foreign: u64,
    /// Frames without a time stamp, where there should be one.
    unstamped: u64,
    places: &'b Places,
    frames: Owned,
    rx_dropped: u64,
    rx_ring_full: u64,
    rx_fill_ring_empty_descs: u64,
    invalid_descs: u64,
    times: Option<&'b Times>,
    latency: Option<Summary>,
    histogram: Vec<Bar>,
    cycle: Option<&'b Cycle>,
    sockets: &'b [Counters],
}

impl<'b> End<'b> {
    pub(super) fn new(moment: &Moment<'b>, since_start: Duration, zero_copy: bool) -> Self {
        let bench = moment.bench;
        let kernel = |get: fn(&Kernel) -> u64| {
            moment
                .now
                .iter()
                .filter_map(|counters| counters.kernel.as_ref())
                .map(get)
                .sum()
        };
        Self {
            zero_copy,
            seconds: since_start.as_secs_f64(),
            rx: total(moment.now, |counters| counters.rings.rx),
            packets: bench.packets,
            tx: bench.tx,
            completed: bench.completed,
            right: bench.checks.seen.count,
            again: bench.checks.seen.again,
            wrong: bench.checks.wrong,
            foreign: bench.checks.foreign,
            unstamped: bench.checks.unstamped,
            places: &bench.checks.places,
            frames: bench.bound.frames.owned(),
            rx_dropped: kernel(|kernel| kernel.rx_dropped),
            rx_ring_full: kernel(|kernel| kernel.rx_full),
            rx_fill_ring_empty_descs: kernel(|kernel| kernel.fill_empty),
            invalid_descs: kernel(|kernel| kernel.rx_invalid + kernel.tx_invalid),
            times: bench.times.any(),
            latency: moment
                .options
                .has_latency()
                .then(|| moment.latency.summary()),
            histogram: moment.latency.bars(),
            cycle: bench.cycle.as_ref(),
            sockets: moment.now,
        }
    }
}
