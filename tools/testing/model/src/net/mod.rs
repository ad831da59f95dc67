// SPDX-License-Identifier: GPL-2.0

//! The network device, without a transport.
//!
//! A front end tells a [`Device`] what the driver does (features, queues,
//! notifications), asks it for the configuration space, and passes its
//! [`Interrupts`] on. The model moves [`Frame`]s: [`Device::drain`] takes what
//! the driver sends, [`Device::deliver`] gives it what it receives.

pub mod config;
pub mod control;
pub mod device;
pub mod frame;
pub mod offload;
pub mod rss;
pub mod rx;
pub mod settings;
pub mod stats;
pub mod tx;

pub use device::{Device, Interrupts, Role};
pub use frame::{Frame, Header};
pub use rx::Refused;
pub use settings::Settings;

#[cfg(test)]
mod tests;
