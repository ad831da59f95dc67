// SPDX-License-Identifier: GPL-2.0

//! Rule 1: frames of a process are not taken off their queue to be kept.

use knet::{net::RxFrame, virtio::Virtqueue};

pub fn take(vq: &mut Virtqueue<RxFrame>) -> bool {
    #[cfg(not(misuse))]
    return vq.receive(1).is_some();
    #[cfg(misuse)]
    return vq.pop().is_some(); //~ ERROR E0277
}
