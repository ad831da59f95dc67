// SPDX-License-Identifier: GPL-2.0

//! What users read beside an error.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)

use crate::bindings;
use core::marker::PhantomData;
use kernel::{prelude::*, str::CStr};

/// An extended acknowledgement: room for a message to whom asked by netlink, or nobody.
pub struct Extack<'a> {
    raw: *mut bindings::netlink_ext_ack,
    _raw: PhantomData<&'a mut ()>,
}

impl Extack<'_> {
    /// # Safety
    ///
    /// `raw` is null, or valid and ours while the value lives.
    pub(super) unsafe fn new(raw: *mut bindings::netlink_ext_ack) -> Self {
        Self {
            raw,
            _raw: PhantomData,
        }
    }

    /// The error, for the reason that the message says.
    pub fn because(&mut self, error: Error, message: &'static CStr) -> Error {
        self.set(message);
        error
    }

    /// Says why; the last message counts (`NL_SET_ERR_MSG`).
    pub fn set(&mut self, message: &'static CStr) {
        // SAFETY: By the promise of `new`; the message lives for ever.
        if let Some(raw) = unsafe { self.raw.as_mut() } {
            raw._msg = message.as_char_ptr();
        }
    }
}
