// SPDX-License-Identifier: GPL-2.0

//! Which frames an interface wants: by Ethernet address, and by VLAN.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/if_vlan.h`](srctree/include/linux/if_vlan.h)

use super::{device::Device, locks::Rtnl, ops::Driver};
use crate::bindings;
use kernel::{ffi::c_void, prelude::*};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

/// The addresses that an interface receives.
pub struct RxMode {
    /// All frames.
    pub promiscuous: bool,
    /// All multicast frames.
    pub all_multicast: bool,
    /// Addresses beside the device's own.
    pub unicast: KVec<[u8; 6]>,
    /// Addresses of groups.
    pub multicast: KVec<[u8; 6]>,
}

impl RxMode {
    /// # Safety
    ///
    /// `dev` is valid, and the lists do not change meanwhile.
    pub(super) unsafe fn new(
        dev: *mut bindings::net_device,
        lists: [*const bindings::netdev_hw_addr_list; 2],
        flags: kernel::alloc::Flags,
    ) -> Result<Self> {
        // SAFETY: By the caller's promise.
        let [unicast, multicast] = lists.map(|list| unsafe { copy(list, flags) });
        // SAFETY: As above; a whole-word read.
        let is = unsafe { (&raw const (*dev).flags).read_volatile() };
        Ok(Self {
            promiscuous: is & bindings::net_device_flags_IFF_PROMISC != 0,
            all_multicast: is & bindings::net_device_flags_IFF_ALLMULTI != 0,
            unicast: unicast?,
            multicast: multicast?,
        })
    }
}

/// # Safety
///
/// The list is valid and does not change meanwhile.
unsafe fn copy(
    list: *const bindings::netdev_hw_addr_list,
    flags: kernel::alloc::Flags,
) -> Result<KVec<[u8; 6]>> {
    // SAFETY: By the caller's promise. Each node but the head is the first field of an
    // address.
    unsafe {
        let mut copy = KVec::with_capacity((*list).count as usize, flags)?;
        let (head, mut node) = (&raw const (*list).list, (*list).list.next);
        while !core::ptr::eq(node, head) {
            let entry = &*node.cast::<bindings::netdev_hw_addr>();
            node = entry.list.next;
            let mut address = [0; 6];
            for (to, from) in address.iter_mut().zip(&entry.addr) {
                *to = *from;
            }
            copy.push(address, flags)?;
        }
        Ok(copy)
    }
}

impl<D: Driver> Device<D> {
    /// The addresses that are wanted now. What changes after that, the driver is told by
    /// [`Driver::set_rx_mode`].
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn rx_mode(&self, _rtnl: &Rtnl<'_>) -> Result<RxMode> {
        let dev = self.as_raw();
        // SAFETY: The device is valid, and its lists change under this lock.
        unsafe {
            let lock = &raw mut (*dev).addr_list_lock;
            bindings::local_bh_disable();
            bindings::spin_lock(lock);
            let lists = [&raw const (*dev).uc, &raw const (*dev).mc];
            let mode = RxMode::new(dev, lists, GFP_ATOMIC);
            bindings::spin_unlock(lock);
            bindings::local_bh_enable();
            mode
        }
    }

    /// Calls `f` with the number of each VLAN whose frames are wanted (`vlan_for_each`).
    pub fn for_each_vlan(&self, _rtnl: &Rtnl<'_>, mut f: impl FnMut(u16)) {
        let mut f: &mut dyn FnMut(u16) = &mut f;
        // SAFETY: The device is valid, and the RTNL lock held; the function fits the
        // argument.
        #[cfg(CONFIG_VLAN_8021Q)]
        unsafe {
            bindings::vlan_for_each(self.as_raw(), Some(call), (&raw mut f).cast())
        };
        let _ = (&mut f, call as unsafe extern "C" fn(_, _, _) -> _);
    }
}

/// # Safety
///
/// `f` points to a `&mut dyn FnMut(u16)`.
unsafe extern "C" fn call(_dev: *mut bindings::net_device, id: c_int, f: *mut c_void) -> c_int {
    // SAFETY: By the caller's promise.
    unsafe { (*f.cast::<&mut dyn FnMut(u16)>())(id as u16) };
    0
}
