// SPDX-License-Identifier: GPL-2.0

//! Frames as the stack gets and sends them: an AF_PACKET socket.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

const SOL_PACKET: libc::c_int = 263;
const PACKET_AUXDATA: libc::c_int = 8;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const TP_STATUS_CSUMNOTREADY: u32 = 1 << 3;
const LONGEST: usize = 1 << 17;

/// A frame that the stack got.
pub struct Received {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether its checksum is to be completed.
    pub is_partial: bool,
    /// When, in nanoseconds since 1970.
    pub time: u64,
}

/// `struct tpacket_auxdata`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Auxiliary {
    status: u32,
    len: u32,
    snaplen: u32,
    mac: u16,
    net: u16,
    vlan_tci: u16,
    vlan_tpid: u16,
}

/// The socket, for all that an interface receives.
pub struct Packet {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Packet {
    /// Opens one.
    pub fn open(ifindex: u32) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: Nothing is passed.
        let socket = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
            )
        };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: It is new, and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        for (level, option, value) in [
            (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20),
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1),
            (SOL_PACKET, PACKET_AUXDATA, 1),
            (SOL_PACKET, PACKET_IGNORE_OUTGOING, 1),
        ] {
            set(socket.as_raw_fd(), level, option, value)?;
        }
        // SAFETY: All zeroes is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = ifindex as i32;
        // SAFETY: The kernel reads the address.
        let ret = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if ret < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            socket,
            buffer: vec![0; LONGEST],
        })
    }

    /// Has the interface take frames for others, too, and of all VLANs, while the socket is there.
    pub fn all_frames(&self, ifindex: u32) -> io::Result<()> {
        // SAFETY: All zeroes is a valid membership.
        let mut membership: libc::packet_mreq = unsafe { zeroed() };
        membership.mr_ifindex = ifindex as i32;
        membership.mr_type = libc::PACKET_MR_PROMISC as u16;
        // SAFETY: The kernel reads the structure.
        let ret = unsafe {
            libc::setsockopt(
                self.raw(),
                SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                ptr::from_ref(&membership).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            )
        };
        if ret < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// The socket's number.
    pub fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Sends a frame as it is.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        for _ in 0..100 {
            // SAFETY: The kernel reads the frame.
            let ret = unsafe { libc::send(self.raw(), frame.as_ptr().cast(), frame.len(), 0) };
            if ret >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENOBUFS | libc::EAGAIN) => wait(&[self.raw()], libc::POLLOUT, 10)?,
                _ => return Err(error),
            };
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// A frame that has come, if there is one.
    pub fn receive(&mut self) -> io::Result<Option<Received>> {
        let mut part = libc::iovec {
            iov_base: self.buffer.as_mut_ptr().cast(),
            iov_len: self.buffer.len(),
        };
        let mut control = [0u64; 32];
        // SAFETY: All zeroes is a valid header.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of::<[u64; 32]>() as _;
        // SAFETY: The kernel writes to the two buffers, no more than they have room for.
        let len = unsafe { libc::recvmsg(self.raw(), &mut header, 0) };
        let Ok(len) = usize::try_from(len) else {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                // What came before an interface went down is told in place of a frame.
                Some(libc::EAGAIN | libc::ENETDOWN | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        };
        let mut received = Received {
            bytes: self.buffer[..len].to_vec(),
            is_partial: false,
            time: 0,
        };
        // SAFETY: The header is the kernel's, and its control messages are in `control`.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(&header);
            while !message.is_null() {
                let data = libc::CMSG_DATA(message);
                match ((*message).cmsg_level, (*message).cmsg_type) {
                    (SOL_PACKET, PACKET_AUXDATA) => {
                        let auxiliary = ptr::read_unaligned(data.cast::<Auxiliary>());
                        received.is_partial = auxiliary.status & TP_STATUS_CSUMNOTREADY != 0;
                    }
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        let time = ptr::read_unaligned(data.cast::<libc::timespec>());
                        received.time = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
                    }
                    _ => {}
                }
                message = libc::CMSG_NXTHDR(&header, message);
            }
        }
        Ok(Some(received))
    }
}

/// Sets an option that is an integer.
pub fn set(
    socket: RawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: The kernel reads an integer.
    let ret = unsafe {
        libc::setsockopt(
            socket,
            level,
            option,
            ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits for any of the sockets, so many milliseconds at most.
pub fn wait(sockets: &[RawFd], events: libc::c_short, milliseconds: i32) -> io::Result<()> {
    let mut polled: Vec<_> = sockets
        .iter()
        .map(|&fd| libc::pollfd {
            fd,
            events,
            revents: 0,
        })
        .collect();
    // SAFETY: As many entries are there.
    let ret = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as _, milliseconds) };
    if ret < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            return Err(error);
        }
    }
    Ok(())
}
