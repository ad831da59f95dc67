// SPDX-License-Identifier: GPL-2.0

//! What sockets ask for frames that they send.

use super::sockets::both;
use super::{about, Outcome};
use crate::bench::Bench;
use crate::frames::make_partial;
use crate::request::Request;
use crate::verdict::{Claim, Measured};
use crate::xsk::{Settings, Xsk};
use std::time::Duration;

/// Between two frames with launch times, and before the first one, in nanoseconds.
const STEP: u64 = 20_000_000;
const LEAD: u64 = 100_000_000;
const LAUNCHES: u32 = 16;

/// A socket in the best mode that there is, and that mode. In copy mode it is the core that does what
/// is asked for, or leaves it to the device by the ways of the stack.
fn open(bench: &mut Bench) -> Result<(Xsk, &'static str), String> {
    let settings = |zero_copy, sg| Settings {
        requests: true,
        sg,
        ..bench.settings(zero_copy)
    };
    // A large MTU may have room in several chunks only.
    for sg in [false, true] {
        if let Ok(xsk) = Xsk::open(&bench.interface, settings(true, sg)) {
            return Ok((xsk, "zero-copy"));
        }
    }
    let xsk = Xsk::open(&bench.interface, settings(false, false))?;
    Ok((xsk, "copy"))
}

/// A verdict on what the device does for a socket, if it is the device that was asked; without a claim, it
/// is good to know what the core does.
fn of_device(
    bench: &mut Bench,
    name: &str,
    measure: impl FnOnce(&mut Bench, Xsk, &str) -> Result<String, String>,
) -> Outcome {
    let (mode, result) = match open(bench) {
        Ok((xsk, mode)) => (mode, measure(bench, xsk, mode)),
        Err(why) => ("", Err(why)),
    };
    let (claim, measured) = about(bench, name, Measured::of(result))?;
    let by_core =
        mode == "copy" && matches!((&claim, &measured), (Claim::Made, Measured::Works(_)));
    let measured = if by_core {
        Measured::Unknown("only copy mode can be bound, in which the core does it".into())
    } else {
        measured
    };
    Ok((claim, measured))
}

pub fn checksum(bench: &mut Bench) -> Outcome {
    of_device(bench, "tx-checksum", checksums)
}

fn checksums(bench: &mut Bench, mut xsk: Xsk, mode: &str) -> Result<String, String> {
    let plan = bench.plan();
    let request = Request {
        checksum: true,
        ..Request::default()
    };
    let mut frames = bench.frames(&plan, Some(request));
    for (frame, _) in &mut frames {
        make_partial(frame);
    }
    let room = xsk.room();
    let sent = xsk.send(&frames, room, bench.patience);
    drop(xsk);
    let arrived = bench.far.wait(plan.test, plan.count)?.judge(plan.count);
    both(arrived, sent)
        .map(|()| format!("the peer got all with right checksums ({mode} mode)"))
        .map_err(|why| format!("{why} ({mode} mode)"))
}

pub fn timestamp(bench: &mut Bench) -> Outcome {
    of_device(bench, "tx-timestamp", timestamps)
}

fn timestamps(bench: &mut Bench, mut xsk: Xsk, mode: &str) -> Result<String, String> {
    let plan = bench.plan();
    let request = Request {
        stamp: true,
        ..Request::default()
    };
    let frames = bench.frames(&plan, Some(request));
    let room = xsk.room();
    xsk.send(&frames, room, bench.patience)?;
    judge_stamps(&xsk.stamps, plan.count as usize)
        .map(|()| format!("{} times, in order ({mode} mode)", plan.count))
        .map_err(|why| format!("{why} ({mode} mode)"))
}

fn judge_stamps(stamps: &[u64], count: usize) -> Result<(), String> {
    let given = stamps.iter().filter(|stamp| **stamp != 0).count();
    if given != count {
        return Err(format!("{given} of {count} frames have a time"));
    }
    if stamps.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err("times go back".into());
    }
    if count > 1 && stamps.first() == stamps.last() {
        return Err("all have the same time".into());
    }
    Ok(())
}

pub fn launch_time(bench: &mut Bench) -> Outcome {
    of_device(bench, "tx-launch-time-fifo", launches)
}

fn launches(bench: &mut Bench, mut xsk: Xsk, mode: &str) -> Result<String, String> {
    let mut plan = bench.plan();
    plan.count = LAUNCHES;
    let start = now() + LEAD;
    let frames: Vec<_> = bench
        .frames(&plan, None)
        .into_iter()
        .zip(0u64..)
        .map(|((frame, _), at)| {
            let request = Request {
                launch: Some(start + at * STEP),
                ..Request::default()
            };
            (frame, Some(request))
        })
        .collect();
    let room = xsk.room();
    let all = Duration::from_nanos(LEAD + STEP * u64::from(LAUNCHES));
    let sent = xsk.send(&frames, room, bench.patience + all);
    drop(xsk);
    let tally = bench.far.wait(plan.test, plan.count)?;
    tally.judge(plan.count)?;
    judge_launches(&tally.times).map_err(|why| format!("{why} ({mode} mode)"))?;
    sent.map(|()| format!("{LAUNCHES} frames, {} ms apart", STEP / 1_000_000))
}

/// Whether frames arrived as far apart as they were to be sent: never much closer.
fn judge_launches(times: &[(u32, u64)]) -> Result<(), String> {
    let (Some(&(first, begin)), Some(&(last, end))) = (times.first(), times.last()) else {
        return Err("no frame came".into());
    };
    if times.windows(2).any(|pair| pair[0].0 > pair[1].0) {
        return Err("not in order".into());
    }
    let planned = u64::from(last - first) * STEP;
    let real = end.saturating_sub(begin);
    let slack = planned / 5;
    if real < planned - slack {
        return Err(format!(
            "{} ms from the first to the last instead of {}",
            real / 1_000_000,
            planned / 1_000_000
        ));
    }
    Ok(())
}

/// Nanoseconds of TAI, which the device's clock is taken to follow.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: One structure, which is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_TAI, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        assert_eq!(judge_stamps(&[1, 2, 2, 5], 4), Ok(()));
        assert!(judge_stamps(&[1, 0, 2], 3).is_err());
        assert!(judge_stamps(&[1, 3, 2], 3).is_err());
        assert!(judge_stamps(&[1], 2).is_err());
        assert!(judge_stamps(&[1, 1, 1], 3).is_err());
        assert_eq!(judge_stamps(&[1], 1), Ok(()));
    }

    #[test]
    fn launches() {
        let at = |step: u64| -> Vec<(u32, u64)> {
            (0..10)
                .map(|number| (number, 7 + u64::from(number) * step))
                .collect()
        };
        assert_eq!(judge_launches(&at(STEP)), Ok(()));
        // Late is not early.
        assert_eq!(judge_launches(&at(STEP * 2)), Ok(()));
        assert!(judge_launches(&at(10)).is_err());
        assert!(judge_launches(&[]).is_err());
        assert!(judge_launches(&[(1, 5), (0, 6)]).is_err());
    }
}
