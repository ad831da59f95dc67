// SPDX-License-Identifier: GPL-2.0

//! A driver's place on the virtio bus, and what the core calls there.
//!
//! C header: [`include/linux/virtio.h`](srctree/include/linux/virtio.h)

use super::{binding::Owner, bound::Bound, Device, Driver, Interrupt, Probe};
use crate::{bindings, cpu};
use core::marker::PhantomData;
use kernel::{container_of, prelude::*, str::CStr, types::Opaque, ThisModule};

/// A driver's place on the virtio bus; it leaves the bus when this is dropped.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Driver> {
    #[pin]
    driver: Opaque<bindings::virtio_driver>,
    ids: [bindings::virtio_device_id; 2],
    /// For the devices to watch processors; dropped after the driver has left the bus.
    _processors: cpu::State,
    _driver: PhantomData<T>,
}

// SAFETY: Nothing can be done with a shared registration.
unsafe impl<T: Driver> Sync for Registration<T> {}
// SAFETY: Registration and its end may happen on different threads.
unsafe impl<T: Driver> Send for Registration<T> {}

impl<T: Driver> Registration<T> {
    /// Registers the driver under `name` (`__register_virtio_driver`).
    pub fn new(name: &'static CStr, module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let ids = [
            bindings::virtio_device_id {
                device: T::DEVICE_ID,
                vendor: bindings::VIRTIO_DEV_ANY_ID,
            },
            bindings::virtio_device_id::default(),
        ];
        try_pin_init!(&this in Self {
            ids,
            _processors: cpu::State::new(name)?,
            driver <- Opaque::try_ffi_init(|slot: *mut bindings::virtio_driver| {
                // SAFETY: `slot` is valid for writes. `this` stays pinned until the
                // driver is unregistered, and `ids` was initialised above. All-zero
                // is a valid C struct.
                unsafe {
                    slot.write_bytes(0, 1);
                    (*slot).driver.name = name.as_char_ptr();
                    (*slot).id_table = (&raw const (*this.as_ptr()).ids).cast();
                    (*slot).feature_table = T::FEATURES.as_ptr();
                    (*slot).feature_table_size = T::FEATURES.len() as u32;
                    (*slot).feature_table_legacy = T::FEATURES_LEGACY.as_ptr();
                    (*slot).feature_table_size_legacy = T::FEATURES_LEGACY.len() as u32;
                    (*slot).validate = Some(Self::validate);
                    (*slot).probe = Some(Self::probe);
                    (*slot).remove = Some(Self::remove);
                    (*slot).config_changed = Some(Self::config_changed);
                    (*slot).freeze = Some(Self::freeze);
                    (*slot).restore = Some(Self::restore);
                    (*slot).reset_prepare = Some(Self::reset_prepare);
                    (*slot).reset_done = Some(Self::reset_done);
                    kernel::error::to_result(bindings::__register_virtio_driver(slot, module.as_ptr()))
                }
            }),
            _driver: PhantomData,
        })
    }

    /// # Safety
    ///
    /// The core calls this for a device that is about to be probed.
    unsafe extern "C" fn validate(vdev: *mut bindings::virtio_device) -> c_int {
        // SAFETY: The core passes a valid device.
        let device = unsafe { Device::from_raw(vdev) };
        kernel::error::from_result(|| {
            let drop = T::validate(device)?;
            for (i, word) in drop.iter().enumerate() {
                // SAFETY: Nobody else touches the words during validation.
                unsafe { (*vdev).__bindgen_anon_1.features_array[i] &= !word };
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// The core calls this for a device that no driver has.
    unsafe extern "C" fn probe(vdev: *mut bindings::virtio_device) -> c_int {
        // SAFETY: The core passes a valid device that no driver has.
        let device = unsafe { Device::from_raw(vdev) };
        // SAFETY: As above. The driver before us may have left its data's address there,
        // which our callbacks must not find.
        unsafe { (&raw mut (*vdev).priv_).write_volatile(core::ptr::null_mut()) };
        kernel::error::from_result(|| {
            // SAFETY: The device is ours until an error here, or the end of `remove`.
            let owner = unsafe { Owner::new(device)? };
            // Interrupts that come before the data are ignored.
            let data = T::probe(&Probe {
                binding: owner.binding()?,
                interrupt: Self::interrupt,
                _thread: PhantomData,
            })?;
            // SAFETY: As above; the device has no data yet.
            unsafe {
                Bound::attach(device, data, owner)?;
                Bound::<T>::start(device)?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// The core calls this once for each successful probe.
    unsafe extern "C" fn remove(vdev: *mut bindings::virtio_device) {
        // SAFETY: The core calls this once for each successful probe.
        unsafe { Bound::<T>::release(Device::from_raw(vdev)) }
    }

    /// # Safety
    ///
    /// The core calls this for a device of this driver, not beside `probe` or `remove`.
    unsafe extern "C" fn freeze(vdev: *mut bindings::virtio_device) -> c_int {
        // SAFETY: By the caller's promise.
        let bound = unsafe { Bound::<T>::of(vdev) };
        kernel::error::from_result(|| bound.ok_or(ENODEV)?.freeze().map(|()| 0))
    }

    /// # Safety
    ///
    /// The core calls this for a device that was frozen, and reset since.
    unsafe extern "C" fn restore(vdev: *mut bindings::virtio_device) -> c_int {
        // SAFETY: The core passes a valid device.
        let (device, bound) = unsafe { (Device::from_raw(vdev), Bound::<T>::of(vdev)) };
        kernel::error::from_result(|| {
            bound
                .ok_or(ENODEV)?
                .restore(device, Self::interrupt)
                .map(|()| 0)
        })
    }

    /// To be reset takes the same as to be suspended.
    ///
    /// # Safety
    ///
    /// The core calls this for a device of this driver.
    unsafe extern "C" fn reset_prepare(vdev: *mut bindings::virtio_device) -> c_int {
        // SAFETY: With the lock it is not beside `probe` or `remove`, which have it, and the device
        // is still this driver's.
        unsafe { Self::with_device_lock(vdev, Self::freeze) }
    }

    /// # Safety
    ///
    /// The core calls this for a device that was prepared, and reset since.
    unsafe extern "C" fn reset_done(vdev: *mut bindings::virtio_device) -> c_int {
        // SAFETY: As above.
        unsafe { Self::with_device_lock(vdev, Self::restore) }
    }

    /// Calls `f` with the lock of the device in the driver model, which resets of the
    /// function below come without.
    ///
    /// # Safety
    ///
    /// The device is valid, and its lock not held; `f` can be called for it.
    unsafe fn with_device_lock(
        vdev: *mut bindings::virtio_device,
        f: unsafe extern "C" fn(*mut bindings::virtio_device) -> c_int,
    ) -> c_int {
        // SAFETY: By the caller's promise.
        unsafe {
            bindings::mutex_lock(&raw mut (*vdev).dev.mutex);
            let result = if Self::has(vdev) {
                f(vdev)
            } else {
                ENODEV.to_errno()
            };
            bindings::mutex_unlock(&raw mut (*vdev).dev.mutex);
            result
        }
    }

    /// Whether this driver has the device: while the core waited for its lock, another may have
    /// been bound.
    ///
    /// # Safety
    ///
    /// The device is valid, and its lock held.
    unsafe fn has(vdev: *mut bindings::virtio_device) -> bool {
        // SAFETY: By the caller's promise; a driver on that bus is in such a structure.
        unsafe {
            let driver = (*vdev).dev.driver;
            if driver.is_null() {
                return false;
            }
            let driver = container_of!(driver, bindings::virtio_driver, driver);
            (*driver).probe.map(|probe| probe as usize) == Some(Self::probe as usize)
        }
    }

    /// # Safety
    ///
    /// The core calls this for a bound device, not beside `remove`.
    unsafe extern "C" fn config_changed(vdev: *mut bindings::virtio_device) {
        // SAFETY: The core holds the device's configuration lock: no removal.
        if let Some(bound) = unsafe { Bound::<T>::of(vdev) } {
            bound.schedule_config_changed();
        }
    }

    /// # Safety
    ///
    /// The transport calls this for a live queue, not after the end of `remove`.
    pub(super) unsafe extern "C" fn interrupt(vq: *mut bindings::virtqueue) {
        // SAFETY: The transport passes a live queue of a bound device, and ends
        // its interrupts before the data goes.
        unsafe {
            if let Some(bound) = Bound::<T>::of((*vq).vdev) {
                bound.data().queue_interrupt(Interrupt::new(vq));
            }
        }
    }
}

#[pinned_drop]
impl<T: Driver> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The driver was registered by `new`.
        unsafe { bindings::unregister_virtio_driver(self.driver.get()) };
    }
}
