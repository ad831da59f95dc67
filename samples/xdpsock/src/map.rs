// SPDX-License-Identifier: GPL-2.0

//! Putting a socket into the map by which a program finds it.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_OBJ_GET: libc::c_int = 7;

#[repr(C)]
#[derive(Default)]
struct ObjGet {
    pathname: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct Update {
    map: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: The kernel reads that many bytes, and what they point to.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ret)
}

/// Sets the entry of `queue` in the map that is pinned at `path`.
pub fn enter(path: &Path, queue: u32, socket: libc::c_int) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let map = bpf(
        BPF_OBJ_GET,
        &ObjGet {
            pathname: name.as_bytes_with_nul().as_ptr() as u64,
            ..ObjGet::default()
        },
    )?;
    let result = bpf(
        BPF_MAP_UPDATE_ELEM,
        &Update {
            map: map as u32,
            key: std::ptr::from_ref(&queue) as u64,
            value: std::ptr::from_ref(&socket) as u64,
            ..Update::default()
        },
    );
    // SAFETY: It is ours, and used no more.
    unsafe { libc::close(map as libc::c_int) };
    result.map(|_| ())
}
