// SPDX-License-Identifier: GPL-2.0

//! What the kernel says of an interface.

use afxdp::claims::Claims;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 3;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// An interface.
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Bytes of a packet, without its Ethernet header.
    pub mtu: u32,
    /// The name of its driver, if that tells.
    pub driver: Option<String>,
    /// How many queues it has, if the driver tells.
    pub queues: Option<u32>,
    /// What it says that it can do with XDP, if the kernel knows.
    pub claims: Option<Claims>,
}

#[repr(C)]
struct Driver {
    command: u32,
    name: [u8; 32],
    _rest: [u8; 160],
}

#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    _most: [u32; 4],
    rx: u32,
    tx: u32,
    _other: u32,
    combined: u32,
}

/// A socket to ask with, and about whom.
struct Asker {
    socket: OwnedFd,
    request: libc::ifreq,
}

impl Asker {
    fn new(name: &CString) -> io::Result<Self> {
        // SAFETY: Nothing is passed.
        let socket =
            unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: It is new, and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: Such a structure may be all zeroes.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, byte) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
            *to = *byte as libc::c_char;
        }
        Ok(Self { socket, request })
    }

    fn ask(&mut self, what: libc::c_ulong) -> io::Result<()> {
        // SAFETY: The kernel reads and writes the structure, and what it points to.
        let ret = unsafe { libc::ioctl(self.socket.as_raw_fd(), what as _, &mut self.request) };
        if ret < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    fn mtu(&mut self) -> io::Result<u32> {
        self.ask(libc::SIOCGIFMTU as libc::c_ulong)?;
        // SAFETY: The kernel has written it.
        Ok(unsafe { self.request.ifr_ifru.ifru_mtu } as u32)
    }

    /// By ethtool; `about` begins with the command.
    fn ethtool<T>(&mut self, about: &mut T) -> io::Result<()> {
        self.request.ifr_ifru.ifru_data = std::ptr::from_mut(about).cast();
        self.ask(SIOCETHTOOL)
    }

    fn driver(&mut self) -> Option<String> {
        let mut driver = Driver {
            command: ETHTOOL_GDRVINFO,
            name: [0; 32],
            _rest: [0; 160],
        };
        self.ethtool(&mut driver).ok()?;
        let name = driver.name.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned()).filter(|name| !name.is_empty())
    }

    fn queues(&mut self) -> Option<u32> {
        let mut channels = Channels {
            command: ETHTOOL_GCHANNELS,
            ..Channels::default()
        };
        self.ethtool(&mut channels).ok()?;
        Some(channels.combined + channels.rx.max(channels.tx)).filter(|queues| *queues != 0)
    }
}

impl Device {
    /// The one of that name.
    pub fn find(name: &str) -> io::Result<Self> {
        let text = CString::new(name)?;
        if text.as_bytes().len() >= libc::IFNAMSIZ {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        // SAFETY: The text ends with 0.
        let index = unsafe { libc::if_nametoindex(text.as_bytes_with_nul().as_ptr().cast()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut asker = Asker::new(&text)?;
        Ok(Self {
            name: name.to_owned(),
            index,
            mtu: asker.mtu()?,
            driver: asker.driver(),
            queues: asker.queues(),
            claims: afxdp::netdev::claims_of(index).ok(),
        })
    }

    /// Its name, with that of its driver.
    pub fn called(&self) -> String {
        match &self.driver {
            Some(driver) => format!("{} (driver {driver})", self.name),
            None => self.name.clone(),
        }
    }
}
