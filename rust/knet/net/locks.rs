// SPDX-License-Identifier: GPL-2.0

//! The locks that configuration is done under, as evidence that they are held.
//!
//! C header: [`include/net/netdev_lock.h`](srctree/include/net/netdev_lock.h),
//! [`include/linux/rtnetlink.h`](srctree/include/linux/rtnetlink.h)

use crate::bindings;
use core::marker::PhantomData;

/// Evidence that the instance lock of a device is held.
pub struct OpsLocked<'a, D> {
    netdev: *mut bindings::net_device,
    _lock: PhantomData<&'a D>,
}

impl<D> OpsLocked<'_, D> {
    /// # Safety
    ///
    /// The caller holds the instance lock of `netdev` while the value lives.
    #[inline]
    pub(super) unsafe fn new(netdev: *mut bindings::net_device) -> Self {
        Self {
            netdev,
            _lock: PhantomData,
        }
    }

    pub(super) fn netdev(&self) -> *mut bindings::net_device {
        self.netdev
    }
}

/// Evidence that the RTNL lock is held.
pub struct Rtnl<'a>(PhantomData<(&'a (), *mut ())>);

impl Rtnl<'_> {
    /// # Safety
    ///
    /// The caller holds the RTNL lock while the value lives.
    pub(super) unsafe fn new() -> Self {
        Self(PhantomData)
    }
}
