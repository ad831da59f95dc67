// SPDX-License-Identifier: GPL-2.0

//! Rule 5: a device is made live and visible at its start; what is kept of it holds it.

#[cfg(misuse)]
use knet::virtio::Device;
use knet::virtio::{BoundDevice, Driver, Probe, Start};

pub fn start<T: Driver>(start: &Start<'_, T>) {
    start.ready();
    #[cfg(misuse)]
    {
        let device: &Device = start;
        Start::<T>::ready(device); //~ ERROR E0308
    }
}

pub fn keep(probe: &Probe<'_>) -> BoundDevice {
    probe.keep()
}

#[cfg(misuse)]
pub fn keep_longer(device: &Device) -> &'static Device {
    device //~ ERROR lifetime may not live long enough
}
