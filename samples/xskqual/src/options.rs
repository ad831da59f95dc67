// SPDX-License-Identifier: GPL-2.0

//! The command line.

use crate::protocol;
use clap::{Args, Parser, Subcommand};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Holds what a network device claims of XDP and AF_XDP against what it does.
#[derive(Parser, Debug)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
pub struct Options {
    /// Another task
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to do with an interface
    #[command(flatten)]
    pub interface: Option<InterfaceOptions>,
}

/// Tasks beside the main one.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Prints what the drivers of the running kernel support
    Drivers(DriversOptions),
    /// Prints the names of the tests, and what they show
    Tests,
}

/// Of the main task.
#[derive(Args, Debug)]
pub struct InterfaceOptions {
    /// The interface
    #[arg(short, long, required = true)]
    pub interface: String,
    /// Answer the other end of the link, instead of testing this one
    #[arg(short, long, conflicts_with = "with")]
    pub peer: bool,
    /// Where the peer answers: an address, or an address and a port
    #[arg(short, long, value_parser = address, required_unless_present = "peer")]
    pub with: Option<SocketAddr>,
    /// The peer's own address, and port
    #[arg(long, value_parser = address, requires = "peer")]
    pub listen: Option<SocketAddr>,
    /// The peer ends when nobody has asked for so many seconds
    #[arg(long, default_value_t = 600, requires = "peer")]
    pub idle: u64,
    /// The queue of AF_XDP sockets; without, one that the peer's frames come to
    #[arg(short, long)]
    pub queue: Option<u32>,
    /// Seconds that frames and answers may be on their way
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub patience: f64,
    /// The peer has a program that passes all on its interface, which some devices need: veth sends
    /// nothing back (XDP_TX) to an end without
    #[arg(long, requires = "peer")]
    pub program: bool,
    /// Only tests whose names begin so; can be given several times
    #[arg(short, long)]
    pub only: Vec<String>,
    /// A claim that cannot be measured does not hold
    #[arg(long, conflicts_with = "peer")]
    pub strict: bool,
}

/// Of the table of drivers.
#[derive(Args, Debug)]
pub struct DriversOptions {
    /// As Markdown
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Drivers without any XDP, too
    #[arg(long)]
    pub all: bool,
    /// Only drivers whose names begin so; can be given several times
    #[arg(short, long)]
    pub only: Vec<String>,
    /// Where the modules are; without, /lib/modules and the kernel's release
    #[arg(long)]
    pub modules: Option<PathBuf>,
    /// A module file beside these; can be given several times
    #[arg(long)]
    pub module: Vec<PathBuf>,
    /// The BTF of the kernel whose modules they are; without, the running one's
    #[arg(long)]
    pub btf: Option<PathBuf>,
}

fn begins(name: &str, starts: &[String]) -> bool {
    starts.is_empty() || starts.iter().any(|start| name.starts_with(start))
}

impl DriversOptions {
    /// Whether a driver is wanted.
    pub fn wants(&self, name: &str) -> bool {
        begins(name, &self.only)
    }
}

impl InterfaceOptions {
    /// How long frames and answers may be on their way.
    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience)
    }

    /// Where the peer answers.
    pub fn listen(&self) -> SocketAddr {
        self.listen
            .unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, protocol::PORT).into())
    }

    /// Whether a test is wanted.
    pub fn wants(&self, name: &str) -> bool {
        begins(name, &self.only)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| {
            text.parse::<IpAddr>()
                .map(|address| (address, protocol::PORT).into())
        })
        .map_err(|_| "not an address, nor an address and a port".into())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("from 0.1 to 60".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(format!("xskqual {words}").split_whitespace())
    }

    #[test]
    fn options_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn three_ways() {
        let options = parse("-i eth0 --with 192.0.2.2")
            .unwrap()
            .interface
            .unwrap();
        assert_eq!(options.with.unwrap().to_string(), "192.0.2.2:20825");
        let options = parse("-i eth0 --with [2001:db8::2]:7")
            .unwrap()
            .interface
            .unwrap();
        assert_eq!(options.with.unwrap().port(), 7);
        let options = parse("-i eth0 --peer").unwrap().interface.unwrap();
        assert_eq!(options.listen().to_string(), "[::]:20825");
        assert!(matches!(
            parse("drivers --markdown").unwrap().command,
            Some(Command::Drivers(_))
        ));
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            "-i eth0",
            "--with 192.0.2.2",
            "-i eth0 --with nowhere",
            "-i eth0 --peer --with 192.0.2.2",
            "-i eth0 --with 192.0.2.2 --patience 0",
            "drivers --json --markdown",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
    }

    #[test]
    fn tests_are_chosen_by_prefix() {
        let options = parse("-i a --with ::1 -o basic -o zerocopy.tx").unwrap();
        let options = options.interface.unwrap();
        assert!(options.wants("basic.tx"));
        assert!(options.wants("zerocopy.tx"));
        assert!(!options.wants("zerocopy.rx"));
    }
}
