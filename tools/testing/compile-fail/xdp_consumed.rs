// SPDX-License-Identifier: GPL-2.0

//! Rule 6: a frame is consumed by running a program, which may have given it away.

use knet::net::{RxBuffer, Verdict, XdpBuff};

pub fn run(frame: XdpBuff<'_, '_>) -> Option<RxBuffer> {
    let verdict = frame.run();
    #[cfg(misuse)]
    let _ = frame.len(); //~ ERROR E0382
    match verdict {
        Verdict::Drop(frame) => Some(frame.into_buffer()),
        _ => None,
    }
}
