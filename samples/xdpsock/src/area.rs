// SPDX-License-Identifier: GPL-2.0

//! The memory that is shared with the kernel.

use std::io;
use std::ptr::NonNull;

/// Memory for chunks, zeroed; it stays until the process ends, as the kernel may write to it.
#[derive(Clone, Copy)]
pub struct Area {
    start: NonNull<[u8]>,
}

impl Area {
    /// So many bytes of new memory, of huge pages if that is wanted and there are any.
    pub fn new(len: usize, huge: bool) -> io::Result<Self> {
        let huge = huge.then(|| Self::map(len, libc::MAP_HUGETLB));
        match huge {
            Some(Ok(area)) => Ok(area),
            _ => Self::map(len, 0),
        }
    }

    fn map(len: usize, flags: libc::c_int) -> io::Result<Self> {
        // SAFETY: A new mapping, which is in nobody's way.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags,
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

    /// The bytes of a frame that the kernel does not have.
    pub fn frame(&mut self, at: u64, len: usize) -> Option<&mut [u8]> {
        let at = usize::try_from(at).ok()?;
        if at.checked_add(len)? > self.start.len() {
            return None;
        }
        // SAFETY: The range is in the mapping. What the kernel does to it, if it has the frame
        // in spite of what it said, are other bytes.
        Some(unsafe {
            std::slice::from_raw_parts_mut(self.start.as_ptr().cast::<u8>().add(at), len)
        })
    }
}
