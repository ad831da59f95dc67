// SPDX-License-Identifier: GPL-2.0

//! The command line.

use crate::{content::Flow, metadata};
use clap::{ArgGroup, Parser};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What is done with frames.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Received, and dropped.
    RxDrop,
    /// Sent.
    TxOnly,
    /// Received, and sent back with the addresses swapped.
    L2Fwd,
}

/// Receives, sends and forwards frames by AF_XDP.
#[derive(Parser)]
#[command(group(ArgGroup::new("mode").args(["rxdrop", "txonly", "l2fwd"])))]
pub struct Options {
    /// Discard all received frames (default).
    #[arg(short = 'r', long)]
    pub rxdrop: bool,
    /// Only send frames.
    #[arg(short = 't', long)]
    pub txonly: bool,
    /// Swap the addresses of received frames and send them back.
    #[arg(short = 'l', long)]
    pub l2fwd: bool,

    /// The interface.
    #[arg(short, long)]
    pub interface: String,
    /// The queue.
    #[arg(short, long, default_value_t = 0)]
    pub queue: u32,
    /// Wait by poll.
    #[arg(short, long)]
    pub poll: bool,
    /// Force zero-copy mode.
    #[arg(short, long, conflicts_with = "copy")]
    pub zero_copy: bool,
    /// Force copy mode.
    #[arg(short, long)]
    pub copy: bool,
    /// Do without need-wakeup flags.
    #[arg(short = 'm', long)]
    pub no_need_wakeup: bool,
    /// Poll the device from here, by system calls.
    #[arg(short = 'B', long)]
    pub busy_poll: bool,
    /// Chunks at any place of the memory.
    #[arg(short = 'u', long)]
    pub unaligned: bool,
    /// Frames over several chunks.
    #[arg(short = 'F', long)]
    pub frags: bool,
    /// Bytes of a chunk.
    #[arg(short = 'f', long, default_value_t = 4096)]
    pub frame_size: u32,
    /// Bytes in front of what is received into a chunk, beside the kernel's own.
    #[arg(long, default_value_t = 0)]
    pub headroom: u32,
    /// Chunks of the memory.
    #[arg(long, default_value_t = 4096)]
    pub frames: u32,
    /// Frames at a time.
    #[arg(short, long, default_value_t = 64)]
    pub batch_size: u32,
    /// Seconds between lines.
    #[arg(short = 'n', long, default_value_t = 1)]
    pub interval: u64,
    /// Seconds to run, or no end.
    #[arg(short, long, default_value_t = 0)]
    pub duration: u64,
    /// Frames to send, or no end.
    #[arg(short = 'C', long, default_value_t = 0)]
    pub tx_pkt_count: u64,
    /// Microseconds from one batch that is sent to the next.
    #[arg(short = 'T', long, default_value_t = 0)]
    pub tx_cycle: u64,
    /// Bytes of a frame that is sent, without its own checksum.
    #[arg(short = 's', long, default_value_t = 64)]
    pub tx_pkt_size: usize,
    /// Whom frames are sent to.
    #[arg(short = 'G', long, default_value = "ff:ff:ff:ff:ff:ff", value_parser = mac)]
    pub tx_dmac: [u8; 6],
    /// Whom they are from.
    #[arg(short = 'H', long, default_value = "02:00:00:00:00:01", value_parser = mac)]
    pub tx_smac: [u8; 6],

    /// Which IP address frames are from (default: of networks under test).
    #[arg(long, default_value_t = Ipv4Addr::new(198, 18, 0, 1).into())]
    pub tx_sip: IpAddr,
    /// Which IP address they are for.
    #[arg(long, default_value_t = Ipv4Addr::new(198, 18, 0, 2).into())]
    pub tx_dip: IpAddr,
    /// Their UDP port.
    #[arg(long, default_value_t = 4096)]
    pub tx_port: u16,
    /// Has the device complete their UDP checksums.
    #[arg(long)]
    pub tx_checksum: bool,
    /// Has the kernel complete them itself, in copy mode.
    #[arg(long, requires = "tx_checksum")]
    pub sw_checksum: bool,
    /// Where the checksum is said to begin, for tests (default: where it does).
    #[arg(long, requires = "tx_checksum")]
    pub tx_checksum_at: Option<u16>,
    /// Asks when frames were sent.
    #[arg(long)]
    pub tx_timestamp: bool,
    /// Has each batch sent so many microseconds later than it is given to the kernel.
    #[arg(long, default_value_t = 0)]
    pub tx_launch: u64,

    /// The pinned XSKMAP to be in; its program is attached already.
    #[arg(long)]
    pub map: Option<PathBuf>,
    /// Frames to receive, or no end.
    #[arg(long, default_value_t = 0)]
    pub rx_pkt_count: u64,
    /// Frames that are received have counted contents.
    #[arg(long)]
    pub verify: bool,
    /// Give chunks to the kernel before the socket is bound.
    #[arg(long)]
    pub fill_first: bool,
    /// Give each chunk to the kernel twice, which is wrong.
    #[arg(long)]
    pub twice: bool,
    /// Bind, and do nothing until the end.
    #[arg(long)]
    pub hold: bool,
    /// A line of JSON when the socket is there, and one at the end.
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// How frames that are sent are addressed.
    pub fn flow(&self) -> Flow {
        Flow {
            macs: [self.tx_smac, self.tx_dmac],
            ips: [self.tx_sip, self.tx_dip],
            port: self.tx_port,
            is_partial: self.tx_checksum,
        }
    }

    /// Bytes of metadata in front of frames that are sent, if there is any.
    pub fn metadata_len(&self) -> Option<usize> {
        let launch = self.tx_launch != 0;
        (self.tx_checksum || self.tx_timestamp || launch).then(|| metadata::len(launch))
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
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let mut bytes = text.split(':').map(|part| u8::from_str_radix(part, 16));
    let mut mac = [0; 6];
    for byte in &mut mac {
        *byte = bytes
            .next()
            .and_then(Result::ok)
            .ok_or_else(|| format!("{text}: no MAC address"))?;
    }
    Ok(mac)
}
