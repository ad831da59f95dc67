// SPDX-License-Identifier: GPL-2.0

//! Rule 8: the ring is reached through `Virtqueue` only.

use knet::{net::TxSkb, virtio::Virtqueue};

pub fn publish(vq: &mut Virtqueue<TxSkb>) -> bool {
    #[cfg(misuse)]
    {
        let _ = vq.as_ptr(); //~ ERROR E0624
        let _ = vq.vq; //~ ERROR E0616
    }
    vq.kick()
}
