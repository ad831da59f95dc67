// SPDX-License-Identifier: GPL-2.0

//! What the kernel says of a socket.

use std::io;
use std::mem::size_of_val;
use std::os::fd::RawFd;

const XDP_OPTIONS: libc::c_int = 8;
const XDP_OPTIONS_ZEROCOPY: u32 = 1;

/// Whether a bound socket is in zero-copy mode.
///
/// # Errors
///
/// Those of `getsockopt`.
pub fn is_zero_copy(socket: RawFd) -> io::Result<bool> {
    let mut flags = 0u32;
    let mut len = size_of_val(&flags) as libc::socklen_t;
    // SAFETY: The kernel writes as many bytes.
    let ret = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_XDP,
            XDP_OPTIONS,
            std::ptr::from_mut(&mut flags).cast(),
            &mut len,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(flags & XDP_OPTIONS_ZEROCOPY != 0)
}
