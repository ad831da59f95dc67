// SPDX-License-Identifier: GPL-2.0

//! Holds what a network device claims of XDP and AF_XDP against what it does.

mod area;
mod bench;
mod drivers;
mod far;
mod frames;
mod guard;
mod interface;
mod ledger;
mod listener;
mod options;
mod packet;
mod peer;
mod programs;
mod protocol;
mod request;
mod run;
mod tally;
mod tests;
mod verdict;
mod xsk;

use clap::Parser;
use options::{Command, InterfaceOptions, Options};
use std::process::exit;
use std::time::Duration;

fn main() {
    let options = Options::parse();
    guard::on_signals();
    let result = match (&options.command, &options.interface) {
        (Some(Command::Drivers(options)), _) => drivers::run(options),
        (Some(Command::Tests), _) => {
            list();
            Ok(0)
        }
        (None, Some(options)) => with_interface(options),
        (None, None) => Err("an interface is needed: --interface".into()),
    };
    exit(result.unwrap_or_else(|why| {
        eprintln!("xskqual: {why}");
        guard::TROUBLE
    }));
}

fn list() {
    for test in tests::ALL {
        println!("{:24} {}", test.name, test.what);
    }
}

fn with_interface(options: &InterfaceOptions) -> Result<i32, String> {
    if options.peer {
        run::check_rights()?;
        let interface = run::find(&options.interface, options.patience())?;
        peer::serve(
            interface,
            options.listen(),
            Duration::from_secs(options.idle),
            options.program,
        )?;
        return Ok(0);
    }
    run::run(options)
}
