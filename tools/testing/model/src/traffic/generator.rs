// SPDX-License-Identifier: GPL-2.0

//! *generator*: frames for a port, from a template or a capture, at a rate or as
//! fast as the driver takes them, up to a number.

use super::template::Template;
use super::{Frame, Header, Output, Refused};
use pcap_file::pcap::PcapReader;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

/// What frames are made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Packets by their addresses and sizes.
    Template(Template),
    /// The frames of a capture file (Ethernet), again and again.
    Pcap(PathBuf),
    /// One frame, byte by byte in hexadecimal digits.
    Bytes(String),
}

/// What a generator is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The port that receives.
    #[serde(default)]
    pub port: usize,
    /// The queue pairs that are used, in turn.
    #[serde(default = "first_pair")]
    pub pairs: Vec<usize>,
    /// What the frames are.
    pub source: Source,
    /// How many; none is no end.
    #[serde(default)]
    pub count: Option<u64>,
    /// Frames a second; none is as fast as they are taken.
    #[serde(default)]
    pub rate: Option<f64>,
}

fn first_pair() -> Vec<usize> {
    vec![0]
}

/// How far a generator is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Frames that the driver has taken.
    pub sent: u64,
    /// Frames that were due and not taken: without a receive buffer, which only at
    /// a rate is a loss, or of no use to this driver.
    pub refused: u64,
    /// All are sent.
    pub done: bool,
}

/// Frames in one go, so that nothing else waits long.
const BURST: u64 = 256;
/// A pause longer than this is not made up for, in seconds.
const ARREARS: f64 = 0.1;

/// Makes frames.
#[derive(Debug)]
pub struct Generator {
    order: Order,
    frames: Frames,
    progress: Progress,
    /// Frames made, taken or not; the datagrams' numbers go on with it.
    made: u64,
    /// The next frame, until it is taken.
    next: Option<(usize, Frame)>,
    due: f64,
    last: Option<Instant>,
}

#[derive(Debug)]
enum Frames {
    Template(Template),
    Given(Vec<Frame>),
}

impl Frames {
    fn load(source: &Source) -> Result<Self, String> {
        let plain = |data: Vec<u8>| Frame {
            header: Header::default(),
            data,
        };
        let frames = match source {
            Source::Template(template) => return Ok(Self::Template(template.clone())),
            Source::Bytes(text) => vec![plain(from_hex(text)?)],
            Source::Pcap(path) => {
                let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
                let file = File::open(path).map_err(|error| wrong(&error))?;
                let mut reader = PcapReader::new(file).map_err(|error| wrong(&error))?;
                let mut frames = Vec::new();
                while let Some(packet) = reader.next_packet() {
                    frames.push(plain(
                        packet.map_err(|error| wrong(&error))?.data.into_owned(),
                    ));
                }
                frames
            }
        };
        if frames.iter().all(|frame: &Frame| frame.data.is_empty()) {
            return Err("no frames to send".into());
        }
        Ok(Self::Given(frames))
    }

    fn make(&self, number: u64) -> Frame {
        match self {
            Self::Template(template) => {
                template.frame((number as u32).wrapping_mul(template.per_frame()))
            }
            Self::Given(frames) => frames[(number % frames.len() as u64) as usize].clone(),
        }
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| {
            c.to_digit(16)
                .ok_or(format!("{c:?} is no hexadecimal digit"))
        })
        .collect::<Result<_, _>>()?;
    if digits.len() % 2 != 0 {
        return Err("half a byte".into());
    }
    Ok(digits
        .chunks(2)
        .map(|pair| ((pair[0] << 4) | pair[1]) as u8)
        .collect())
}

impl Generator {
    /// A generator that starts at its first tick.
    ///
    /// # Errors
    ///
    /// What is wrong with the order, in words.
    pub fn new(order: Order) -> Result<Self, String> {
        if order.pairs.is_empty() {
            return Err("no queue pairs".into());
        }
        if order
            .rate
            .is_some_and(|rate| !(rate > 0.0 && rate.is_finite()))
        {
            return Err("the rate must be a positive number".into());
        }
        Ok(Self {
            frames: Frames::load(&order.source)?,
            order,
            progress: Progress::default(),
            made: 0,
            next: None,
            due: 0.0,
            last: None,
        })
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The port that it sends to.
    pub fn port(&self) -> usize {
        self.order.port
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: Instant, out: &mut dyn Output) {
        let mut allowed = BURST;
        if let Some(rate) = self.order.rate {
            let passed = self.last.map_or(0.0, |last| (now - last).as_secs_f64());
            self.due = (self.due + passed * rate).min((rate * ARREARS).max(1.0));
            allowed = allowed.min(self.due as u64);
        }
        self.last = Some(now);
        for _ in 0..allowed {
            if self.is_done() {
                break;
            }
            if self.order.rate.is_some() {
                self.due -= 1.0;
            }
            if !self.send(out) {
                break;
            }
        }
        self.progress.done = self.is_done();
    }

    fn is_done(&self) -> bool {
        self.order
            .count
            .is_some_and(|count| self.progress.sent + self.progress.refused >= count)
    }

    /// One frame; whether to go on.
    fn send(&mut self, out: &mut dyn Output) -> bool {
        let (pair, frame) = self.next.take().unwrap_or_else(|| {
            self.made += 1;
            let number = self.made - 1;
            let pair = self.order.pairs[number as usize % self.order.pairs.len()];
            (pair, self.frames.make(number))
        });
        match out.send(self.order.port, pair, &frame) {
            Ok(()) => self.progress.sent += 1,
            Err(Refused::NoBuffers | Refused::Down) if self.order.rate.is_none() => {
                self.next = Some((pair, frame));
                return false;
            }
            Err(_) => self.progress.refused += 1,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::observe::Observed;
    use crate::traffic::template::Protocol;
    use crate::traffic::testing::Ports;
    use std::time::Duration;

    fn order(count: Option<u64>, rate: Option<f64>) -> Order {
        let template = Template::example(Protocol::Udp, false);
        Order {
            port: 0,
            pairs: vec![0, 1],
            source: Source::Template(template),
            count,
            rate,
        }
    }

    #[test]
    fn as_fast_as_taken_loses_none() {
        let mut out = Ports::new(1);
        let mut generator = Generator::new(order(Some(1000), None)).unwrap();
        let now = Instant::now();
        for _ in 0..2000 {
            out.room = 3;
            generator.tick(now, &mut out);
        }
        let mut seen = Observed::default();
        out.sent.iter().for_each(|(_, _, frame)| seen.look(frame));
        assert_eq!((seen.content.received, seen.content.repeated), (1000, 0));
        let progress = Progress {
            sent: 1000,
            refused: 0,
            done: true,
        };
        assert_eq!(*generator.progress(), progress);
        let first = out.sent.iter().filter(|(_, pair, _)| *pair == 0).count();
        assert_eq!(first, 500);
    }

    #[test]
    fn a_rate_is_kept() {
        let mut out = Ports::new(1);
        let mut generator = Generator::new(order(None, Some(10_000.0))).unwrap();
        let start = Instant::now();
        for millisecond in 0..=100 {
            generator.tick(start + Duration::from_millis(millisecond), &mut out);
        }
        assert!((995..=1005).contains(&out.sent.len()), "{}", out.sent.len());
        assert!(!generator.progress().done);
        // Nothing is made up for after a long pause but a tenth of a second.
        generator.tick(start + Duration::from_secs(60), &mut out);
        assert!(out.sent.len() <= 2005);
    }

    #[test]
    fn what_is_due_and_refused_is_counted() {
        let mut out = Ports::new(1);
        out.room = 0;
        let mut generator = Generator::new(order(Some(10), Some(1000.0))).unwrap();
        let start = Instant::now();
        for millisecond in 0..30 {
            generator.tick(start + Duration::from_millis(millisecond), &mut out);
        }
        assert_eq!(
            *generator.progress(),
            Progress {
                sent: 0,
                refused: 10,
                done: true
            }
        );
    }

    #[test]
    fn wrong_orders_are_refused() {
        let mut wrong = order(None, Some(0.0));
        assert!(Generator::new(wrong.clone()).is_err());
        wrong.rate = None;
        wrong.pairs.clear();
        assert!(Generator::new(wrong.clone()).is_err());
        wrong.pairs = vec![0];
        for source in [
            Source::Bytes("0g".into()),
            Source::Bytes("0".into()),
            Source::Bytes("".into()),
            Source::Pcap("/nonexistent".into()),
        ] {
            wrong.source = source;
            assert!(Generator::new(wrong.clone()).is_err());
        }
    }

    #[test]
    fn bytes_are_sent_as_they_are() {
        let mut out = Ports::new(1);
        let mut bytes = order(Some(2), None);
        bytes.source = Source::Bytes("ff ff 01".into());
        Generator::new(bytes)
            .unwrap()
            .tick(Instant::now(), &mut out);
        assert!(out
            .sent
            .iter()
            .all(|(_, _, frame)| frame.data == [255, 255, 1]));
        assert_eq!(out.sent.len(), 2);
    }
}
