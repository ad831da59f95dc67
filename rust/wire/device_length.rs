// SPDX-License-Identifier: GPL-2.0

//! Lengths that the device wrote.
//!
//! The length of a used buffer comes from the device (section 2.7.8) and can be
//! anything. It has its own type, and the only way to the number in it is a
//! comparison with what the driver had posted.

use core::fmt;

/// How many bytes of a buffer the device says it wrote; it may lie. It can be opened
/// once, for the buffer that it came with.
///
/// ```
/// use virtio_net_wire::{DeviceLength, LengthError};
///
/// let (least, posted) = (12, 1536);
/// assert_eq!(DeviceLength::new(60).checked(least, posted), Ok(60));
/// assert_eq!(
///     DeviceLength::new(1537).checked(least, posted),
///     Err(LengthError::TooLong)
/// );
/// ```
pub struct DeviceLength(u32);

/// A [`DeviceLength`] that is not between the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthError {
    /// Less than the least that makes sense.
    TooShort,
    /// More than was posted.
    TooLong,
}

impl DeviceLength {
    /// Takes the length field of a used ring entry, in bytes.
    #[inline]
    pub const fn new(written: u32) -> Self {
        Self(written)
    }

    /// The length in bytes, if it is at least `least` and at most `posted`. Both are
    /// the driver's own record, never read back from shared memory.
    ///
    /// # Errors
    ///
    /// See [`LengthError`].
    #[inline]
    pub const fn checked(self, least: usize, posted: usize) -> Result<usize, LengthError> {
        let len = self.0 as usize;
        if len < least {
            Err(LengthError::TooShort)
        } else if len > posted {
            Err(LengthError::TooLong)
        } else {
            Ok(len)
        }
    }
}

/// Does not show the number, which nobody has checked.
impl fmt::Debug for DeviceLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceLength(unchecked)")
    }
}

#[cfg(test)]
mod tests;
