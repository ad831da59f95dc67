// SPDX-License-Identifier: GPL-2.0

//! BPF programs by libbpf: loaded from a program's own bytes, with their maps by name, and attached by
//! links, which end with the process in whatever way that ends.

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{
    libbpf_sys, Map, MapCore, MapFlags, MapHandle, Object, ObjectBuilder, OpenObject, ProgramMut,
};
use std::ffi::OsStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr::from_ref;

/// An error of the library, which keeps the number to itself: what went wrong, and whether it was for want
/// of permission.
pub fn cause(error: libbpf_rs::Error) -> io::Error {
    let kind = match error.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, format!("{error:#}"))
}

/// The object file in `bytes`, to be loaded; the library keeps what it would say to itself.
pub fn open(bytes: &[u8]) -> io::Result<OpenObject> {
    libbpf_rs::set_print(None);
    ObjectBuilder::default().open_memory(bytes).map_err(cause)
}

/// A program by its name.
pub fn program<'a>(object: &'a Object, name: &str) -> io::Result<ProgramMut<'a>> {
    object
        .progs_mut()
        .find(|program| program.name() == OsStr::new(name))
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A map by its name.
pub fn map<'a>(object: &'a Object, name: &str) -> io::Result<Map<'a>> {
    object
        .maps()
        .find(|map| map.name() == OsStr::new(name))
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Sets an entry of a map.
pub fn put(object: &Object, name: &str, key: &[u8], value: &[u8]) -> io::Result<()> {
    map(object, name)?
        .update(key, value, MapFlags::ANY)
        .map_err(cause)
}

/// An entry of a map.
pub fn get(object: &Object, name: &str, key: &[u8]) -> io::Result<Vec<u8>> {
    map(object, name)?
        .lookup(key, MapFlags::ANY)
        .map_err(cause)?
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// What a function of the library's returns, or the error that it stands for.
pub fn checked(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 {
        return Err(io::Error::from_raw_os_error(-ret));
    }
    Ok(ret)
}

/// The same, if what it returns is a new file.
fn owned(ret: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: It is new, and nobody else's.
    checked(ret).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A program that is attached as long as this, or a copy of it elsewhere, is kept.
pub struct Link {
    _fd: OwnedFd,
}

impl Link {
    /// Attaches a program to `place` of an interface (a `BPF_…` of `enum bpf_attach_type`).
    pub fn new(
        program: BorrowedFd<'_>,
        interface: u32,
        place: u32,
        flags: u32,
    ) -> io::Result<Self> {
        // SAFETY: All zeroes are valid options.
        let mut options: libbpf_sys::bpf_link_create_opts = unsafe { zeroed() };
        options.sz = size_of::<libbpf_sys::bpf_link_create_opts>() as _;
        options.flags = flags;
        // SAFETY: The options are valid for the call.
        owned(unsafe {
            libbpf_sys::bpf_link_create(program.as_raw_fd(), interface as i32, place, &options)
        })
        .map(|fd| Self { _fd: fd })
    }

    /// Attaches an XDP program, by `XDP_FLAGS_…`.
    pub fn xdp(program: BorrowedFd<'_>, interface: u32, flags: u32) -> io::Result<Self> {
        Self::new(program, interface, libbpf_sys::BPF_XDP, flags)
    }

    /// The one by which an interface has its XDP program, whoever made it, and the number of the program.
    /// Links tell the interface by a number that another one has too, in another network namespace.
    pub fn of_interface(interface: u32) -> io::Result<(Self, u32)> {
        let (mut id, mut program) = (0, 0);
        // SAFETY: The answer goes to `program`.
        checked(unsafe { libbpf_sys::bpf_xdp_query_id(interface as i32, 0, &mut program) })?;
        loop {
            // SAFETY: The answer goes to `id`. There is an error when there is no further one.
            checked(unsafe { libbpf_sys::bpf_link_get_next_id(id, &mut id) })?;
            // SAFETY: A number is all that it takes. The link may be gone in between.
            let Ok(link) = owned(unsafe { libbpf_sys::bpf_link_get_fd_by_id(id) }) else {
                continue;
            };
            let info = LinkInfo::from_fd(link.as_fd()).map_err(cause)?;
            let is_its = matches!(info.info, LinkTypeInfo::Xdp(xdp) if xdp.ifindex == interface);
            if is_its && info.prog_id == program {
                return Ok((Self { _fd: link }, program));
            }
        }
    }
}

/// The map that is pinned there.
pub fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let map = MapHandle::from_pinned_path(path).map_err(cause)?;
    map.as_fd().try_clone_to_owned()
}

/// Has a map of sockets (`BPF_MAP_TYPE_XSKMAP`) have one more; the kernel takes it out when it is closed.
pub fn enter(map: BorrowedFd<'_>, key: u32, socket: RawFd) -> io::Result<()> {
    // SAFETY: Keys and values of such maps are 32-bit numbers, which the kernel reads.
    checked(unsafe {
        libbpf_sys::bpf_map_update_elem(
            map.as_raw_fd(),
            from_ref(&key).cast(),
            from_ref(&socket).cast(),
            0,
        )
    })
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_permission_is_told() {
        let error = libbpf_rs::Error::from_raw_os_error(libc::EPERM);
        assert_eq!(cause(error).kind(), io::ErrorKind::PermissionDenied);
        let error = libbpf_rs::Error::from_raw_os_error(libc::EINVAL);
        assert_eq!(cause(error).kind(), io::ErrorKind::Other);
    }
}
