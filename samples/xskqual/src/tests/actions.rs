// SPDX-License-Identifier: GPL-2.0

//! The verdicts of every driver with XDP.

use super::{about, Outcome};
use crate::bench::{measured, Bench};
use crate::programs::Action;

/// A program's frames here, with what the stack is to get of them.
fn here(bench: &mut Bench, action: Action, wanted: u32) -> Result<(), String> {
    let _attached = bench.attach()?;
    let plan = bench.plan();
    let tally = bench.judge(action, &plan, wanted)?;
    bench.all_seen(plan.count)?;
    tally.judge(wanted)
}

pub fn pass(bench: &mut Bench) -> Outcome {
    let result = here(bench, Action::Pass, crate::bench::COUNT);
    about(
        bench,
        "basic",
        measured(result, "the stack got all, unchanged"),
    )
}

pub fn drop(bench: &mut Bench) -> Outcome {
    let result = here(bench, Action::Drop, 0);
    about(bench, "basic", measured(result, "the stack got none"))
}

pub fn aborted(bench: &mut Bench) -> Outcome {
    let result = here(bench, Action::Aborted, 0);
    about(bench, "basic", measured(result, "the stack got none"))
}

pub fn tx(bench: &mut Bench) -> Outcome {
    let result = back(bench, Action::Tx);
    about(
        bench,
        "basic",
        measured(result, "the peer got all back, unchanged"),
    )
}

/// Frames that a program has leave by the same device.
pub(super) fn back(bench: &mut Bench, action: Action) -> Result<(), String> {
    let _attached = bench.attach()?;
    let plan = bench.plan();
    bench.judge(action, &plan, 0)?;
    bench.all_seen(plan.count)?;
    bench.far.wait(plan.test, plan.count)?.judge(plan.count)
}
