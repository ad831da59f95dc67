// SPDX-License-Identifier: GPL-2.0

//! Frames over several buffers.

use super::Outcome;
use crate::bench::{measured, Bench};
use crate::frames::Plan;
use crate::programs::Action;
use crate::verdict::{Claim, Measured};
use afxdp::claims::Claims;

/// Claims while a program is attached, and frames; or why there are none.
fn prepare(bench: &mut Bench) -> Result<(Claims, Option<Plan>), String> {
    let attached = bench.attach_frags();
    let claims = bench.claims()?;
    drop(attached);
    Ok((claims, bench.long_plan()))
}

fn too_short(bench: &Bench) -> Measured {
    let mtu = bench.interface.mtu.min(bench.far.hello.mtu);
    Measured::Unknown(format!(
        "frames of MTU {mtu} are in one buffer; have 9000 at both ends"
    ))
}

/// Whether the program has seen the frames whole.
fn seen(bench: &Bench, plan: &Plan) -> Result<(), String> {
    bench.all_seen(plan.count)?;
    let seen = bench.actions.seen().map_err(|error| error.to_string())?;
    let bytes: usize = (0..plan.count).map(|number| plan.length(number)).sum();
    if seen.bytes != bytes as u64 {
        return Err(format!(
            "the program has seen {} of {bytes} bytes",
            seen.bytes
        ));
    }
    Ok(())
}

/// How it works, what is wrong, or that buffers are so large that nobody knows.
fn judged(bench: &Bench, result: Result<(), String>, how: String) -> Measured {
    match (&result, bench.actions.seen()) {
        (Ok(()), Ok(seen)) if seen.frags == 0 => {
            Measured::Unknown("no frame was in several buffers".into())
        }
        _ => measured(result, how),
    }
}

pub fn pass(bench: &mut Bench) -> Outcome {
    let (claims, plan) = prepare(bench)?;
    let claim = Claim::when(claims.has("rx-sg"));
    let Some(plan) = plan else {
        return Ok((claim, too_short(bench)));
    };
    let result = passed(bench, &plan);
    let how = format!("the stack got all, up to {} bytes", plan.longest);
    Ok((claim, judged(bench, result, how)))
}

fn passed(bench: &mut Bench, plan: &Plan) -> Result<(), String> {
    let _attached = bench.attach_frags()?;
    let tally = bench.judge(Action::Pass, plan, plan.count)?;
    seen(bench, plan)?;
    tally.judge(plan.count)
}

fn back(bench: &mut Bench, plan: &Plan, action: Action) -> Result<(), String> {
    let _attached = bench.attach_frags()?;
    bench.judge(action, plan, 0)?;
    seen(bench, plan)?;
    bench.far.wait(plan.test, plan.count)?.judge(plan.count)
}

pub fn tx(bench: &mut Bench) -> Outcome {
    let (claims, plan) = prepare(bench)?;
    let claim = Claim::when(claims.has("rx-sg"));
    let Some(plan) = plan else {
        return Ok((claim, too_short(bench)));
    };
    let result = back(bench, &plan, Action::Tx);
    let how = format!("the peer got all back, up to {} bytes", plan.longest);
    Ok((claim, judged(bench, result, how)))
}

pub fn xmit(bench: &mut Bench) -> Outcome {
    let (claims, plan) = prepare(bench)?;
    let claim = Claim::when(claims.has("ndo-xmit-sg"));
    if !claims.has("rx-sg") {
        let why = "such frames would have to be received here first, and `rx-sg` is not claimed";
        return Ok((claim, Measured::Unknown(why.into())));
    }
    let Some(plan) = plan else {
        return Ok((claim, too_short(bench)));
    };
    let result = back(bench, &plan, Action::Device(bench.interface.ifindex));
    let how = format!("the peer got all back, up to {} bytes", plan.longest);
    Ok((claim, judged(bench, result, how)))
}
