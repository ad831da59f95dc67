// SPDX-License-Identifier: GPL-2.0

//! Rule 2: the device's length opens by a check only, and once.

use knet::virtio::{DeviceLength, LengthError};

pub fn open(len: DeviceLength, posted: usize) -> Result<usize, LengthError> {
    #[cfg(misuse)]
    let _: u32 = len.0; //~ ERROR E0616
    len.checked(1, posted)
}

pub fn open_again(len: DeviceLength, posted: usize) -> Result<usize, LengthError> {
    #[cfg(misuse)]
    let _ = len.checked(1, usize::MAX);
    len.checked(1, posted) //~ ERROR E0382
}
