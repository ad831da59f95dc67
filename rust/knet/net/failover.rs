// SPDX-License-Identifier: GPL-2.0

//! A device as the standby of a failover master: an interface of its own that sends and
//! receives by the primary, another device with the same address, while there is one, and
//! by the standby otherwise.
//!
//! The master is made by the kernel's module `net_failover`. Its functions are looked up at
//! run time, so that who uses this crate loads without that module.
//!
//! C header: [`include/net/net_failover.h`](srctree/include/net/net_failover.h)

use super::{
    builder::NetDevice,
    device::{Device, Priv},
    ops::{Driver, Operations},
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{error::from_err_ptr, ffi::c_void, prelude::*, str::CStr};

type Create = unsafe extern "C" fn(*mut bindings::net_device) -> *mut bindings::failover;
type Destroy = unsafe extern "C" fn(*mut bindings::failover);
// As C declares them.
const _: (Create, Destroy) = (
    bindings::net_failover_create,
    bindings::net_failover_destroy,
);

/// What `phys_port_name` says of a standby, by which user space tells it from its master.
const PORT_NAME: &CStr = c"sby";

/// The address of a symbol that modules may use; its module stays while this exists.
struct Symbol {
    name: &'static CStr,
    address: NonNull<c_void>,
}

// SAFETY: The address is valid on all threads.
unsafe impl Send for Symbol {}
// SAFETY: As above.
unsafe impl Sync for Symbol {}

impl Symbol {
    /// None if no module that is loaded has it.
    fn get(name: &'static CStr) -> Option<Self> {
        // SAFETY: The name ends with a zero.
        let address = unsafe { bindings::__symbol_get(name.as_char_ptr()) };
        Some(Self {
            name,
            address: NonNull::new(address)?,
        })
    }
}

impl Drop for Symbol {
    fn drop(&mut self) {
        // SAFETY: `get` has found it, and its module has stayed.
        unsafe { bindings::__symbol_put(self.name.as_char_ptr()) };
    }
}

/// The symbols of [`Create`] and [`Destroy`]; their module is loaded if need be.
fn functions() -> Option<(Symbol, Symbol)> {
    let find = || {
        Some((
            Symbol::get(c"net_failover_create")?,
            Symbol::get(c"net_failover_destroy")?,
        ))
    };
    find().or_else(|| {
        // SAFETY: No preconditions. A module is not waited for in asynchronous probing, as
        // loading it may wait for that.
        unsafe {
            if !bindings::current_is_async() {
                // What became of it is seen next.
                bindings::__request_module(true, c"net_failover".as_char_ptr());
            }
        }
        find()
    })
}

/// Whether there can be failover masters, which takes the module `net_failover`: it is
/// loaded if need be. May sleep.
pub fn can_fail_over() -> bool {
    functions().is_some()
}

/// A failover master, which goes when this is dropped.
///
/// # Invariants
///
/// `destroy` is a [`Destroy`], and was not called for `master`.
pub(super) struct Failover {
    master: NonNull<bindings::failover>,
    destroy: Symbol,
}

// SAFETY: A master is not bound to a thread.
unsafe impl Send for Failover {}
// SAFETY: Nothing can be done with a shared one.
unsafe impl Sync for Failover {}

impl Failover {
    /// A master of `standby`, which has its address and its parent already.
    fn new(standby: &NetDevice) -> Result<Self> {
        let (create, destroy) = functions().ok_or(ENOENT)?;
        // SAFETY: The symbol is this function, by its name.
        let create: Create = unsafe { core::mem::transmute(create.address.as_ptr()) };
        // SAFETY: The device is valid; the module stays, as we have another symbol of it.
        let master = from_err_ptr(unsafe { create(standby.as_raw()) })?;
        // INVARIANT: By its name.
        Ok(Self {
            master: NonNull::new(master).ok_or(EINVAL)?,
            destroy,
        })
    }
}

impl Drop for Failover {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The module stays until after the call.
        unsafe {
            let destroy: Destroy = core::mem::transmute(self.destroy.address.as_ptr());
            destroy(self.master.as_ptr());
        }
    }
}

impl<D: Driver> Device<D> {
    /// Makes the device the standby of a failover master (`net_failover_create`), which
    /// stays until the device was unregistered. To be called before
    /// [`register`](Self::register): as both get the next name that is free, the master has
    /// the one that the device would have had.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is a standby already; `ENOENT` without [`can_fail_over`]; `ENOMEM`;
    /// the errors of registering an interface.
    pub fn make_standby(&self) -> Result {
        let failover = self.failover();
        if failover.as_ref().is_some() {
            return Err(EBUSY);
        }
        if !failover.populate(Failover::new(self.netdev())?) {
            return Err(EBUSY);
        }
        Ok(())
    }
}

impl<D: Driver> Operations<D> {
    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with room for `len` bytes.
    pub(super) unsafe extern "C" fn phys_port_name(
        dev: *mut bindings::net_device,
        to: *mut c_char,
        len: usize,
    ) -> c_int {
        let name = PORT_NAME.to_bytes_with_nul();
        // SAFETY: By the caller's promise; the interface stays while it is registered.
        unsafe {
            let is_standby = (*(*Priv::<D>::of(dev)).interface).is_standby();
            if !is_standby || len < name.len() {
                return EOPNOTSUPP.to_errno();
            }
            core::ptr::copy_nonoverlapping(name.as_ptr(), to.cast(), name.len());
        }
        0
    }
}
