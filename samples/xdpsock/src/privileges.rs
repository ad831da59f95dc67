// SPDX-License-Identifier: GPL-2.0

//! What the process may do, and when it runs.

use clap::ValueEnum;
use std::io;

/// A policy of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Policy {
    /// The usual one.
    Other,
    /// Before all of that.
    Fifo,
}

/// Runs by a policy, with a priority in it.
pub fn schedule(policy: Policy, priority: i32) -> io::Result<()> {
    let policy = match policy {
        Policy::Other => libc::SCHED_OTHER,
        Policy::Fifo => libc::SCHED_FIFO,
    };
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: The kernel reads one structure, which is valid.
    match unsafe { libc::sched_setscheduler(0, policy, &parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// May have any amount of memory locked, if that is allowed.
pub fn unlimit_memory() {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: The kernel reads one structure, which is valid. If it refuses, it says so again when
    // memory is locked.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) };
}

const VERSION: u32 = 0x2008_0522;
const CAP_NET_RAW: u32 = 13;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// Capabilities of half of the numbers.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn capabilities(number: libc::c_long, halves: &mut [Half; 2]) -> io::Result<()> {
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    // SAFETY: The kernel reads, or writes, two structures behind the header.
    let ret = unsafe { libc::syscall(number, std::ptr::from_ref(&header), halves.as_mut_ptr()) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives up all capabilities but that for sockets; the lines that say what is left.
pub fn reduce() -> io::Result<Vec<String>> {
    let mut halves = [Half::default(); 2];
    capabilities(libc::SYS_capget, &mut halves)?;
    let kept = 1 << CAP_NET_RAW;
    let [low, high] = &mut halves;
    low.effective &= kept;
    low.permitted &= kept;
    high.effective = 0;
    high.permitted = 0;
    capabilities(libc::SYS_capset, &mut halves)?;
    capabilities(libc::SYS_capget, &mut halves)?;
    let line = |half: &Half| {
        format!(
            "Capabilities EFF {:x} Caps INH {:x} Caps Per {:x}",
            half.effective, half.inheritable, half.permitted
        )
    };
    Ok(halves.iter().map(line).collect())
}
