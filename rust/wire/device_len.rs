// SPDX-License-Identifier: GPL-2.0

//! Lengths that the device wrote.
//!
//! The length of a used buffer comes from the device (section 2.7.8) and can be
//! anything. It has its own type, and the only way to the number in it is a
//! comparison with what the driver had posted.

use core::fmt;

/// How many bytes of a buffer the device says it wrote. Untrusted.
///
/// ```
/// use virtio_net_wire::{DeviceLen, PostedLen};
///
/// let posted = PostedLen::new(1536);
/// assert_eq!(DeviceLen::new(60).checked(posted), Ok(60));
/// assert!(DeviceLen::new(1537).checked(posted).is_err());
/// ```
#[derive(Clone, Copy)]
pub struct DeviceLen(u32);

/// How many writable bytes the driver made available in a buffer. Trusted, since
/// it is the driver's own record, never read back from shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostedLen(u32);

/// A device claims to have written more than there was room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LenError {
    /// What the device says, in bytes.
    pub written: u32,
    /// What was posted, in bytes.
    pub posted: u32,
}

impl DeviceLen {
    /// Takes the length field of a used ring entry, in bytes.
    #[inline]
    pub const fn new(written: u32) -> Self {
        Self(written)
    }

    /// The length in bytes, if it is at most what was posted.
    #[inline]
    pub const fn checked(self, posted: PostedLen) -> Result<usize, LenError> {
        if self.0 <= posted.0 {
            Ok(self.0 as usize)
        } else {
            Err(LenError {
                written: self.0,
                posted: posted.0,
            })
        }
    }
}

/// Does not show the number, which nobody has checked.
impl fmt::Debug for DeviceLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceLen(unchecked)")
    }
}

impl PostedLen {
    /// Takes the size of the posted buffer, in bytes.
    #[inline]
    pub const fn new(posted: u32) -> Self {
        Self(posted)
    }

    /// The size in bytes.
    #[inline]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for LenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "device wrote {} bytes into a buffer of {}",
            self.written, self.posted
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn opens_up_to_the_posted_size(posted: u32, off in -2i64..=2, any: u32, near: bool) {
            let beside = u32::try_from(i64::from(posted) + off).unwrap_or(posted);
            let written = if near { beside } else { any };
            let opened = DeviceLen::new(written).checked(PostedLen::new(posted));
            if written <= posted {
                prop_assert_eq!(opened, Ok(written as usize));
            } else {
                prop_assert_eq!(opened, Err(LenError { written, posted }));
            }
        }
    }
}
