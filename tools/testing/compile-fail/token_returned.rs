// SPDX-License-Identifier: GPL-2.0

//! Rule 1: what a virtqueue refuses is given back, and what it took is gone.

use knet::{
    net::RxBuffer,
    virtio::{PushError, Virtqueue},
};

pub fn post(vq: &mut Virtqueue<RxBuffer>, buffer: RxBuffer) -> Option<RxBuffer> {
    match vq.post(buffer, 0, 64) {
        Ok(()) => {
            #[cfg(misuse)]
            return Some(buffer); //~ ERROR E0382
            #[cfg(not(misuse))]
            None
        }
        Err(PushError { token, .. }) => Some(token),
    }
}
