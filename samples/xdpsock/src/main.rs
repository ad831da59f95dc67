// SPDX-License-Identifier: GPL-2.0

//! `xdpsock`: receives, sends and forwards frames by an AF_XDP socket.
//!
//! Options and output are those of the program of this name in bpf-examples, as far as they are
//! there; what it adds is for tests: frames have counted contents that the other end can check,
//! each frame of the memory has an owner at any time, and all of it is said as JSON.

mod area;
mod bench;
mod content;
mod frames;
mod map;
mod metadata;
mod options;
mod report;
mod socket;

use bench::Bench;
use clap::{CommandFactory, Parser};
use options::{Mode, Options};
use report::Report;
use socket::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.tx_sip.is_ipv4() != options.tx_dip.is_ipv4() {
        let what = "the IP addresses of frames are of different versions";
        let kind = clap::error::ErrorKind::ArgumentConflict;
        Options::command().error(kind, what).exit();
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("xdpsock: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, Failure> {
    bench::end_by_signals();
    let socket = socket::open(options)?;
    let mut report = Report::new(options, socket.zero_copy);
    let mut bench = Bench::new(socket, options);
    bench.begin();
    report.ready();
    match options.mode() {
        _ if options.hold => bench.hold(),
        Mode::RxDrop => bench.rx_drop(&mut report),
        Mode::TxOnly => bench.tx_only(&mut report),
        Mode::L2Fwd => bench.l2_fwd(&mut report),
    }
    bench.drain();
    Ok(report.end(&bench))
}
