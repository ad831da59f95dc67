// SPDX-License-Identifier: GPL-2.0

//! A virtio-net device for tests, with all of it ours: the PCI function behind
//! QEMU's `vfio-user-pci`, the rings, the control queue. It can be scripted, and
//! it can lie.
//!
//! | module | holds |
//! | --- | --- |
//! | [`memory`] | guest memory, every access checked |
//! | [`ring`] | the device's side of split and packed virtqueues |
//! | [`net`] | the network device: features, queues, frames, control, statistics |
//! | [`hostile`] | the lies, by name, and how often they were told |
//! | [`traffic`] | what happens to frames |
//! | [`model`] | ports and the loop that moves frames between them |
//! | [`pci`] | a virtio PCI function |
//! | [`vfio_user`] | the front end for QEMU, with all of the function |
//! | [`vhost_user`] | another one, with frames and rings only |

#![forbid(unsafe_code)]

pub mod hostile;
pub mod memory;
pub mod model;
pub mod net;
pub mod pci;
pub mod ring;
pub mod script;
pub mod traffic;
pub mod vfio_user;
pub mod vhost_user;
