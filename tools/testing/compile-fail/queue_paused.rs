// SPDX-License-Identifier: GPL-2.0

//! Rule 4: the body of a receive queue is reached while it is paused, with the lock, and
//! by one at a time.

use kernel::error::Result;
use knet::net::{Driver, OpsLocked, Pages, Queues};

pub fn touch<D: Driver>(queues: &Queues<D>, lock: &mut OpsLocked<'_, D>) -> Result {
    #[cfg(not(misuse))]
    let inside = |_: &mut D::Rx, _: Pages<'_>| ();
    #[cfg(misuse)]
    let inside = |_: &mut D::Rx, _: Pages<'_>| queues.resume(0, lock);
    queues.with_paused_rx(0, lock, inside) //~ ERROR E0501
}
