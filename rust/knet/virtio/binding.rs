// SPDX-License-Identifier: GPL-2.0

//! The time for which a driver has a device.
//!
//! All that a driver can keep of a device, such as its queues, holds a [`Binding`]. A
//! driver loses a device only when nothing holds one any more: [`Owner`] waits for it.

use super::{Device, QueueRequest, QueueSet};
use crate::bindings;
use core::{ops::Deref, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::{Arc, Completion, SetOnce},
};

/// What holds the device in its driver's hands.
///
/// # Invariants
///
/// `vdev` is bound to a driver, and the queues are live.
pub(crate) struct Binding {
    vdev: NonNull<bindings::virtio_device>,
    queues: SetOnce<Arc<QueueSet>>,
    /// Completed when nobody holds this any more.
    released: Arc<Completion>,
}

// SAFETY: The device's methods use the C side's own synchronisation.
unsafe impl Send for Binding {}
// SAFETY: As above.
unsafe impl Sync for Binding {}

impl Binding {
    pub(crate) fn device(&self) -> &Device {
        // SAFETY: By the type invariant.
        unsafe { Device::from_raw(self.vdev.as_ptr()) }
    }

    /// The device's queues, once they were found.
    pub(super) fn queues(&self) -> Option<&QueueSet> {
        self.queues.as_ref().map(Deref::deref)
    }

    /// Finds the queues, which are live from then on.
    ///
    /// # Errors
    ///
    /// `EBUSY` if they were found before; the errors of [`QueueSet::find`].
    pub(super) fn find_queues(
        &self,
        requests: &[QueueRequest],
        interrupt: unsafe extern "C" fn(*mut bindings::virtqueue),
    ) -> Result {
        if self.queues.as_ref().is_some() {
            return Err(EBUSY);
        }
        let set = QueueSet::find(self.device(), requests, interrupt)?;
        // Only `Probe` comes here, and it is on one thread.
        self.queues.populate(set);
        Ok(())
    }

    /// Makes the device forget its queues, so that their buffers can be freed.
    pub(super) fn reset_device(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::virtio_reset_device(self.vdev.as_ptr()) };
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.released.complete_all();
    }
}

/// The end of a binding: dropping it waits until nobody holds the device, then
/// deletes its queues.
pub(super) struct Owner {
    /// Always there, but for `drop`.
    binding: Option<Arc<Binding>>,
    released: Arc<Completion>,
}

impl Owner {
    /// # Safety
    ///
    /// The device is in its driver's hands until the value was dropped.
    pub(super) unsafe fn new(device: &Device) -> Result<Self> {
        let released = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        // INVARIANT: By the caller's promise, and as `drop` waits.
        let binding = Arc::new(
            Binding {
                vdev: NonNull::new(device.as_raw()).ok_or(EINVAL)?,
                queues: SetOnce::new(),
                released: released.clone(),
            },
            GFP_KERNEL,
        )?;
        Ok(Self {
            binding: Some(binding),
            released,
        })
    }

    pub(super) fn binding(&self) -> Result<&Arc<Binding>> {
        self.binding.as_ref().ok_or(ENODEV)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(binding) = self.binding.take() else {
            return;
        };
        let (vdev, queues) = (binding.vdev, binding.queues.as_ref().cloned());
        drop(binding);
        // A driver that keeps a queue for ever waits here for ever: that is its mistake,
        // and the only safe end of it.
        self.released.wait_for_completion();
        if let Some(queues) = queues {
            // SAFETY: The device is still ours, and nobody else has anything of it.
            unsafe { queues.delete(vdev.as_ptr()) };
        }
    }
}

/// A device that its driver keeps: the driver loses the device only after this was
/// dropped.
#[derive(Clone)]
pub struct BoundDevice(pub(super) Arc<Binding>);

impl Deref for BoundDevice {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.0.device()
    }
}
