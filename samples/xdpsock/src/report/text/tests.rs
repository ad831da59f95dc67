// SPDX-License-Identifier: GPL-2.0

//! What is printed, to the last blank.

use super::*;
use crate::counters::{Calls, Kernel, Rings};
use crate::options::tests::options;

fn counters(n: u64) -> Counters {
    Counters {
        rings: Rings {
            rx: 1000 * n,
            rx_frags: 2000 * n,
            tx: 10 * n,
            tx_frags: 20 * n,
        },
        calls: Calls {
            rx_empty_polls: n,
            opt_polls: 7 * n,
            ..Calls::default()
        },
        kernel: Some(Kernel {
            rx_dropped: 4 * n,
            ..Kernel::default()
        }),
        interrupts: None,
    }
}

/// What is printed, half a second after the first thousand.
fn printed(words: &str, cycle: Option<&Cycle>) -> String {
    let options = options(words).unwrap();
    let (before, now) = (
        vec![counters(1); options.sockets()],
        vec![counters(3); options.sockets()],
    );
    tables(&options, &Locale::default(), 0.5, [&before, &now], cycle)
}

/// Each line ends with a bar, so that blanks at its end are seen.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| format!("{line}|")).collect()
}

#[test]
fn a_socket_has_three_lines_below_its_name() {
    assert_eq!(
        lines(&printed("", None)),
        [
            "|",
            " sock0@eth0:0 rxdrop xdp-drv |",
            "                   pps            pkts           0.50          |",
            "rx                 4000           3000          |",
            "tx                 40             30            |",
        ]
    );
}

#[test]
fn modes_are_named() {
    assert!(printed("-t -q 3 -p -S", None).starts_with("\n sock0@eth0:3 txonly xdp-skb poll() \n"));
    assert!(printed("-l", None).starts_with("\n sock0@eth0:0 l2fwd xdp-drv \n"));
}

#[test]
fn frags_have_columns() {
    assert_eq!(
        lines(&printed("-F", None))[2..],
        [
            "                   pps            pkts           fps            frags          0.50          |",
            "rx                 4000           3000           8000           6000          |",
            "tx                 40             30             80             60            |",
        ]
    );
}

#[test]
fn more_is_printed_below() {
    assert_eq!(
        lines(&printed("-x -a", None))[5..],
        [
            "rx dropped         16             12            |",
            "rx invalid         0              0             |",
            "tx invalid         0              0             |",
            "rx queue full      0              0             |",
            "fill ring empty    0              0             |",
            "tx ring empty      0              0             |",
            "|",
            "                   calls/s        count         |",
            "rx empty polls     4              3             |",
            "fill fail polls    0              0             |",
            "copy tx sendtos    0              0             |",
            "tx wakeup sendtos  0              0             |",
            "opt polls          28             21            |",
        ]
    );
    let mut with_cycle = Cycle::new(5, 0);
    with_cycle.count = 2;
    with_cycle.sum = 90;
    with_cycle.max = 60;
    with_cycle.min = 30;
    assert_eq!(
        lines(&printed("-a", Some(&with_cycle)))[12..],
        [
            "|",
            "                   period     min        ave        max        cycle     |",
            "Cyclic TX          5000       30         45         60         2         |",
        ]
    );
}

#[test]
fn each_socket_has_its_own() {
    let printed = printed("-M -a", None);
    for socket in 0..4 {
        assert!(printed.contains(&format!(" sock{socket}@eth0:0 rxdrop xdp-drv ")));
    }
    assert_eq!(printed.matches("calls/s").count(), 4);
    // First what all have received, then how.
    assert!(printed.rfind("pps") < printed.find("calls/s"));
}

#[test]
fn interrupts_are_last() {
    let options = options("-a").unwrap();
    let now = Counters {
        interrupts: Some(11),
        ..counters(1)
    };
    let printed = tables(
        &options,
        &Locale::default(),
        1.0,
        [&[counters(0)], &[now]],
        None,
    );
    assert_eq!(
        lines(&printed)[12..],
        [
            "|",
            "                   intrs/s        count         |",
            "irqs               11             11            |",
        ]
    );
}

#[test]
fn no_time_is_no_rate() {
    let options = options("").unwrap();
    let printed = tables(
        &options,
        &Locale::default(),
        0.0,
        [&[counters(1)], &[counters(1)]],
        None,
    );
    assert!(printed.contains("rx                 0              1000"));
}

#[test]
fn latency_is_a_table() {
    let mut latency = Latency::new();
    for time in [100, 1500, 2000] {
        latency.see(0, time);
    }
    let locale = Locale::default();
    let mut writer = Writer {
        out: String::new(),
        locale: &locale,
        seconds: 1.0,
    };
    writer.latency(&latency, Mode::RxDrop);
    writer.bars(&latency.bars());
    assert_eq!(
        lines(&writer.out),
        [
            "|",
            "                   p50 us         p99 us         max us         frames        |",
            "latency            1.500          2.000          2.000          3             |",
            "|",
            "                   up to us       frames        |",
            "                   0.128          1              ####################|",
            "                   0.256          0              |",
            "                   0.512          0              |",
            "                   1.024          0              |",
            "                   2.048          2              ########################################|",
        ]
    );
}
