// SPDX-License-Identifier: GPL-2.0

//! Rule 6: there is one frame at a time where programs look at them.

use knet::net::{Pages, Received, RxPoll, XdpRoom};

pub fn two(first: Received, second: Received, pages: &mut Pages<'_>, poll: &RxPoll<'_>) {
    let Some(mut room) = XdpRoom::new(poll) else {
        return;
    };
    let frame = room.begin(first, 12, &[0; 24], pages);
    #[cfg(not(misuse))]
    drop(frame);
    drop(room.begin(second, 12, &[0; 24], pages)); //~ ERROR E0499
    #[cfg(misuse)]
    drop(frame);
}
