// SPDX-License-Identifier: GPL-2.0

//! Reports as bpf-examples' xdpsock prints them, and below, of what that does not have.

#[cfg(test)]
mod tests;

use super::Moment;
use crate::counters::Counters;
use crate::cycle::Cycle;
use crate::latency::{Bar, Latency};
use crate::locale::Locale;
use crate::options::{Mode, Options};
use std::fmt::Write;

/// Writing to a text does not fail.
macro_rules! row {
    ($out:expr, $($what:tt)*) => {{ let _ = writeln!($out, $($what)*); }};
}

/// Writes tables of one report.
struct Writer<'w> {
    out: String,
    locale: &'w Locale,
    seconds: f64,
}

impl Writer<'_> {
    /// A line with a rate and a number, from what it was and is.
    fn counted(&mut self, name: &str, before: u64, now: u64) {
        let (rate, now) = self.rate(before, now);
        row!(self.out, "{name:<18} {rate:<14} {now:<14}");
    }

    fn rate(&self, before: u64, now: u64) -> (String, String) {
        let rate = now.saturating_sub(before) as f64 / self.seconds;
        let rate = if rate.is_finite() { rate } else { 0.0 };
        (self.locale.rate(rate), self.locale.whole(now))
    }

    fn head(&mut self, rate: &str, count: &str) {
        row!(self.out, "\n{:<18} {rate:<14} {count:<14}", "");
    }

    fn frames(&mut self, options: &Options, before: &Counters, now: &Counters) {
        let seconds = self.locale.fraction(self.seconds, 2);
        let (before, now) = (&before.rings, &now.rings);
        let rows = [
            ("rx", [before.rx, now.rx], [before.rx_frags, now.rx_frags]),
            ("tx", [before.tx, now.tx], [before.tx_frags, now.tx_frags]),
        ];
        if !options.frags {
            row!(
                self.out,
                "{:<18} {:<14} {:<14} {seconds:<14}",
                "",
                "pps",
                "pkts"
            );
            for (name, [before, now], _) in rows {
                self.counted(name, before, now);
            }
            return;
        }
        row!(
            self.out,
            "{:<18} {:<14} {:<14} {:<14} {:<14} {seconds:<14}",
            "",
            "pps",
            "pkts",
            "fps",
            "frags"
        );
        for (name, [before, now], [frags_before, frags_now]) in rows {
            let (pps, pkts) = self.rate(before, now);
            let (fps, frags) = self.rate(frags_before, frags_now);
            row!(
                self.out,
                "{name:<18} {pps:<14} {pkts:<14} {fps:<14} {frags:<14}"
            );
        }
    }

    fn kernel(&mut self, before: &Counters, now: &Counters) {
        let Some(now) = now.kernel else {
            row!(self.out, "{:<15}", "Error retrieving extra stats");
            return;
        };
        let before = before.kernel.unwrap_or_default();
        for (name, before, now) in [
            ("rx dropped", before.rx_dropped, now.rx_dropped),
            ("rx invalid", before.rx_invalid, now.rx_invalid),
            ("tx invalid", before.tx_invalid, now.tx_invalid),
            ("rx queue full", before.rx_full, now.rx_full),
            ("fill ring empty", before.fill_empty, now.fill_empty),
            ("tx ring empty", before.tx_empty, now.tx_empty),
        ] {
            self.counted(name, before, now);
        }
    }

    fn calls(&mut self, before: &Counters, now: &Counters) {
        self.head("calls/s", "count");
        let (before, now) = (&before.calls, &now.calls);
        for (name, before, now) in [
            ("rx empty polls", before.rx_empty_polls, now.rx_empty_polls),
            (
                "fill fail polls",
                before.fill_fail_polls,
                now.fill_fail_polls,
            ),
            (
                "copy tx sendtos",
                before.copy_tx_sendtos,
                now.copy_tx_sendtos,
            ),
            (
                "tx wakeup sendtos",
                before.tx_wakeup_sendtos,
                now.tx_wakeup_sendtos,
            ),
            ("opt polls", before.opt_polls, now.opt_polls),
        ] {
            self.counted(name, before, now);
        }
    }

    fn cycle(&mut self, cycle: &Cycle) {
        row!(
            self.out,
            "\n{:<18} {:<10} {:<10} {:<10} {:<10} {:<10}",
            "",
            "period",
            "min",
            "ave",
            "max",
            "cycle"
        );
        row!(
            self.out,
            "{:<18} {:<10} {:<10} {:<10} {:<10} {:<10}",
            "Cyclic TX",
            cycle.period,
            cycle.min,
            cycle.mean(),
            cycle.max,
            cycle.count
        );
    }

    fn latency(&mut self, latency: &Latency, mode: Mode) {
        let advice = match mode {
            Mode::TxOnly => {
                "the device's clock is not that of the system (TAI), to which phc2sys sets it"
            }
            _ => "set --clock to one that both ends share",
        };
        let summary = latency.summary();
        let time = |nanoseconds: u64| self.locale.fraction(nanoseconds as f64 / 1000.0, 3);
        let (p50, p99, max) = (time(summary.p50), time(summary.p99), time(summary.max));
        let count = self.locale.whole(summary.count);
        row!(
            self.out,
            "\n{:<18} {:<14} {:<14} {:<14} {:<14}",
            "",
            "p50 us",
            "p99 us",
            "max us",
            "frames"
        );
        row!(
            self.out,
            "{:<18} {p50:<14} {p99:<14} {max:<14} {count:<14}",
            "latency"
        );
        if summary.negative != 0 {
            row!(
                self.out,
                "{:<18} {} frames came before they were sent: {advice}",
                "",
                summary.negative
            );
        }
    }

    fn bars(&mut self, bars: &[Bar]) {
        const WIDTH: u64 = 40;
        let most = bars.iter().map(|bar| bar.count).max().unwrap_or(1).max(1);
        self.head("up to us", "frames");
        for bar in bars {
            let length = (bar.count * WIDTH).div_ceil(most) as usize;
            let to = self.locale.fraction(bar.to as f64 / 1000.0, 3);
            let count = self.locale.whole(bar.count);
            row!(
                self.out,
                "{:<18} {to:<14} {count:<14} {}",
                "",
                "#".repeat(length)
            );
        }
    }
}

/// How a socket is called.
fn title(options: &Options, socket: usize) -> String {
    let mode = match options.mode() {
        Mode::RxDrop => "rxdrop",
        Mode::TxOnly => "txonly",
        Mode::L2Fwd => "l2fwd",
    };
    let program = if options.xdp_skb {
        "xdp-skb"
    } else {
        "xdp-drv"
    };
    let poll = if options.poll { "poll() " } else { "" };
    format!(
        "\n sock{socket}@{}:{} {mode} {program} {poll}",
        options.interface, options.queue
    )
}

/// A report.
pub(super) fn report(moment: &Moment<'_>, locale: &Locale) -> String {
    let cycle = moment.bench.cycle.as_ref();
    let mut out = tables(
        moment.options,
        locale,
        moment.seconds,
        [moment.before, moment.now],
        cycle,
    );
    if moment.options.has_latency() {
        let mut writer = Writer {
            out,
            locale,
            seconds: moment.seconds,
        };
        writer.latency(moment.latency, moment.options.mode());
        out = writer.out;
    }
    out
}

/// The usual tables of it.
fn tables(
    options: &Options,
    locale: &Locale,
    seconds: f64,
    [before, now]: [&[Counters]; 2],
    cycle: Option<&Cycle>,
) -> String {
    let mut writer = Writer {
        out: String::new(),
        locale,
        seconds,
    };
    for (socket, (before, now)) in before.iter().zip(now).enumerate() {
        row!(writer.out, "{}", title(options, socket));
        writer.frames(options, before, now);
        if options.extra_stats {
            writer.kernel(before, now);
        }
    }
    if options.app_stats {
        for (before, now) in before.iter().zip(now) {
            writer.calls(before, now);
        }
        if let Some(cycle) = cycle {
            writer.cycle(cycle);
        }
    }
    for (before, now) in before.iter().zip(now) {
        if let Some(interrupts) = now.interrupts {
            writer.head("intrs/s", "count");
            writer.counted("irqs", before.interrupts.unwrap_or(0), interrupts);
        }
    }
    writer.out
}

/// What is said at the end only, and of all.
pub(super) fn end(moment: &Moment<'_>, locale: &Locale) -> String {
    let mut writer = Writer {
        out: String::new(),
        locale,
        seconds: moment.seconds,
    };
    let (options, checks) = (moment.options, &moment.bench.checks);
    if options.has_latency() {
        writer.bars(&checks.latency.bars());
        if checks.unstamped != 0 {
            row!(
                writer.out,
                "{:<18} {:<14} {}",
                "",
                "no stamp",
                checks.unstamped
            );
        }
    }
    if options.verify && options.mode() != Mode::TxOnly {
        row!(
            writer.out,
            "\n{:<18} {:<14} {:<14} {:<14} {:<14}",
            "",
            "right",
            "again",
            "wrong",
            "foreign"
        );
        row!(
            writer.out,
            "{:<18} {:<14} {:<14} {:<14} {:<14}",
            "verified",
            locale.whole(checks.seen.count),
            locale.whole(checks.seen.again),
            locale.whole(checks.wrong),
            locale.whole(checks.foreign)
        );
    }
    writer.out
}
