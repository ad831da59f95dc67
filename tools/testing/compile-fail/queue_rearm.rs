// SPDX-License-Identifier: GPL-2.0

//! Rule 4: a poll ends with its own queue, which is not touched after that.

use knet::{
    net::{Polled, RxBuffer},
    virtio::Virtqueue,
};

pub fn end(vq: &mut Virtqueue<RxBuffer>) -> Polled<'_> {
    let rearm = vq.enable_interrupts();
    #[cfg(misuse)]
    vq.disable_interrupts(); //~ ERROR E0499
    Polled::Done { work: 0, rearm }
}

#[cfg(misuse)]
pub fn end_another(mut vq: Virtqueue<RxBuffer>) -> Polled<'static> {
    let rearm = vq.enable_interrupts();
    Polled::Done { work: 0, rearm } //~ ERROR E0515
}
