// SPDX-License-Identifier: GPL-2.0

//! A network device whose virtio device is reset by its own driver, to get from it at once what
//! it does not give one by one.

use super::{
    device::Device,
    locks::{OpsLocked, Rtnl},
    ops::Driver,
};
use crate::virtio::{self, Restart};
use kernel::prelude::*;

impl<D: Driver + virtio::Driver> Device<D> {
    /// Whether a queue of the device takes and gives nothing any more: it broke a rule, or was
    /// marked so. False without queues.
    pub fn is_broken(&self) -> bool {
        self.netdev().binding.is_broken()
    }

    /// Takes the device from the stack as [`Self::detach`] does, with `first`; resets it and
    /// negotiates its features again; and has `again` find its queues and give it back
    /// ([`Self::attach_locked`]). If memory was short, `again` is called once more. Process
    /// context.
    ///
    /// Who detaches and attaches holds both locks too, so that a device that is suspended or
    /// reset by others meanwhile is found detached here, or waits for this.
    ///
    /// The inner result tells whether the device has come back; otherwise it is marked as failed,
    /// and stays detached until somebody else resets it.
    ///
    /// # Errors
    ///
    /// Nothing has changed then. `EINVAL` if the lock is another device's; `ENODEV` while it is
    /// detached, or not registered.
    pub fn restart(
        &self,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, D>,
        first: impl FnOnce(&mut OpsLocked<'_, D>),
        mut again: impl FnMut(&Restart<'_>, &Rtnl<'_>, &mut OpsLocked<'_, D>) -> Result,
    ) -> Result<Result> {
        if !self.queues().are_of(lock) {
            return Err(EINVAL);
        }
        if !self.queues().are_attached(lock) || !self.is_registered() {
            return Err(ENODEV);
        }
        let binding = &self.netdev().binding;
        self.detach_locked(rtnl, lock, first);
        let mut attempt = || {
            // SAFETY: Queues know the driver's data until the end of registration, which takes
            // the lock before the data goes; and they know that of the device's driver only.
            unsafe { binding.restart::<D>(|device| again(device, rtnl, lock)) }
        };
        let mut result = attempt();
        if result == Err(ENOMEM) {
            result = attempt();
        }
        Ok(result)
    }
}
