// SPDX-License-Identifier: GPL-2.0

//! AF_XDP zero-copy: queues that receive into, and send from, memory of processes.
//!
//! A process offers a pool of frames for one queue pair ([`XskOffer`]). The driver has it mapped
//! ([`XskPool`]), and gives it to both of its queues: [`Virtqueue<RxFrame>`] takes frames of the
//! pool from the process's fill ring, and a [`Virtqueue<TxPacket>`] sends what is in its transmit
//! rings. Who binds a queue waits until nobody holds the pool any more, when it is taken away.
//!
//! C header: [`include/net/xdp_sock_drv.h`](srctree/include/net/xdp_sock_drv.h)
//!
//! [`Virtqueue<RxFrame>`]: crate::virtio::Virtqueue
//! [`Virtqueue<TxPacket>`]: crate::virtio::Virtqueue

mod alarm;
mod arrived;
mod chain;
mod frags;
mod frame;
mod headers;
mod metadata;
mod ops;
mod pool;
mod receive;
mod reserve;
mod rx;
mod send;
mod tx;

pub use arrived::{Arrived, ArrivedFrame};
pub use chain::ArrivedChain;
pub use frags::XskFrags;
pub use frame::XskFrame;
pub use metadata::XskOffloads;
pub(super) use metadata::{now, operations};
pub(super) use ops::Pools;
pub use ops::Xsk;
pub use pool::{XskOffer, XskPool, XskTarget};
pub use receive::RxNext;
pub use rx::{Filled, RxFrame};
pub use send::XskQueued;
pub(super) use tx::MAX_PARTS;
pub use tx::{XskSent, XskTx};
