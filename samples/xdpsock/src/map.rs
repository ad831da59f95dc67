// SPDX-License-Identifier: GPL-2.0

//! The map by which a program finds sockets, and the link by which it is attached: by bare system
//! calls, as they belong to others.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_LINK_GET_FD_BY_ID: libc::c_int = 30;
const BPF_LINK_GET_NEXT_ID: libc::c_int = 31;
const BPF_LINK_TYPE_XDP: u32 = 6;

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

#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
struct Info {
    fd: u32,
    len: u32,
    info: u64,
}

/// What is said of a link; of one of XDP, the number of the interface is last.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    _pad: u32,
    interface: u32,
    _rest: [u32; 27],
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<RawFd> {
    // SAFETY: The kernel reads that many bytes, and what they point to, and may write to both.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ret as RawFd)
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: The kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sockets by numbers.
pub struct Map(pub OwnedFd);

impl Map {
    /// The one that is pinned there.
    pub fn pinned(path: &Path) -> io::Result<Self> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        let fd = bpf(
            BPF_OBJ_GET,
            &mut ObjGet {
                pathname: name.as_bytes_with_nul().as_ptr() as u64,
                ..ObjGet::default()
            },
        )?;
        Ok(Self(owned(fd)))
    }

    /// Sets an entry; the kernel takes it out when the socket is closed.
    pub fn enter(&self, key: u32, socket: RawFd) -> io::Result<()> {
        bpf(
            BPF_MAP_UPDATE_ELEM,
            &mut Update {
                map: self.0.as_raw_fd() as u32,
                key: std::ptr::from_ref(&key) as u64,
                value: std::ptr::from_ref(&socket) as u64,
                ..Update::default()
            },
        )
        .map(|_| ())
    }
}

/// The link of the program that an interface has, and that program's number. While somebody has
/// the link, the program stays.
pub fn link_of(interface: u32) -> io::Result<(OwnedFd, u32)> {
    let mut id = 0;
    loop {
        let mut by_id = ById {
            id,
            ..ById::default()
        };
        // There is an error when there is no further one.
        bpf(BPF_LINK_GET_NEXT_ID, &mut by_id)?;
        id = by_id.next;
        let mut by_id = ById {
            id,
            ..ById::default()
        };
        // It may be gone in between.
        let Ok(fd) = bpf(BPF_LINK_GET_FD_BY_ID, &mut by_id) else {
            continue;
        };
        let link = owned(fd);
        let mut info = LinkInfo::default();
        bpf(
            BPF_OBJ_GET_INFO_BY_FD,
            &mut Info {
                fd: link.as_raw_fd() as u32,
                len: size_of::<LinkInfo>() as u32,
                info: std::ptr::from_mut(&mut info) as u64,
            },
        )?;
        if info.kind == BPF_LINK_TYPE_XDP && info.interface == interface {
            return Ok((link, info.program));
        }
    }
}
