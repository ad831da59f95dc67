// SPDX-License-Identifier: GPL-2.0

//! Rule 5: what needs the instance lock takes its token, which ends with the lock.

use knet::net::{Device, Driver, OpsLocked};

pub fn link_up<D: Driver>(device: &Device<D>) {
    #[cfg(not(misuse))]
    device.locked(|lock| device.set_carrier(true, lock));
    #[cfg(misuse)]
    device.set_carrier(true); //~ ERROR E0061
}

#[cfg(misuse)]
pub fn keep<'a, D: Driver>(device: &'a Device<D>) -> &'a mut OpsLocked<'a, D> {
    device.locked(|lock| lock) //~ ERROR lifetime may not live long enough
}
