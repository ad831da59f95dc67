// SPDX-License-Identifier: GPL-2.0

//! What is added to the usual options, beside those of frames that are sent.

use clap::Args;
use std::path::PathBuf;

/// Additions.
#[derive(Args, Debug)]
#[command(next_help_heading = "Added")]
pub struct Extra {
    /// Frames have counted contents: sent with them, and checked when they are received.
    #[arg(long)]
    pub verify: bool,
    /// Frames have time stamps: sent with them, and compared with the clock when they are
    /// received; or what passes until the device sends them (--txonly --tx-tstamp).
    #[arg(long)]
    pub latency: bool,
    /// Lines of JSON: when the sockets are there, for each report, and at the end.
    #[arg(long)]
    pub json: bool,
    /// A pinned XSKMAP to be in, whose program is attached already.
    #[arg(long, value_name = "PATH")]
    pub map: Option<PathBuf>,
    /// Attach no program.
    #[arg(long)]
    pub no_program: bool,
    /// Chunks of the memory.
    #[arg(long, value_name = "N", default_value_t = 4096,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub chunks: u32,
    /// Bytes in front of what is received into a chunk, beside the kernel's own.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub headroom: u32,
    /// Frames to receive (default: no end).
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub rx_pkt_count: u64,
    /// For tests: give chunks to the kernel before the socket is bound.
    #[arg(long)]
    pub fill_first: bool,
    /// For tests: give each chunk to the kernel twice, which is wrong.
    #[arg(long)]
    pub twice: bool,
    /// For tests: bind, and do nothing until the end.
    #[arg(long)]
    pub hold: bool,
}
