// SPDX-License-Identifier: GPL-2.0

//! Rule 2: a buffer's content is reached by the check of its length.

use knet::{net::RxBuffer, virtio::Virtqueue};

pub fn first_byte(vq: &mut Virtqueue<RxBuffer>) -> Option<u8> {
    let (buffer, len) = vq.pop()?;
    #[cfg(not(misuse))]
    let buffer = buffer.received(len, 1).ok()?;
    #[cfg(misuse)]
    let _ = len;
    buffer.data().first().copied() //~ ERROR E0599
}
