// SPDX-License-Identifier: GPL-2.0

//! Rule 4: the body of a transmit queue goes with its lock.

use knet::net::{Driver, Poll, Queues};

pub fn lent<D: Driver>(queues: &Queues<D>, poll: &Poll<'_>, look: fn(&mut D::Tx)) {
    #[cfg(misuse)]
    let kept;
    if let Some(mut guard) = queues.try_lock_tx(0, poll) {
        let (tx, _) = guard.parts(); //~ ERROR E0597
        #[cfg(not(misuse))]
        look(tx);
        #[cfg(misuse)]
        {
            kept = tx;
        }
    }
    #[cfg(misuse)]
    look(kept); //~ ERROR E0381
}
