// SPDX-License-Identifier: GPL-2.0

//! Rule 1: what a virtqueue takes is of its token type.

use knet::{
    net::{BufferChain, RxBuffer},
    virtio::Virtqueue,
};

#[cfg(not(misuse))]
pub fn refill(vq: &mut Virtqueue<RxBuffer>, buffer: RxBuffer) {
    let _ = vq.post(buffer, 0, 64);
}

#[cfg(misuse)]
pub fn refill(vq: &mut Virtqueue<BufferChain>, buffer: RxBuffer) {
    let _ = vq.post(buffer, 0, 64); //~ ERROR E0599
}
