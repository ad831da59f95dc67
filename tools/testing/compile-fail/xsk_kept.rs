// SPDX-License-Identifier: GPL-2.0

//! Rule 6: what was received into a process's frame is had until the queue is used again.

use knet::{
    net::{Arrived, RxFrame},
    virtio::Virtqueue,
};

pub fn lengths(vq: &mut Virtqueue<RxFrame>) -> Option<usize> {
    let first = vq.receive(1)?.ok()?;
    #[cfg(not(misuse))]
    let len = first.data().len();
    let second: Arrived<'_> = vq.receive(1)?.ok()?; //~ ERROR E0499
    #[cfg(misuse)]
    let len = first.data().len();
    Some(len.wrapping_add(second.data().len()))
}
