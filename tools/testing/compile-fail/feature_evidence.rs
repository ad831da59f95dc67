// SPDX-License-Identifier: GPL-2.0

//! Rule 7: a command whose features were not negotiated is not permitted.

use virtio_net_wire::{
    ctrl::{Permitted, SetMac},
    Features,
};

#[cfg(not(misuse))]
pub fn permit(command: &SetMac, negotiated: Features) -> Option<Permitted<'_, SetMac>> {
    Permitted::new(command, negotiated)
}

#[cfg(misuse)]
pub fn permit(command: &SetMac, _negotiated: Features) -> Option<Permitted<'_, SetMac>> {
    Some(Permitted(command)) //~ ERROR E0423
}
