// SPDX-License-Identifier: GPL-2.0

//! Frames that are sent.

use super::{parse, Options};
use crate::clock::Clock;
use crate::content::Payload;
use crate::metadata;
use crate::packet::{Flow, Partial, FCS};
use crate::stamp::Kind;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr};

/// How frames look that are sent.
#[derive(Args, Debug)]
#[command(next_help_heading = "Frames to send")]
pub struct Transmit {
    /// Bytes of a frame with its Ethernet checksum.
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(64..=9728))]
    tx_pkt_size: u16,
    /// What the payload repeats.
    #[arg(short = 'P', long, value_name = "HEX", default_value = "0x12345678",
        value_parser = parse::pattern)]
    tx_pkt_pattern: u32,
    /// With a VLAN tag.
    #[arg(short = 'V', long)]
    tx_vlan: bool,
    /// The number of the VLAN.
    #[arg(short = 'J', long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(..=4095))]
    tx_vlan_id: u16,
    /// The priority in it.
    #[arg(short = 'K', long, value_name = "N", default_value_t = 0,
        value_parser = clap::value_parser!(u16).range(..=7))]
    tx_vlan_pri: u16,
    /// Whom they are for.
    #[arg(short = 'G', long, value_name = "MAC", default_value = "3c:fd:fe:9e:7f:71",
        value_parser = parse::mac)]
    tx_dmac: [u8; 6],
    /// Whom they are from.
    #[arg(short = 'H', long, value_name = "MAC", default_value = "ec:b1:d7:98:3a:c0",
        value_parser = parse::mac)]
    tx_smac: [u8; 6],
    /// Microseconds from one batch to the next.
    #[arg(
        short = 'T',
        long,
        value_name = "US",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub tx_cycle: u64,
    /// With a time stamp as pktgen has it, in microseconds.
    #[arg(short = 'y', long)]
    tstamp: bool,

    /// Added: the IP address that they are from.
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::new(10, 10, 10, 16).into())]
    tx_sip: IpAddr,
    /// Added: the one that they are for.
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::new(10, 10, 10, 32).into())]
    tx_dip: IpAddr,
    /// Added: the UDP port of both.
    #[arg(long, value_name = "PORT", default_value_t = 4096)]
    tx_port: u16,
    /// Added: have the device complete their UDP checksums.
    #[arg(long)]
    pub tx_csum: bool,
    /// Added: have the kernel complete them itself, in copy mode.
    #[arg(long, requires = "tx_csum")]
    pub tx_sw_csum: bool,
    /// Added: where the checksum is said to begin, for tests (default: where it does).
    #[arg(long, value_name = "BYTE", requires = "tx_csum")]
    pub tx_csum_at: Option<u16>,
    /// Added: have the device say when each was sent.
    #[arg(long)]
    pub tx_tstamp: bool,
    /// Added: have each batch sent so many microseconds after it is given to the kernel.
    #[arg(
        long,
        value_name = "US",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub launch_time: u64,
}

impl Transmit {
    /// What a parser does not see.
    pub fn check(&self) -> Result<(), String> {
        if self.tx_sip.is_ipv4() != self.tx_dip.is_ipv4() {
            return Err("--tx-sip and --tx-dip are of different versions".to_owned());
        }
        Ok(())
    }

    /// Whether anything is asked of the device for each.
    pub fn has_metadata(&self) -> bool {
        self.tx_csum || self.tx_tstamp || self.launch_time != 0
    }
}

impl Options {
    /// How frames that are sent are addressed.
    pub fn flow(&self) -> Flow {
        let transmit = self.transmit();
        Flow {
            macs: [transmit.tx_smac, transmit.tx_dmac],
            vlan: transmit
                .tx_vlan
                .then_some(transmit.tx_vlan_id | (transmit.tx_vlan_pri << 13)),
            ips: [transmit.tx_sip, transmit.tx_dip],
            port: transmit.tx_port,
            is_partial: transmit.tx_csum,
        }
    }

    /// What is asked of the device for their checksums, if anything is.
    pub fn partial(&self) -> Option<Partial> {
        self.flow().partial().map(|partial| Partial {
            start: self.transmit().tx_csum_at.unwrap_or(partial.start),
            ..partial
        })
    }

    /// What is in them.
    pub fn payload(&self) -> Payload {
        let transmit = self.transmit();
        Payload {
            stamp: match (transmit.tstamp, self.latency) {
                (true, _) => Some(Kind::Pktgen),
                (false, true) => Some(Kind::Nanoseconds),
                (false, false) => None,
            },
            pattern: (!self.verify).then_some(transmit.tx_pkt_pattern),
        }
    }

    /// Their bytes: those that are asked for, or more if something has no room in so few.
    pub fn tx_len(&self) -> usize {
        let least = self.flow().headers() + self.payload().head_len();
        least.max(usize::from(self.transmit().tx_pkt_size) - FCS)
    }

    /// Bytes of metadata in front of frames that are sent.
    pub fn metadata_len(&self) -> usize {
        let transmit = self.transmit();
        if transmit.has_metadata() {
            metadata::len(transmit.launch_time != 0)
        } else {
            0
        }
    }

    /// Bytes of a chunk that a frame can have.
    pub fn chunk(&self) -> usize {
        (self.frame_size as usize).saturating_sub(self.metadata_len())
    }

    /// The clock by which the device says times.
    pub const DEVICE_CLOCK: Clock = Clock::Tai;
}
