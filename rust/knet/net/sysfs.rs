// SPDX-License-Identifier: GPL-2.0

//! What receive queues show in sysfs, in `/sys/class/net/<interface>/queues/rx-<N>/`.
//!
//! C header: [`include/net/netdev_rx_queue.h`](srctree/include/net/netdev_rx_queue.h)

use super::{
    builder::Builder,
    ops::{Driver, Operations},
};
use crate::bindings;
use kernel::prelude::*;

/// The attribute of receive queues.
pub trait RxQueueAttribute {
    /// The folder that it is in.
    const FOLDER: &'static CStr;
    /// Its name.
    const NAME: &'static CStr;

    /// Its value for receive queue `index`.
    fn rx_queue_attribute(&self, index: usize) -> u32;
}

impl<D: Driver> Builder<D> {
    /// Shows the attribute.
    pub fn rx_queue_attribute(&mut self) {
        let dev = self.netdev().as_raw();
        // SAFETY: The device is not registered, and the field is ours.
        unsafe { (*dev).sysfs_rx_queue_group = Operations::<D>::rx_queue_group() };
    }
}

impl<D: Driver> Operations<D> {
    const ATTRIBUTE: bindings::rx_queue_attribute = {
        // SAFETY: All fields may be zero.
        let mut attribute: bindings::rx_queue_attribute = unsafe { core::mem::zeroed() };
        attribute.attr.name = D::NAME.to_bytes_with_nul().as_ptr();
        attribute.attr.mode = 0o444;
        attribute.show = Some(Self::show);
        attribute
    };

    const ATTRIBUTES: &'static [*mut bindings::attribute; 2] = &[
        core::ptr::from_ref(&Self::ATTRIBUTE.attr).cast_mut(),
        core::ptr::null_mut(),
    ];

    const GROUP: bindings::attribute_group = {
        // SAFETY: As above.
        let mut group: bindings::attribute_group = unsafe { core::mem::zeroed() };
        group.name = D::FOLDER.to_bytes_with_nul().as_ptr();
        group.__bindgen_anon_2.attrs = Self::ATTRIBUTES.as_ptr().cast_mut();
        group
    };

    const fn rx_queue_group() -> &'static bindings::attribute_group {
        &Self::GROUP
    }

    /// # Safety
    ///
    /// C calls this for a receive queue of a registered device of driver `D`, with a page to
    /// write to.
    unsafe extern "C" fn show(queue: *mut bindings::netdev_rx_queue, to: *mut c_char) -> isize {
        // SAFETY: By the caller's promise.
        unsafe {
            let dev = (*queue).dev;
            let index = queue.offset_from((*dev)._rx);
            let value = Self::driver(dev).rx_queue_attribute(index as usize);
            bindings::sysfs_emit(to, c"%u\n".as_char_ptr(), value) as isize
        }
    }
}
