// SPDX-License-Identifier: GPL-2.0

//! Rule 5: a device is reset with both locks, and found again while they are held.

use knet::{
    net::{self, OpsLocked, Rtnl},
    virtio::{self, Restart},
};

pub fn again<D: net::Driver + virtio::Driver>(
    device: &net::Device<D>,
    rtnl: &Rtnl<'_>,
    lock: &mut OpsLocked<'_, D>,
) -> kernel::error::Result {
    device.restart(
        rtnl,
        lock,
        |_| (),
        |restarted, _, _| {
            restarted.ready();
            Ok(())
        },
    )?
}

#[cfg(misuse)]
pub fn without_rtnl<D: net::Driver + virtio::Driver>(
    device: &net::Device<D>,
    lock: &mut OpsLocked<'_, D>,
) {
    let _ = device.restart(lock, |_| (), |_, _, _| Ok(())); //~ ERROR E0061
}

#[cfg(misuse)]
pub fn kept<'a, D: net::Driver + virtio::Driver>(
    device: &net::Device<D>,
    rtnl: &Rtnl<'_>,
    lock: &mut OpsLocked<'_, D>,
    keep: &mut Option<&'a Restart<'a>>,
) {
    let _ = device.restart(
        rtnl,
        lock,
        |_| (),
        |restarted, _, _| {
            *keep = Some(restarted); //~ ERROR borrowed data escapes
            Ok(())
        },
    );
}
