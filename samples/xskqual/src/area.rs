// SPDX-License-Identifier: GPL-2.0

//! The memory that a socket shares with the kernel.

use std::io;
use std::ptr::NonNull;

/// Memory for chunks, zeroed.
pub struct Area {
    start: NonNull<[u8]>,
}

impl Area {
    /// So many bytes.
    pub fn new(len: usize) -> io::Result<Self> {
        // SAFETY: A new mapping, which is in nobody's way.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            start: NonNull::slice_from_raw_parts(start, len),
        })
    }

    /// All of it.
    pub fn all(&self) -> NonNull<[u8]> {
        self.start
    }

    /// Bytes of chunks that the kernel does not have.
    pub fn bytes(&mut self, at: u64, len: usize) -> Option<&mut [u8]> {
        let at = usize::try_from(at).ok()?;
        if at.checked_add(len)? > self.start.len() {
            return None;
        }
        // SAFETY: The range is in the mapping, which lives as long as `self`. What the kernel does to
        // it, if it has the chunk in spite of what it said, are other bytes.
        Some(unsafe {
            std::slice::from_raw_parts_mut(self.start.as_ptr().cast::<u8>().add(at), len)
        })
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: It is ours, and nobody has a reference. The kernel has its pages on its own account.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.start.len()) };
    }
}
