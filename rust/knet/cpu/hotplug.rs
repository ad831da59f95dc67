// SPDX-License-Identifier: GPL-2.0

//! Processors that come and go.
//!
//! C header: [`include/linux/cpuhotplug.h`](srctree/include/linux/cpuhotplug.h)

use super::Online;
use crate::{bindings, virtio::Registered};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use kernel::{error::to_result, ffi::c_void, prelude::*, str::CStr, types::Opaque};

/// Something that depends on which processors are online.
pub trait Watcher {
    /// A processor has come, or is about to go. May sleep.
    fn processors_changed(&self, online: &Online<'_>);
}

/// The module's place among those who are told; 0 is none.
static STATE: AtomicI32 = AtomicI32::new(0);

/// The module's place, given back when this is dropped, which comes after the last
/// [`Watch`] was removed.
pub(crate) struct State(());

/// What C calls for one node of a state.
type Callback = unsafe extern "C" fn(c_uint, *mut bindings::hlist_node) -> c_int;

impl State {
    /// Asks for one (`cpuhp_setup_state_multi`).
    ///
    /// # Errors
    ///
    /// `EBUSY` if the module has one; `ENOSPC` if too many have.
    pub(crate) fn new(name: &'static CStr) -> Result<Self> {
        if STATE.load(Ordering::Relaxed) != 0 {
            return Err(EBUSY);
        }
        let [come, go] = [come as Callback, go].map(|callback| {
            // SAFETY: A state with instances calls them with two arguments: C has both
            // kinds of functions in one union, and takes either by the type of the other.
            unsafe {
                core::mem::transmute::<Callback, unsafe extern "C" fn(c_uint) -> c_int>(callback)
            }
        });
        // SAFETY: The functions and the name stay as long as the module, and `drop` ends
        // it before.
        let state = unsafe {
            bindings::__cpuhp_setup_state(
                bindings::cpuhp_state_CPUHP_AP_ONLINE_DYN,
                name.as_char_ptr(),
                false,
                Some(come),
                Some(go),
                true,
            )
        };
        to_result(state.min(0))?;
        STATE.store(state, Ordering::Relaxed);
        Ok(Self(()))
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let state = STATE.swap(0, Ordering::Relaxed);
        // SAFETY: `new` got the state, and it has no instance any more.
        unsafe { bindings::__cpuhp_remove_state(state as bindings::cpuhp_state, false) };
    }
}

/// One watcher's entry.
#[repr(C)]
pub(crate) struct Watch {
    node: Opaque<bindings::hlist_node>,
    data: *const c_void,
    call: unsafe fn(*const c_void, &Online<'_>),
    added: AtomicBool,
}

// SAFETY: `data` is a watcher that any thread may call, by the promise of `new`; C
// serialises what is done with the node.
unsafe impl Send for Watch {}
// SAFETY: As above.
unsafe impl Sync for Watch {}

impl Watch {
    /// # Safety
    ///
    /// `watcher` is valid until [`Registered::unregister`] has returned, or if
    /// [`Self::add`] is not called.
    pub(crate) unsafe fn new<T: Watcher + Send + Sync>(watcher: *const T) -> Self {
        /// # Safety
        ///
        /// `data` is a valid `T`.
        unsafe fn call<T: Watcher>(data: *const c_void, online: &Online<'_>) {
            // SAFETY: By the promise of `new`.
            unsafe { &*data.cast::<T>() }.processors_changed(online);
        }
        Self {
            node: Opaque::zeroed(),
            data: watcher.cast(),
            call: call::<T>,
            added: AtomicBool::new(false),
        }
    }

    /// Has the watcher told from here on.
    ///
    /// # Safety
    ///
    /// The value does not move, and is unregistered before it is dropped.
    pub(crate) unsafe fn add(&self) -> Result {
        let state = STATE.load(Ordering::Relaxed) as bindings::cpuhp_state;
        // SAFETY: The module has that state; by the caller's promise.
        to_result(unsafe { bindings::__cpuhp_state_add_instance(state, self.node.get(), false) })?;
        self.added.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Registered for Watch {
    fn unregister(&self) {
        if self.added.swap(false, Ordering::Relaxed) {
            let state = STATE.load(Ordering::Relaxed) as bindings::cpuhp_state;
            // SAFETY: The node is in the state's list. Nobody is told any more after it.
            unsafe { bindings::__cpuhp_state_remove_instance(state, self.node.get(), false) };
        }
    }
}

/// # Safety
///
/// C calls this for the node of a [`Watch`], with the hotplug lock held.
unsafe extern "C" fn come(_processor: c_uint, node: *mut bindings::hlist_node) -> c_int {
    // SAFETY: The node is the first field of a watch, which is in the list.
    let watch = unsafe { &*node.cast::<Watch>() };
    // SAFETY: By the promise of `new`; the lock is held.
    unsafe { (watch.call)(watch.data, &Online::new(None)) };
    0
}

/// # Safety
///
/// C calls this for the node of a [`Watch`], with the hotplug lock held.
unsafe extern "C" fn go(processor: c_uint, node: *mut bindings::hlist_node) -> c_int {
    // SAFETY: As in `come`.
    let watch = unsafe { &*node.cast::<Watch>() };
    // SAFETY: As in `come`.
    unsafe { (watch.call)(watch.data, &Online::new(Some(processor))) };
    0
}
