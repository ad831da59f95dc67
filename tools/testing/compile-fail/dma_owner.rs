// SPDX-License-Identifier: GPL-2.0

//! Rule 3: while the device has a buffer, the CPU does not.

use knet::{net::Received, net::RxBuffer, virtio::Virtqueue};

pub fn read_then_post(vq: &mut Virtqueue<RxBuffer>, received: Received) -> Option<u8> {
    let data = received.data();
    #[cfg(not(misuse))]
    let first = data.first().copied();
    let _ = vq.post(received.into_buffer(), 0, 64); //~ ERROR E0505
    #[cfg(misuse)]
    let first = data.first().copied();
    first
}
