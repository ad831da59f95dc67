// SPDX-License-Identifier: GPL-2.0

//! The command line: the options of bpf-examples' xdpsock, and what is added to them.

mod extra;
mod parse;
mod transmit;

use crate::clock::Clock;
use crate::privileges::Policy;
use clap::{CommandFactory, Parser};
use serde::Serialize;
use std::ops::Deref;

pub use extra::Extra;
pub use transmit::Transmit;

/// What is done with frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Received, and dropped.
    RxDrop,
    /// Sent.
    TxOnly,
    /// Received, and sent back with the addresses swapped.
    L2Fwd,
}

/// Bytes of the largest chunk: a page.
pub const MOST_CHUNK: u32 = 4096;

/// Sockets that share memory with `--shared-umem`.
pub const SHARED: usize = 4;

/// Receives, sends and forwards frames by AF_XDP.
///
/// Options may be shortened as long as they stay unique, and of those that exclude each other as
/// well as of those that are given twice, the last counts.
#[derive(Parser, Debug)]
#[command(name = "xdpsock", infer_long_args = true, args_override_self = true)]
pub struct Options {
    /// Discard all received frames (default).
    #[arg(short = 'r', long, overrides_with_all = ["txonly", "l2fwd"])]
    rxdrop: bool,
    /// Only send frames.
    #[arg(short = 't', long, overrides_with_all = ["rxdrop", "l2fwd"])]
    txonly: bool,
    /// Swap the MAC addresses of received frames and send them back.
    #[arg(short = 'l', long, overrides_with_all = ["rxdrop", "txonly"])]
    l2fwd: bool,

    /// Run on this interface.
    #[arg(short, long, value_name = "NAME")]
    pub interface: String,
    /// Use this queue.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub queue: u32,
    /// Wait by poll.
    #[arg(short, long)]
    pub poll: bool,
    /// Attach the program in generic mode, and copy.
    #[arg(short = 'S', long, conflicts_with = "zero_copy")]
    pub xdp_skb: bool,
    /// Attach the program in native mode (default).
    #[arg(short = 'N', long, overrides_with = "xdp_skb")]
    xdp_native: bool,
    /// Seconds from one report to the next.
    #[arg(short = 'n', long, value_name = "SECONDS", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: u64,
    /// Seconds without any, beyond the first, for which sent frames are waited for at the end.
    #[arg(short = 'O', long, value_name = "N", default_value_t = 3)]
    pub retries: u64,
    /// Force zero-copy mode.
    #[arg(short, long, conflicts_with = "copy")]
    pub zero_copy: bool,
    /// Force copy mode.
    #[arg(short, long)]
    pub copy: bool,
    /// Do without need-wakeup flags.
    #[arg(short = 'm', long)]
    pub no_need_wakeup: bool,
    /// Bytes of a chunk: a power of two, unless they are unaligned.
    #[arg(short = 'f', long, value_name = "BYTES", default_value_t = 4096)]
    pub frame_size: u32,
    /// Chunks at any place of the memory, which is of huge pages if there are any.
    #[arg(short = 'u', long)]
    pub unaligned: bool,
    /// Four sockets that share memory and have the frames of the queue by turns.
    #[arg(short = 'M', long, conflicts_with = "reduce_cap")]
    pub shared_umem: bool,
    /// Frames over several chunks.
    #[arg(short = 'F', long, alias = "force")]
    pub frags: bool,
    /// Seconds to run (default: no end).
    #[arg(
        short,
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub duration: u64,
    /// The clock of cycles and time stamps.
    #[arg(
        short = 'w',
        long,
        value_name = "CLOCK",
        default_value = "MONOTONIC",
        ignore_case = true
    )]
    pub clock: Clock,
    /// Frames at a time.
    #[arg(short, long, value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// Frames to send (default: no end).
    #[arg(
        short = 'C',
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub tx_pkt_count: u64,

    /// The scheduler's policy.
    #[arg(
        short = 'W',
        long,
        value_name = "POLICY",
        default_value = "OTHER",
        ignore_case = true
    )]
    pub policy: Policy,
    /// The priority in that.
    #[arg(short = 'U', long, value_name = "N", default_value_t = 0)]
    pub schpri: i32,
    /// Report the kernel's counters as well.
    #[arg(short = 'x', long)]
    pub extra_stats: bool,
    /// Report at the end only.
    #[arg(short = 'Q', long)]
    pub quiet: bool,
    /// Report system calls as well.
    #[arg(short = 'a', long)]
    pub app_stats: bool,
    /// Report the interrupts of the line of /proc/interrupts that has this in it.
    #[arg(short = 'I', long, value_name = "TEXT")]
    pub irq_string: Option<String>,
    /// Poll the device from here, by system calls.
    #[arg(short = 'B', long)]
    pub busy_poll: bool,
    /// Run with no capability but CAP_NET_RAW.
    #[arg(short = 'R', long)]
    pub reduce_cap: bool,

    #[command(flatten)]
    transmit: Transmit,
    #[command(flatten)]
    extra: Extra,
}

/// Those that are added are used like the others.
impl Deref for Options {
    type Target = Extra;

    fn deref(&self) -> &Extra {
        &self.extra
    }
}

impl Options {
    /// Those of this process, which ends here if they make no sense.
    pub fn get() -> Self {
        let options = Self::parse();
        if let Err(why) = options.check() {
            Self::command()
                .error(clap::error::ErrorKind::ArgumentConflict, why)
                .exit();
        }
        options
    }

    /// What a parser does not see.
    fn check(&self) -> Result<(), String> {
        let size = self.frame_size;
        if !self.unaligned && !size.is_power_of_two() {
            return Err(format!(
                "--frame-size={size} is not a power of two; --unaligned takes others"
            ));
        }
        let chunk = self.chunk();
        let needs = self.flow().headers() + self.payload().head_len();
        if self.mode() == Mode::TxOnly && (chunk < needs || size <= self.metadata_len() as u32) {
            return Err(format!("--frame-size={size}: the headers do not fit"));
        }
        let frame = self.tx_len();
        if self.mode() == Mode::TxOnly && frame > chunk && !self.frags {
            let larger = if size < MOST_CHUNK {
                " a larger --frame-size"
            } else {
                ""
            };
            return Err(format!(
                "frames of {frame} bytes do not fit chunks of {chunk}: \
                 set --frags,{larger} or a smaller --tx-pkt-size"
            ));
        }
        let needed = frame.div_ceil(chunk.max(1));
        if self.mode() == Mode::TxOnly && needed > self.extra.chunks as usize {
            return Err(format!(
                "--chunks={}: a frame of {frame} bytes takes {needed}",
                self.extra.chunks
            ));
        }
        self.transmit.check()
    }

    /// What to do.
    pub fn mode(&self) -> Mode {
        if self.txonly {
            Mode::TxOnly
        } else if self.l2fwd {
            Mode::L2Fwd
        } else {
            Mode::RxDrop
        }
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        if self.shared_umem {
            SHARED
        } else {
            1
        }
    }

    /// Whether the kernel has to copy.
    pub fn copies(&self) -> bool {
        self.copy || self.xdp_skb
    }

    /// Whether there are times to be reported.
    pub fn has_latency(&self) -> bool {
        self.latency && (self.mode() != Mode::TxOnly || self.transmit.tx_tstamp)
    }

    /// Of frames that are sent.
    pub fn transmit(&self) -> &Transmit {
        &self.transmit
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn options(words: &str) -> Result<Options, String> {
        let words = ["xdpsock", "-i", "eth0"]
            .into_iter()
            .chain(words.split(' '));
        let options = Options::try_parse_from(words.filter(|word| !word.is_empty()))
            .map_err(|error| error.to_string())?;
        options.check().map(|()| options)
    }

    #[test]
    fn the_parser_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_usual_ones() {
        let options = options("").unwrap();
        assert_eq!(options.mode(), Mode::RxDrop);
        assert_eq!(
            (options.queue, options.interval, options.retries),
            (0, 1, 3)
        );
        assert_eq!((options.frame_size, options.batch_size), (4096, 64));
        assert_eq!(options.clock, Clock::Monotonic);
        assert_eq!(options.policy, Policy::Other);
        assert_eq!(options.sockets(), 1);
        assert_eq!(options.tx_len(), 60);
    }

    #[test]
    fn each_short_option_is_its_long_one() {
        let flags = [
            "r rxdrop",
            "t txonly",
            "l l2fwd",
            "p poll",
            "S xdp-skb",
            "N xdp-native",
            "z zero-copy",
            "c copy",
            "m no-need-wakeup",
            "u unaligned",
            "M shared-umem",
            "F frags",
            "V tx-vlan",
            "y tstamp",
            "x extra-stats",
            "Q quiet",
            "a app-stats",
            "B busy-poll",
            "R reduce-cap",
        ];
        let values = [
            "q queue 3",
            "n interval 2",
            "O retries 5",
            "f frame-size 2048",
            "d duration 4",
            "w clock tai",
            "b batch-size 16",
            "C tx-pkt-count 9",
            "s tx-pkt-size 1000",
            "P tx-pkt-pattern 0xabcd",
            "J tx-vlan-id 7",
            "K tx-vlan-pri 3",
            "G tx-dmac 2:0:0:0:0:9",
            "H tx-smac 02:00:00:00:00:08",
            "T tx-cycle 50",
            "W policy fifo",
            "U schpri 8",
            "I irq-string eth0",
        ];
        for line in flags.iter().chain(&values) {
            let words: Vec<&str> = line.split(' ').collect();
            let value = words.get(2).copied().unwrap_or("");
            let short = options(&format!("-{} {value}", words[0])).unwrap();
            let long = options(&format!("--{} {value}", words[1])).unwrap();
            assert_eq!(format!("{short:?}"), format!("{long:?}"), "{line}");
            if line.len() > words[0].len() && *line != "r rxdrop" && *line != "N xdp-native" {
                let none = options("").unwrap();
                assert_ne!(
                    format!("{long:?}"),
                    format!("{none:?}"),
                    "{line} does nothing"
                );
            }
        }
    }

    #[test]
    fn the_last_counts() {
        assert_eq!(options("-t -l -r").unwrap().mode(), Mode::RxDrop);
        assert_eq!(options("-r -t").unwrap().mode(), Mode::TxOnly);
        assert_eq!(options("-rlzp -q3 -q 1").unwrap().queue, 1);
        assert!(!options("-S -N").unwrap().copies());
    }

    #[test]
    fn long_options_may_be_shortened() {
        let options = options("--zero --frame=2048 --txo --batch 5").unwrap();
        assert!(options.zero_copy);
        assert_eq!((options.frame_size, options.batch_size), (2048, 5));
        assert_eq!(options.mode(), Mode::TxOnly);
        // The usual name of -F.
        assert!(super::tests::options("--force").unwrap().frags);
    }

    #[test]
    fn tags_have_a_number_and_a_priority() {
        let tag = |words| options(words).unwrap().flow().vlan;
        assert_eq!(tag("-t -V -J 7 -K 3"), Some(0x6007));
        assert_eq!(tag("-t -V"), Some(1));
        assert_eq!(tag("-t -J 7 -K 3"), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (words, why) in [
            ("-f 3000", "power of two"),
            ("-M -R", "cannot be used with"),
            ("-z -c", "cannot be used with"),
            ("-s 63", "64..=9728"),
            ("-s 9729", "64..=9728"),
            ("-t -s 9000", "--frags"),
            ("-w sundial", "possible values"),
            ("-G 1:2:3", "MAC address"),
            ("--tx-sip ::1", "versions"),
        ] {
            let error = options(words).unwrap_err();
            assert!(error.contains(why), "{words}: {error}");
        }
        assert!(options("-u -f 3000").is_ok());
        assert!(options("-t -s 9000 -F").is_ok());
    }
}
