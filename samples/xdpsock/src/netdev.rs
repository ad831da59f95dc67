// SPDX-License-Identifier: GPL-2.0

//! What the kernel knows of an interface's XDP: its netlink family `netdev`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const NETLINK_GENERIC: libc::c_int = 16;
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_A_DEV_XDP_ZC_MAX_SEGS: u16 = 4;
const NETDEV_A_DEV_XSK_FEATURES: u16 = 6;
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
/// Of a message, and of one of a generic family.
const HEADER: usize = 16;
const GENERIC: usize = 4;
/// Of an attribute.
const ATTRIBUTE: usize = 4;

const ZEROCOPY: u64 = 1 << 3;
const RX_SG: u64 = 1 << 5;
const XDP_FEATURES: [&str; 7] = [
    "basic",
    "redirect",
    "ndo-xmit",
    "xsk-zerocopy",
    "hw-offload",
    "rx-sg",
    "ndo-xmit-sg",
];

/// What an interface says that it can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    xdp: u64,
    xsk: u64,
    /// Chunks of a frame in zero-copy mode.
    pub segments: u32,
}

impl Claims {
    /// Of XDP as the kernel says it, for tests.
    #[cfg(test)]
    pub fn of(xdp: u64, segments: u32) -> Self {
        Self {
            xdp,
            segments,
            ..Self::default()
        }
    }

    /// Zero-copy sockets.
    pub fn zero_copy(&self) -> bool {
        self.xdp & ZEROCOPY != 0
    }

    /// Programs that get frames over several buffers.
    pub fn frags(&self) -> bool {
        self.xdp & RX_SG != 0
    }

    /// That the device says when frames are sent.
    pub fn stamps(&self) -> bool {
        self.xsk & 1 != 0
    }

    /// That it completes checksums.
    pub fn checksums(&self) -> bool {
        self.xsk & 2 != 0
    }

    /// That it keeps frames until their time has come.
    pub fn launches(&self) -> bool {
        self.xsk & 4 != 0
    }

    /// All of XDP, by the kernel's names.
    pub fn names(&self) -> String {
        let names: Vec<&str> = XDP_FEATURES
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.xdp & (1 << bit) != 0)
            .map(|(_, name)| *name)
            .collect();
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(" ")
        }
    }
}

/// A request with one attribute.
fn message(family: u16, command: u8, kind: u16, value: &[u8]) -> Vec<u8> {
    let attribute = ATTRIBUTE + value.len();
    let len = HEADER + GENERIC + attribute.next_multiple_of(4);
    let mut message = Vec::with_capacity(len);
    message.extend((len as u32).to_ne_bytes());
    message.extend(family.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend((attribute as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(len, 0);
    message
}

/// The attributes of an answer, by kind.
fn attributes(message: &[u8]) -> io::Result<Vec<(u16, &[u8])>> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let word = |at: usize| {
        let bytes = message.get(at..at + 4)?;
        Some(i32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let half = |bytes: &[u8]| u16::from_ne_bytes([bytes[0], bytes[1]]);
    if half(message.get(4..6).ok_or_else(bad)?) == NLMSG_ERROR {
        let error = word(HEADER).ok_or_else(bad)?;
        return Err(io::Error::from_raw_os_error(-error));
    }
    let len = word(0).ok_or_else(bad)? as usize;
    let mut rest = message.get(HEADER + GENERIC..len).ok_or_else(bad)?;
    let mut found = Vec::new();
    while rest.len() >= ATTRIBUTE {
        let len = usize::from(half(rest));
        let value = rest.get(ATTRIBUTE..len).ok_or_else(bad)?;
        found.push((half(&rest[2..]), value));
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Ok(found)
}

/// A number of up to eight bytes.
fn number(found: &[(u16, &[u8])], kind: u16) -> Option<u64> {
    let (_, value) = found.iter().find(|(other, _)| *other == kind)?;
    match value.len() {
        2 => Some(u64::from(u16::from_ne_bytes((*value).try_into().ok()?))),
        4 => Some(u64::from(u32::from_ne_bytes((*value).try_into().ok()?))),
        8 => Some(u64::from_ne_bytes((*value).try_into().ok()?)),
        _ => None,
    }
}

fn ask(socket: &OwnedFd, message: &[u8]) -> io::Result<Vec<u8>> {
    let fd = socket.as_raw_fd();
    // SAFETY: The kernel reads that many bytes.
    let ret = unsafe { libc::send(fd, message.as_ptr().cast(), message.len(), 0) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut answer = vec![0; 8192];
    // SAFETY: The kernel writes at most that many.
    let len = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
    if len < 0 {
        return Err(io::Error::last_os_error());
    }
    answer.truncate(len as usize);
    Ok(answer)
}

/// What the interface of a number claims.
pub fn claims(index: u32) -> io::Result<Claims> {
    // SAFETY: Nothing is passed.
    let socket = unsafe {
        libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            NETLINK_GENERIC,
        )
    };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: It is new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let request = message(
        GENL_ID_CTRL,
        CTRL_CMD_GETFAMILY,
        CTRL_ATTR_FAMILY_NAME,
        b"netdev\0",
    );
    let answer = ask(&socket, &request)?;
    let family =
        number(&attributes(&answer)?, CTRL_ATTR_FAMILY_ID).ok_or(io::ErrorKind::InvalidData)?;
    let index = index.to_ne_bytes();
    let request = message(
        family as u16,
        NETDEV_CMD_DEV_GET,
        NETDEV_A_DEV_IFINDEX,
        &index,
    );
    let answer = ask(&socket, &request)?;
    let found = attributes(&answer)?;
    Ok(Claims {
        xdp: number(&found, NETDEV_A_DEV_XDP_FEATURES).unwrap_or(0),
        xsk: number(&found, NETDEV_A_DEV_XSK_FEATURES).unwrap_or(0),
        segments: number(&found, NETDEV_A_DEV_XDP_ZC_MAX_SEGS).unwrap_or(1) as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found() {
        let sent = message(
            20,
            NETDEV_CMD_DEV_GET,
            NETDEV_A_DEV_XDP_ZC_MAX_SEGS,
            &[17, 0, 0, 0],
        );
        assert_eq!(sent.len(), 28);
        let found = attributes(&sent).unwrap();
        assert_eq!(number(&found, NETDEV_A_DEV_XDP_ZC_MAX_SEGS), Some(17));
        assert_eq!(number(&found, NETDEV_A_DEV_XDP_FEATURES), None);
        // A text is padded.
        let sent = message(16, 3, CTRL_ATTR_FAMILY_NAME, b"netdev\0");
        assert_eq!(sent.len(), 32);
        assert_eq!(attributes(&sent).unwrap(), [(2, &b"netdev\0"[..])]);
        assert!(attributes(&sent[..27]).is_err());
        assert!(attributes(&[]).is_err());
    }

    #[test]
    fn refusals_are_errors() {
        let refusal = message(NLMSG_ERROR, 0, 0, &[]);
        let mut refusal = refusal[..HEADER].to_vec();
        refusal.extend((-libc::ENODEV).to_ne_bytes());
        let error = attributes(&refusal).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn claims_have_the_kernels_names() {
        let claims = Claims {
            xdp: 0b10_1011,
            xsk: 2,
            segments: 17,
        };
        assert_eq!(claims.names(), "basic redirect xsk-zerocopy rx-sg");
        assert!(claims.zero_copy() && claims.frags() && claims.checksums());
        assert!(!claims.stamps() && !claims.launches());
        assert_eq!(Claims::default().names(), "nothing");
    }
}
