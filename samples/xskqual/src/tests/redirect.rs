// SPDX-License-Identifier: GPL-2.0

//! XDP_REDIRECT, and the other end of it, `ndo_xdp_xmit`.

use super::{about, actions, sockets, Outcome};
use crate::bench::{measured, Bench, COUNT};
use crate::programs::Action;
use crate::verdict::Claim;

pub fn processor(bench: &mut Bench) -> Outcome {
    let result = to_processor(bench);
    about(
        bench,
        "redirect",
        measured(result, "the stack got all, by processor 0"),
    )
}

fn to_processor(bench: &mut Bench) -> Result<(), String> {
    let _attached = bench.attach()?;
    let plan = bench.plan();
    let tally = bench.judge(Action::Processor, &plan, COUNT)?;
    bench.all_seen(plan.count)?;
    tally.judge(plan.count)
}

pub fn socket(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(false);
    let result = sockets::receive(bench, settings);
    about(
        bench,
        "redirect",
        measured(result.map(|_| ()), "a socket got all"),
    )
}

pub fn device(bench: &mut Bench) -> Outcome {
    let ifindex = bench.interface.ifindex;
    let attached = bench.attach();
    let claims = bench.claims()?;
    drop(attached);
    let claim = Claim::when(claims.has("redirect") && claims.has("ndo-xmit"));
    let result = actions::back(bench, Action::Device(ifindex));
    Ok((claim, measured(result, "the peer got all back, unchanged")))
}

fn xmit(bench: &mut Bench) -> Result<(), String> {
    let plan = bench.plan();
    for (frame, _) in bench.frames(&plan, None) {
        bench
            .actions
            .launch(bench.interface.ifindex, &frame)
            .map_err(|error| format!("running a program: {error}"))?;
    }
    bench.far.wait(plan.test, plan.count)?.judge(plan.count)
}

pub fn xmit_without(bench: &mut Bench) -> Outcome {
    let result = xmit(bench);
    about(bench, "ndo-xmit", measured(result, "the peer got all"))
}

pub fn xmit_with(bench: &mut Bench) -> Outcome {
    let attached = bench.attach();
    let claim = Claim::when(bench.claims()?.has("ndo-xmit"));
    let result = attached.and_then(|_attached| xmit(bench));
    Ok((claim, measured(result, "the peer got all")))
}
