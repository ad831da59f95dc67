// SPDX-License-Identifier: GPL-2.0

//! Safe Rust for network drivers, and for drivers of virtio devices.
//!
//! # How a virtio network driver is written with it
//!
//! - [`virtio::Driver`] names the device, its feature bits and the callbacks;
//!   [`virtio::Registration`] puts it on the virtio bus.
//! - In [`virtio::Driver::probe`] the driver reads the configuration space, finds
//!   its queues with [`virtio::Probe::find_queues`] and gets each as a
//!   [`virtio::Virtqueue`] of one token type.
//! - [`net::Device`] is the network interface; the driver implements
//!   [`net::Driver`] for it. The body of each queue lives in its [`net::Queues`]:
//!   a receive queue's can be touched from its NAPI poll or while it is paused,
//!   a transmit queue's under the transmit lock, and nowhere else.
//!
//! # Ownership
//!
//! Packet memory is always owned by one value: a [`net::RxSkb`] or [`net::TxSkb`], a
//! [`net::RxBuffer`] or a token inside a virtqueue. What a virtqueue refuses comes
//! back in the error. What is still inside when the queue is dropped is freed
//! with it, after the device was reset.
//!
//! # The end
//!
//! Nothing depends on the order in which a driver drops things, or on its dropping them
//! at all. Network devices are unregistered before the driver's data goes. Whatever a
//! driver keeps of a virtio device, such as a queue, holds the device in its hands: the
//! end waits for it.

pub mod cpu;
mod dma;
pub mod net;
pub mod params;
mod place;
pub mod stats;
pub mod virtio;

pub use place::transform;

pub(crate) use bindings_net as bindings;
