// SPDX-License-Identifier: GPL-2.0

//! Memory of sockets with room for metadata in front of frames to be sent.

use std::fs;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use xdpilone::UmemConfig;

const XDP_UMEM_REG: libc::c_int = 4;
/// In the flags of memory: there is such room.
const XDP_UMEM_TX_METADATA_LEN: u32 = 4;

/// The numbers of all open files.
///
/// # Errors
///
/// Those of reading `/proc/self/fd`.
pub fn open_files() -> io::Result<Vec<RawFd>> {
    let mut files: Vec<RawFd> = fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    // Not the folder that was read.
    files.retain(|fd| fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok());
    Ok(files)
}

/// Has a socket with `len` bytes of room take the place of the one that was opened since `before`:
/// `xdpilone` registers memory without, as it has no name for that.
///
/// # Errors
///
/// `NotFound` if no socket was opened, and those of the system calls.
///
/// # Safety
///
/// The memory is that of the `Umem` which opened the socket, and outlives it; there are no rings yet.
pub unsafe fn reserve(
    before: &[RawFd],
    config: &UmemConfig,
    memory: NonNull<[u8]>,
    len: usize,
) -> io::Result<()> {
    let place = open_files()?
        .into_iter()
        .filter(|fd| !before.contains(fd))
        .find(|fd| {
            fs::read_link(format!("/proc/self/fd/{fd}"))
                .is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
        })
        .ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: Nothing is passed.
    let socket = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: It is new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let registration = xdpilone::xdp::XdpUmemReg {
        addr: memory.as_ptr().cast::<u8>() as u64,
        len: memory.len() as u64,
        chunk_size: config.frame_size,
        headroom: config.headroom,
        flags: config.flags | XDP_UMEM_TX_METADATA_LEN,
        tx_metadata_len: len as u32,
    };
    // SAFETY: The kernel reads the structure, whose memory outlives the socket.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            XDP_UMEM_REG,
            std::ptr::from_ref(&registration).cast(),
            size_of_val(&registration) as libc::socklen_t,
        )
    };
    // SAFETY: Both are sockets of ours; the crate has none of its rings yet.
    if ret < 0 || unsafe { libc::dup2(socket.as_raw_fd(), place) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
