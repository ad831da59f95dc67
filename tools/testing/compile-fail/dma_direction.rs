// SPDX-License-Identifier: GPL-2.0

//! Rule 3: packets that are received and packets that are sent are of two types.

#[cfg(misuse)]
use knet::net::RxSkb;
use knet::{
    net::{TxHeader, TxPacket, TxSkb, MAX_SEGMENTS},
    virtio::{SgTable, Virtqueue},
};

#[cfg(not(misuse))]
type Skb = TxSkb;
#[cfg(misuse)]
type Skb = RxSkb;

pub fn send(vq: &mut Virtqueue<TxPacket>, sg: &mut SgTable<MAX_SEGMENTS>, skb: Skb) -> bool {
    vq.send(sg, skb, [0u8; 12], TxHeader::Joined).is_ok() //~ ERROR E0308
}

#[cfg(misuse)]
pub fn change(skb: &mut TxSkb) -> bool {
    skb.put(b"others share this") //~ ERROR E0599
}
