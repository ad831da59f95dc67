// SPDX-License-Identifier: GPL-2.0

//! `xdpsock`: receives, sends and forwards frames by AF_XDP sockets.
//!
//! Options, defaults and output are those of the program of this name in bpf-examples. What it adds:
//! frames have counted contents that the other end can check, and time stamps; each frame of the
//! memory has an owner at any time; and all of it is said as JSON, too.

mod advice;
mod area;
mod bench;
mod checks;
mod clock;
mod content;
mod control;
mod counters;
mod cycle;
mod device;
mod failure;
mod frames;
mod interrupts;
mod latency;
mod locale;
mod metadata;
mod options;
mod packet;
mod privileges;
mod program;
mod report;
mod socket;
mod source;
mod stamp;
mod times;

use bench::Bench;
use device::Device;
use failure::{failed, Failure};
use interrupts::Interrupt;
use options::Options;
use program::Program;
use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::get();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("xdpsock: {failure}");
            ExitCode::from(2)
        }
    }
}

fn interrupt(options: &Options) -> Result<Option<Interrupt>, Failure> {
    let Some(text) = &options.irq_string else {
        return Ok(None);
    };
    match Interrupt::find(text) {
        Some(interrupt) => Ok(Some(interrupt)),
        None => Err(Failure::plain(format!("no interrupts of {text}")).advise([
            "--irq-string is part of a line of /proc/interrupts, as its name is at the end"
                .to_owned(),
        ])),
    }
}

fn run(options: &Options) -> Result<bool, Failure> {
    bench::end_by_signals();
    let interrupt = interrupt(options)?;
    let device = Device::find(&options.interface)
        .map_err(failed(&format!("interface \"{}\"", options.interface)))?;
    privileges::unlimit_memory();
    let program = Program::find(&device, options)?;
    if options.reduce_cap {
        for line in privileges::reduce().map_err(failed("capabilities"))? {
            eprintln!("{line}");
        }
    }
    let bound = socket::open(options, &device)?;
    let zero_copy = bound.zero_copy;
    privileges::schedule(options.policy, options.schpri).map_err(|why| {
        Failure::new("--policy, --schpri", why).advise([
            "OTHER has the priority 0 only, FIFO those from 1 to 99, and needs CAP_SYS_NICE"
                .to_owned(),
        ])
    })?;
    let mut bench = Bench::new(bound, options);
    bench.begin();
    if let Some(program) = &program {
        bench.bound.enter(program, options)?;
    }
    let mut report = Report::new(options, interrupt, zero_copy);
    report.ready(&advice::warnings(&device, options, zero_copy));
    bench.run(&mut report);
    let good = report.end(&mut bench);
    let fault = bench.fault();
    // The sockets go first, as the program may be somebody else's.
    drop(bench);
    if let Some(program) = program {
        program.end();
    }
    fault.map_or(Ok(good), Err)
}
