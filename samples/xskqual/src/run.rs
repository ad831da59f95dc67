// SPDX-License-Identifier: GPL-2.0

//! A run: what must be there first, then one test after the other.

use crate::bench::Bench;
use crate::far::Far;
use crate::guard::{Guard, TROUBLE};
use crate::interface::Interface;
use crate::options::InterfaceOptions;
use crate::programs;
use crate::tests::{self, Test};
use crate::verdict::{Claim, Measured, Verdict};
use afxdp::netdev;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_BPF: u32 = 39;

/// What the process lacks, of what it needs.
fn missing(effective: u64) -> Vec<&'static str> {
    let has = |number: u32| (effective >> number) & 1 == 1;
    let mut missing = Vec::new();
    for (name, is_there) in [
        ("CAP_NET_ADMIN", has(CAP_NET_ADMIN)),
        ("CAP_NET_RAW", has(CAP_NET_RAW)),
        ("CAP_BPF", has(CAP_BPF) || has(CAP_SYS_ADMIN)),
    ] {
        if !is_there {
            missing.push(name);
        }
    }
    missing
}

/// Effective capabilities, of a text like /proc/self/status.
fn effective(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Refuses without what only root has.
pub fn check_rights() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let missing = missing(effective(&status).unwrap_or(0));
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("needs {}: run it as root", missing.join(", ")))
    }
}

/// The interface, which must be up; a carrier may take a while to come.
pub fn find(name: &str, patience: Duration) -> Result<Interface, String> {
    let end = Instant::now() + patience;
    loop {
        let interface = Interface::find(name).map_err(|error| match error.raw_os_error() {
            Some(libc::ENODEV) => format!("there is no interface {name} in this network namespace"),
            _ => format!("{name}: {error}"),
        })?;
        if interface.is_running {
            return Ok(interface);
        }
        if Instant::now() > end {
            return Err(format!("{name} is down, or has no carrier"));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn prepare(options: &InterfaceOptions) -> Result<Bench, String> {
    check_rights()?;
    let interface = find(&options.interface, options.patience())?;
    let id = programs::attached_already(interface.ifindex)
        .map_err(|error: io::Error| format!("{}: {error}", interface.name))?;
    if id != 0 {
        return Err(format!(
            "{} has XDP program {id} already: take it off first",
            interface.name
        ));
    }
    let claims = netdev::claims_of(interface.ifindex)?;
    let address = options.with.ok_or("no peer is named")?;
    let far = Far::find(address, options.patience())?;
    if far.hello.mac == interface.mac {
        return Err("the peer is on the same interface".into());
    }
    Bench::new(interface, far, options.patience(), claims)
}

/// Runs the tests, and prints what they find; the process's status.
pub fn run(options: &InterfaceOptions) -> Result<i32, String> {
    let wanted: Vec<&Test> = tests::ALL
        .iter()
        .filter(|test| options.wants(test.name))
        .collect();
    if wanted.is_empty() {
        return Err("no test has such a name: see `xskqual tests`".into());
    }
    let guard = Guard::new();
    // Many waits for an answer or for frames are in a test, one after the other.
    let limit = options.patience() * 20 + Duration::from_secs(20);
    guard.step("getting ready", limit);
    let mut bench = prepare(options)?;
    println!("KTAP version 1");
    print!("{}", heading(&bench));
    if let Err(why) = bench.find_queue(options.queue) {
        // Frames that cannot come would be the device's fault.
        if bench.flows.is_empty() {
            println!("Bail out! {why}");
            return Err(why);
        }
        // If no program runs, tests will say so.
        println!("# queue: {why}");
    }
    println!(
        "# queue {}, to which {} of the peer's flows come",
        bench.queue,
        bench.flows.len()
    );
    println!("1..{}", wanted.len());
    let mut verdicts = Vec::new();
    for (test, number) in wanted.into_iter().zip(1..) {
        guard.step(test.name, limit);
        let outcome = (test.run)(&mut bench);
        if let Err(why) = bench.claims() {
            println!(
                "Bail out! {}: what is claimed cannot be read: {why}",
                test.name
            );
            return Ok(TROUBLE);
        }
        let (claim, measured) =
            outcome.unwrap_or_else(|why| (Claim::NotMade, Measured::Unknown(why)));
        let verdict = Verdict::new(test.name, claim, measured);
        // It may be the peer that has failed, and not the device.
        if (!verdict.holds || verdict.is_skipped) && !bench.far.is_there() {
            println!("Bail out! {}: the peer answers no more", test.name);
            return Ok(TROUBLE);
        }
        println!("{}", verdict.line(number));
        verdicts.push(verdict);
    }
    guard.rest();
    println!("{}", summary(&verdicts));
    let fails = |verdict: &Verdict| !verdict.holds || options.strict && verdict.is_open;
    Ok(i32::from(verdicts.iter().any(fails)))
}

fn heading(bench: &Bench) -> String {
    let Interface {
        name, driver, mtu, ..
    } = &bench.interface;
    let far = &bench.far.hello;
    let mut text = format!(
        "# {name}: driver {driver}, MTU {mtu}; peer {}, MTU {}\n",
        far.interface, far.mtu
    );
    for line in bench.first.describe() {
        text += &format!("# {line}\n");
    }
    text
}

fn summary(verdicts: &[Verdict]) -> String {
    let count = |is: fn(&&Verdict) -> bool| verdicts.iter().filter(is).count();
    let sums = format!(
        "# {} passed, {} failed, {} skipped",
        count(|verdict| verdict.holds && !verdict.is_skipped),
        count(|verdict| !verdict.holds),
        count(|verdict| verdict.holds && verdict.is_skipped)
    );
    match count(|verdict| verdict.is_open) {
        0 => sums,
        open => format!("{sums}; {open} of these are claimed, and were not measured"),
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn rights() {
        let status = "Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n";
        assert_eq!(missing(effective(status).unwrap()), Vec::<&str>::new());
        assert_eq!(effective("Name:\tx\n"), None);
        assert_eq!(missing(0), ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]);
        // What had all of BPF before it had a capability of its own.
        assert_eq!(
            missing((1 << 12) | (1 << 13) | (1 << 21)),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn sums() {
        let verdict = |claim, measured| Verdict::new("x", claim, measured);
        let text = summary(&[
            verdict(Claim::Made, Measured::Works(String::new())),
            verdict(Claim::Made, Measured::Fails(String::new())),
            verdict(Claim::NotMade, Measured::Fails(String::new())),
        ]);
        assert_eq!(text, "# 1 passed, 1 failed, 1 skipped");
        let open = summary(&[verdict(Claim::Made, Measured::Unknown(String::new()))]);
        assert_eq!(
            open,
            "# 0 passed, 0 failed, 1 skipped; 1 of these are claimed, and were not measured"
        );
    }

    #[test]
    fn names_of_tests_are_different() {
        let names: std::collections::BTreeSet<_> =
            tests::ALL.iter().map(|test| test.name).collect();
        assert_eq!(names.len(), tests::ALL.len());
    }
}
