// SPDX-License-Identifier: GPL-2.0

//! How long frames take.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Times in nanoseconds, to three digits.
pub struct Latency {
    histogram: Histogram<u64>,
    /// Frames with a time before they were sent: the clocks are not the same.
    negative: u64,
}

/// What is said of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many there are.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// Half of them are no longer than this.
    pub p50: u64,
    /// As many of a hundred.
    pub p90: u64,
    /// As many of a hundred.
    pub p99: u64,
    /// All but one of a thousand.
    pub p999: u64,
    /// The longest.
    pub max: u64,
    /// Frames with a time before they were sent, which are not in the others.
    pub negative: u64,
}

/// Some of the times: those from one power of two to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// The first of the nanoseconds.
    pub from: u64,
    /// The first of the next bar.
    pub to: u64,
    /// How many there are.
    pub count: u64,
}

impl Latency {
    /// None yet.
    pub fn new() -> Self {
        Self {
            histogram: Histogram::new(3).expect("three digits are possible"),
            negative: 0,
        }
    }

    /// One that was sent then, and is here now.
    pub fn see(&mut self, sent: u64, now: u64) {
        match now.checked_sub(sent) {
            // It grows with what comes.
            Some(time) => self.histogram.record(time).unwrap_or(()),
            None => self.negative += 1,
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.histogram.reset();
        self.negative = 0;
    }

    /// What is said of all.
    pub fn summary(&self) -> Summary {
        let histogram = &self.histogram;
        let at = |part| histogram.value_at_quantile(part).min(histogram.max());
        Summary {
            count: histogram.len(),
            min: if histogram.is_empty() {
                0
            } else {
                histogram.min()
            },
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
            negative: self.negative,
        }
    }

    /// All of them, in bars, from the first that has some to the last.
    pub fn bars(&self) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        for step in self.histogram.iter_recorded() {
            let bit = step.value_iterated_to().max(1).ilog2().min(62);
            loop {
                let next = bars.last().map_or(bit, |last| last.to.ilog2().min(bit));
                match bars.last_mut() {
                    Some(last) if last.to > 1 << bit => {
                        last.count += step.count_since_last_iteration();
                        break;
                    }
                    _ => bars.push(Bar {
                        from: 1 << next,
                        to: 2 << next,
                        count: 0,
                    }),
                }
            }
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[u64]) -> Latency {
        let mut latency = Latency::new();
        for time in times {
            latency.see(1000, 1000 + time);
        }
        latency
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let times: Vec<u64> = (1..=1000).map(|time| time * 1000).collect();
        let latency = of(&times);
        let summary = latency.summary();
        assert_eq!((summary.count, summary.min), (1000, 1000));
        let near = |is: u64, wanted: u64| is.abs_diff(wanted) <= wanted / 500;
        assert!(near(summary.p50, 500_000), "{summary:?}");
        assert!(near(summary.p90, 900_000), "{summary:?}");
        assert!(near(summary.p99, 990_000), "{summary:?}");
        assert!(near(summary.p999, 999_000), "{summary:?}");
        assert!(near(summary.max, 1_000_000), "{summary:?}");
        assert!(summary.p999 <= summary.max);
    }

    #[test]
    fn nothing_is_noughts() {
        assert_eq!(of(&[]).summary(), Summary::default());
        assert_eq!(of(&[]).bars(), []);
    }

    #[test]
    fn bars_are_powers_of_two() {
        let latency = of(&[4, 5, 7, 20, 31]);
        let bar = |from, count| Bar {
            from,
            to: from * 2,
            count,
        };
        assert_eq!(latency.bars(), [bar(4, 3), bar(8, 0), bar(16, 2)]);
        // A time of nought is with the shortest.
        assert_eq!(of(&[0]).bars(), [bar(1, 1)]);
    }

    #[test]
    fn clocks_that_differ_are_noticed() {
        let mut latency = of(&[10]);
        latency.see(500, 400);
        assert_eq!(
            (latency.summary().count, latency.summary().negative),
            (1, 1)
        );
        latency.clear();
        assert_eq!(latency.summary(), Summary::default());
    }
}
