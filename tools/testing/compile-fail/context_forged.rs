// SPDX-License-Identifier: GPL-2.0

//! Rule 5: a context cannot be made up.

use knet::net::{Poll, RxPoll};

pub fn of_transmit_queue<'a>(poll: &'a RxPoll<'_>) -> &'a Poll<'a> {
    poll
}

#[cfg(misuse)]
pub fn of_receive_queue(poll: Poll<'_>) -> RxPoll<'_> {
    RxPoll { poll, queue: 0 } //~ ERROR private fields
}
