// SPDX-License-Identifier: GPL-2.0

//! Rule 6: only a poll has the program that frames are for.

use knet::{
    net::{ProgramInfo, RxFrame, RxPoll},
    virtio::Virtqueue,
};

pub fn receive(vq: &mut Virtqueue<RxFrame>, poll: &RxPoll<'_>, told: Option<ProgramInfo>) -> bool {
    let _ = told;
    #[cfg(not(misuse))]
    let program = poll.program();
    #[cfg(misuse)]
    let program = told;
    #[cfg(misuse)]
    let _ = poll;
    vq.receive_next(program).is_some() //~ ERROR E0308
}
