// SPDX-License-Identifier: GPL-2.0

//! What concerns the interface as a whole.

use super::{about, Outcome};
use crate::bench::{measured, Bench, COUNT};
use crate::programs;
use crate::verdict::Claim;

pub fn offload(bench: &mut Bench) -> Outcome {
    let result = programs::offload(bench.interface.ifindex)
        .map_err(|error| format!("no program is taken for the device: {error}"));
    about(
        bench,
        "hw-offload",
        measured(result, "a program was taken for the device"),
    )
}

pub fn restored(bench: &mut Bench) -> Outcome {
    let result = is_restored(bench);
    Ok((
        Claim::Made,
        measured(result, "no program, the same claims, traffic"),
    ))
}

fn is_restored(bench: &mut Bench) -> Result<(), String> {
    let id = programs::attached_already(bench.interface.ifindex)
        .map_err(|error| format!("asking for a program: {error}"))?;
    if id != 0 {
        return Err(format!("program {id} is attached"));
    }
    let claims = bench.claims()?;
    if claims != bench.first {
        let now = claims.describe().join("; ");
        return Err(format!("it claims something else than at first: {now}"));
    }
    let plan = bench.plan();
    bench.send(&plan)?;
    bench
        .listener
        .wait(plan.test, COUNT, bench.patience)
        .map_err(|error| error.to_string())?
        .judge(COUNT)
}
