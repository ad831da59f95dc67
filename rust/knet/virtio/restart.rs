// SPDX-License-Identifier: GPL-2.0

//! Reset of a device that its driver goes on to have: it forgets all, takes the features that
//! it had again, and its queues can be found anew (section 3.1.1).

use super::{Binding, BoundDevice, Driver, Probe, Registration};
use crate::bindings;
use core::{marker::PhantomData, ops::Deref};
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc,
    time::{delay::fsleep, Delta},
};

/// A device that was reset, when its queues can be found and it be made live; see
/// [`crate::net::Device::restart`].
pub struct Restart<'a> {
    probe: Probe<'a>,
}

impl<'a> Deref for Restart<'a> {
    type Target = Probe<'a>;

    fn deref(&self) -> &Probe<'a> {
        &self.probe
    }
}

impl Restart<'_> {
    /// Sets DRIVER_OK: from here on the device uses its queues. A second call does nothing
    /// (`virtio_device_ready`).
    pub fn ready(&self) {
        // SAFETY: There is such a value only in `restart`, which has the lock.
        unsafe { self.probe.binding().make_ready() };
    }
}

impl BoundDevice {
    /// Resets the device if it says that it needs that; until its queues are found anew it is
    /// broken, which `wake` lets those know who wait for it. Whether it was. Process context; lasts
    /// as long as the device wants, which may be for ever, so that nobody should wait for who calls
    /// this.
    pub fn reset_if_needed(&self, wake: impl FnOnce()) -> bool {
        let _status = self.0.status.lock();
        if !self.needs_reset() {
            return false;
        }
        self.mark_broken();
        wake();
        // Who has seen a queue whole before that may still be about to kick it.
        // SAFETY: Process context.
        unsafe { bindings::synchronize_net() };
        self.0.reset_device();
        true
    }
}

impl Binding {
    /// Resets the device, which has lost its queues, negotiates its features again, and calls
    /// `again`. Without success it is marked as failed. Not within itself.
    ///
    /// What the bus does to a device that wakes up is not taken, as it comes with the bus's own
    /// locks, and has one owner.
    ///
    /// # Safety
    ///
    /// Driver `T` has the device, with its data, and does not lose it meanwhile.
    ///
    /// # Errors
    ///
    /// `EBUSY` while the device has queues; `ENODEV` if it refuses its features; the
    /// transport's, and those of `again`.
    pub(crate) unsafe fn restart<T: Driver>(
        self: &Arc<Self>,
        again: impl FnOnce(&Restart<'_>) -> Result,
    ) -> Result {
        let _status = self.status.lock();
        if self.has_queues() {
            return Err(EBUSY);
        }
        self.wait_for_core();
        // SAFETY: By the caller's promise, and we have the lock.
        let result = unsafe { self.negotiate() }.and_then(|()| {
            again(&Restart {
                probe: Probe {
                    binding: self,
                    interrupt: Registration::<T>::interrupt,
                    _thread: PhantomData,
                },
            })
        });
        if result.is_err() {
            // SAFETY: By the type invariant.
            unsafe {
                bindings::virtio_add_status(
                    self.device().as_raw(),
                    bindings::VIRTIO_CONFIG_S_FAILED,
                )
            };
        }
        result
    }

    /// Who has been probed, or given its device back, may be here before the core has done with
    /// that: in the end it looks whether the device is live, and must not find it reset. The wait
    /// has an end, as the core may be about to take the device, and may wait for our caller.
    fn wait_for_core(&self) {
        for _ in 0..1000 {
            // SAFETY: By the type invariant; a whole-byte read.
            let done = unsafe {
                (&raw const (*self.device().as_raw()).config_core_enabled).read_volatile()
            };
            if done {
                return;
            }
            fsleep(Delta::from_millis(1));
        }
    }

    /// From reset to FEATURES_OK, with the features that were negotiated before.
    ///
    /// # Safety
    ///
    /// The caller has the status lock.
    unsafe fn negotiate(&self) -> Result {
        let vdev = self.device().as_raw();
        // SAFETY: By the type invariant, the device is valid and has a driver; nobody else sets
        // its status.
        unsafe {
            bindings::virtio_reset_device(vdev);
            bindings::virtio_add_status(vdev, bindings::VIRTIO_CONFIG_S_ACKNOWLEDGE);
            bindings::virtio_add_status(vdev, bindings::VIRTIO_CONFIG_S_DRIVER);
            let config = &*self.device().config();
            to_result(config.finalize_features.ok_or(ENODEV)?(vdev))?;
            let modern = 1 << bindings::VIRTIO_F_VERSION_1;
            if self.device().features()[0] & modern == 0 {
                return Ok(());
            }
            bindings::virtio_add_status(vdev, bindings::VIRTIO_CONFIG_S_FEATURES_OK);
            let status = config.get_status.ok_or(ENODEV)?(vdev);
            if u32::from(status) & bindings::VIRTIO_CONFIG_S_FEATURES_OK == 0 {
                return Err(ENODEV);
            }
        }
        Ok(())
    }

    /// Sets DRIVER_OK, unless it is set.
    ///
    /// # Safety
    ///
    /// The caller has the status lock.
    pub(super) unsafe fn make_ready(&self) {
        let vdev = self.device().as_raw();
        // SAFETY: The device and its operations are valid, and nobody else sets its status.
        unsafe {
            let status = (*self.device().config())
                .get_status
                .map_or(0, |status| status(vdev));
            if u32::from(status) & bindings::VIRTIO_CONFIG_S_DRIVER_OK == 0 {
                bindings::virtio_device_ready(vdev);
            }
        }
    }
}
