// SPDX-License-Identifier: GPL-2.0

//! What goes through a virtqueue, and what the device says of it.

use core::ptr::NonNull;
use kernel::{ffi::c_void, prelude::*};
use virtio_net_wire::LengthError;

/// What goes into a virtqueue and comes out again: the owner of the memory that
/// the device works on.
///
/// # Safety
///
/// `from_raw` gives back the value that `into_raw` took, given both its words.
pub unsafe trait Token: Sized {
    /// Whether the second word is used.
    const CONTEXT: bool = false;

    /// Where the memory of all tokens of a queue comes from, such as a page pool; it
    /// stays as long as the queue.
    type Source: Send;

    /// Takes the value apart: a pointer that is not null, and a word of context.
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void);

    /// Puts it together again.
    ///
    /// # Safety
    ///
    /// The words come from one call of `into_raw`, and are used once. The context may be
    /// null instead: then the value owns what it did before, but gives access to none of
    /// it, and can only be dropped.
    unsafe fn from_raw(data: NonNull<c_void>, context: *mut c_void) -> Self;
}

/// Tokens that mean something without their queue: who takes one off may keep it. Others are
/// handed out for as long as the queue is borrowed only.
pub trait Portable: Token {}

impl<T: Send> Portable for KBox<T> {}

// SAFETY: A box is its pointer.
unsafe impl<T: Send> Token for KBox<T> {
    type Source = ();

    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        (
            NonNull::from(KBox::leak(self)).cast(),
            core::ptr::null_mut(),
        )
    }

    unsafe fn from_raw(data: NonNull<c_void>, _context: *mut c_void) -> Self {
        // SAFETY: `data` comes from `into_raw`.
        unsafe { KBox::from_raw(data.cast().as_ptr()) }
    }
}

/// The length that the device says it wrote, in bytes; it may lie. It can be opened
/// once, for the buffer that it came with, and nobody else can make one.
pub struct DeviceLength(virtio_net_wire::DeviceLength);

impl DeviceLength {
    /// What came with a used buffer.
    #[inline]
    pub(crate) fn new(len: u32) -> Self {
        Self(virtio_net_wire::DeviceLength::new(len))
    }

    /// The length, if it is at least `least` and at most `posted` bytes.
    #[inline]
    pub fn checked(self, least: usize, posted: usize) -> Result<usize, LengthError> {
        self.0.checked(least, posted)
    }
}

/// A token that a queue did not take, and why: `ENOSPC` if the ring is full, `EIO`
/// if the device is broken, `ENOMEM` if memory could not be mapped.
pub struct PushError<T> {
    /// The reason.
    pub error: Error,
    /// What was not taken.
    pub token: T,
}
