// SPDX-License-Identifier: GPL-2.0

//! Rule 5: packets for the stack are built in a receive queue's poll, which cannot be
//! kept, or had by another thread.

#[cfg(misuse)]
use knet::net::Poll;
use knet::net::{RxPoll, RxSkb};

#[cfg(not(misuse))]
pub fn build(poll: &RxPoll<'_>) -> Option<RxSkb> {
    RxSkb::new(poll, 64)
}

#[cfg(misuse)]
pub fn build(poll: &Poll<'_>) -> Option<RxSkb> {
    RxSkb::new(poll, 64) //~ ERROR E0308
}

#[cfg(misuse)]
pub fn keep(poll: &RxPoll<'_>) -> &'static RxPoll<'static> {
    poll //~ ERROR lifetime may not live long enough
}

fn on_another_thread<T: Send>(_: T) {}

pub fn hand_over(poll: &RxPoll<'_>) {
    on_another_thread(poll.budget());
    #[cfg(misuse)]
    on_another_thread(poll); //~ ERROR E0277
}
