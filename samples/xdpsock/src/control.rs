// SPDX-License-Identifier: GPL-2.0

//! A process that has attached the program and gives its map to processes with few capabilities,
//! by a socket in the working directory (`--reduce-cap`).

use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const PLACE: &str = "sock_cal_bpf_fd";
const CLOSE: i32 = 1;
/// How long the map may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// The connection.
pub struct Control(UnixStream);

impl Control {
    /// Whether there is one.
    pub fn is_there() -> bool {
        Path::new(PLACE).exists()
    }

    /// Asks for the map.
    pub fn ask() -> io::Result<(Self, OwnedFd)> {
        let stream = UnixStream::connect(PLACE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let map = receive(&stream)?;
        Ok((Self(stream), map))
    }

    /// Says that the map is used no more.
    pub fn end(mut self) {
        // If it is gone, that is as good.
        let _ = self.0.write_all(&CLOSE.to_ne_bytes());
    }
}

/// A file that comes with the next message.
fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut value = 0i32;
    let mut part = libc::iovec {
        iov_base: std::ptr::from_mut(&mut value).cast(),
        iov_len: size_of_val(&value),
    };
    // Room for a header and a number, aligned as they are.
    let mut room = [0u64; 8];
    // SAFETY: Such a structure may be all zeroes.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = room.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&room) as _;
    // SAFETY: The kernel writes to where the structure says, which is valid.
    let len = unsafe { libc::recvmsg(stream.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
    if len < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The kernel has written the structure.
    let header = unsafe { libc::CMSG_FIRSTHDR(&message).as_ref() };
    let header = header
        .filter(|header| {
            header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS
        })
        .ok_or(io::ErrorKind::InvalidData)?;
    // SAFETY: Behind such a header is a number at least, of a file that is ours now.
    Ok(unsafe { OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_a_file_is_refused() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(&[0; 4]).unwrap();
        assert!(receive(&theirs).is_err());
        drop(ours);
        assert!(receive(&theirs).is_err());
    }
}
