// SPDX-License-Identifier: GPL-2.0

//! Interfaces, as ioctls have them.

use crate::frames::Mac;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// Its address.
    pub mac: Mac,
    /// Its MTU.
    pub mtu: u32,
    /// The driver's name, if it has one.
    pub driver: String,
    /// Whether it is up, with a carrier.
    pub is_running: bool,
}

impl Interface {
    /// Looks one up in this network namespace.
    pub fn find(name: &str) -> io::Result<Self> {
        let query = Query::new(name)?;
        let ifindex = query.word(libc::SIOCGIFINDEX)?;
        let mut address = [0; 6];
        let hardware = query.ask(libc::SIOCGIFHWADDR)?;
        // Behind the family.
        address.copy_from_slice(&hardware[2..8]);
        let flags = query.ask(libc::SIOCGIFFLAGS)?;
        let flags = i32::from(u16::from_ne_bytes([flags[0], flags[1]]));
        Ok(Self {
            name: name.into(),
            ifindex,
            mac: address,
            mtu: query.word(libc::SIOCGIFMTU)?,
            driver: query.driver().unwrap_or_default(),
            is_running: flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0,
        })
    }

    /// The names of all interfaces of this namespace.
    pub fn names() -> io::Result<Vec<String>> {
        Ok(names(&fs::read_to_string("/proc/self/net/dev")?))
    }
}

/// The names in a text like /proc/net/dev, behind its two lines of heading.
fn names(text: &str) -> Vec<String> {
    text.lines()
        .skip(2)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_string())
        .collect()
}

/// Questions by ioctl, which need no rights.
struct Query {
    socket: OwnedFd,
    name: CString,
}

const ETHTOOL_GDRVINFO: u32 = 3;

/// The head of `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

impl Query {
    fn new(name: &str) -> io::Result<Self> {
        let name = CString::new(name)?;
        if name.as_bytes_with_nul().len() > libc::IFNAMSIZ {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        // SAFETY: Nothing is passed.
        let socket =
            unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: It is new, and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Ok(Self { socket, name })
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: All zeroes is a valid request.
        let mut request: libc::ifreq = unsafe { zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.as_bytes()) {
            *to = *from as libc::c_char;
        }
        request
    }

    /// The answer's bytes.
    fn ask(&self, what: libc::c_ulong) -> io::Result<[u8; 16]> {
        let mut request = self.request();
        // SAFETY: The kernel reads and writes the request.
        if unsafe { libc::ioctl(self.socket.as_raw_fd(), what as _, &mut request) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut bytes = [0; 16];
        // SAFETY: All of the union was zeroed, or written by the kernel; it has at least 16 bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(
                std::ptr::from_ref(&request.ifr_ifru).cast::<u8>(),
                bytes.as_mut_ptr(),
                16,
            );
        }
        Ok(bytes)
    }

    fn word(&self, what: libc::c_ulong) -> io::Result<u32> {
        let bytes = self.ask(what)?;
        Ok(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn driver(&self) -> io::Result<String> {
        let mut info = DriverInfo {
            command: ETHTOOL_GDRVINFO,
            driver: [0; 32],
            rest: [0; 160],
        };
        const { assert!(size_of::<DriverInfo>() == 196) };
        let mut request = self.request();
        request.ifr_ifru.ifru_data = std::ptr::from_mut(&mut info).cast();
        // SAFETY: The kernel writes to `info`, which is as long as it thinks.
        let ret = unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                libc::SIOCETHTOOL as _,
                &mut request,
            )
        };
        if ret < 0 {
            return Err(io::Error::last_os_error());
        }
        let _ = info.rest;
        let name = CStr::from_bytes_until_nul(&info.driver).unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interfaces() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 1 2\nveth0.5:  0 0\n";
        assert_eq!(names(text), ["lo", "veth0.5"]);
        assert_eq!(names(""), Vec::<String>::new());
    }

    #[test]
    fn names_that_cannot_be() {
        let long = "a_name_of_an_interface_that_is_too_long";
        let error = Interface::find(long).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
