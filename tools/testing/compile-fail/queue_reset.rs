// SPDX-License-Identifier: GPL-2.0

//! Rule 4: a queue pair is paused once at a time, and its bodies are had until it runs.

use kernel::error::Result;
use knet::net::{Driver, OpsLocked, Queues};

pub fn change<D: Driver>(
    queues: &Queues<D>,
    lock: &mut OpsLocked<'_, D>,
    resize: fn(&mut D::Tx),
) -> Result {
    let mut paused = queues.pause_pair(0, lock)?;
    let tx = paused.tx();
    #[cfg(not(misuse))]
    resize(tx);
    drop(paused); //~ ERROR E0505
    #[cfg(misuse)]
    resize(tx);
    Ok(())
}

pub fn change_two<D: Driver>(queues: &Queues<D>, lock: &mut OpsLocked<'_, D>) -> Result {
    let first = queues.pause_pair(0, lock)?;
    #[cfg(not(misuse))]
    drop(first);
    let second = queues.pause_pair(1, lock)?; //~ ERROR E0499
    #[cfg(misuse)]
    drop(first);
    drop(second);
    Ok(())
}
