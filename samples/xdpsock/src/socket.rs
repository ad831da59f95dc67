// SPDX-License-Identifier: GPL-2.0

//! The socket: memory, rings, and the queue that it is bound to.

use crate::area::Area;
use crate::options::{Mode, Options};
use crate::{map, metadata};
use std::ffi::CString;
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use xdpilone::{DeviceQueue, IfInfo, RingRx, RingTx, Socket, SocketConfig, Umem, UmemConfig, User};

/// Entries of each ring.
pub const RING: u32 = 2048;
const XDP_UMEM_UNALIGNED_CHUNK_FLAG: u32 = 1;
const XDP_USE_SG: u16 = 1 << 4;
const XDP_OPTIONS: libc::c_int = 8;
const XDP_OPTIONS_ZEROCOPY: u32 = 1;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;

/// What did not work, and why.
pub struct Failure {
    what: &'static str,
    why: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |why| Failure { what, why }
}

/// The crate says errors by words, and the number is what the system call left.
fn refused<E: fmt::Display>(what: &'static str) -> impl Fn(E) -> Failure {
    move |_| Failure {
        what,
        why: io::Error::last_os_error(),
    }
}

/// A socket that is bound.
pub struct Bound {
    /// The memory.
    pub area: Area,
    /// Fill and completion ring.
    pub queue: DeviceQueue,
    /// Its receive ring, unless it only sends.
    pub rx: Option<RingRx>,
    /// Its transmit ring, unless it only receives.
    pub tx: Option<RingTx>,
    /// The socket.
    pub user: User,
    /// Whether it is in zero-copy mode.
    pub zero_copy: bool,
    /// How many chunks are in the fill ring already: the first ones.
    pub filled: u32,
    // The last to go.
    _umem: Umem,
}

/// Opens and binds a socket.
pub fn open(options: &Options) -> Result<Bound, Failure> {
    let len = options.frames as usize * options.frame_size as usize;
    let area = Area::new(len).map_err(failed("memory"))?;
    let config = UmemConfig {
        fill_size: RING,
        complete_size: RING,
        frame_size: options.frame_size,
        headroom: options.headroom,
        flags: [
            (options.unaligned, XDP_UMEM_UNALIGNED_CHUNK_FLAG),
            (options.sw_checksum, metadata::XDP_UMEM_TX_SW_CSUM),
        ]
        .iter()
        .filter(|(is_set, _)| *is_set)
        .fold(0, |all, (_, flag)| all | flag),
    };
    let files = metadata::open_files().map_err(failed("files"))?;
    // SAFETY: The memory stays until the process ends.
    let umem = unsafe { Umem::new(config.clone(), area.all()) }.map_err(refused("umem"))?;
    if let Some(len) = options.metadata_len() {
        metadata::reserve(&files, &config, area, len).map_err(failed("metadata"))?;
    }
    let name = CString::new(options.interface.as_str())
        .map_err(|error| failed("interface")(error.into()))?;
    let mut info = IfInfo::invalid();
    info.from_name(&name).map_err(refused("interface"))?;
    info.set_queue(options.queue);
    let socket = Socket::with_shared(&info, &umem).map_err(refused("socket"))?;
    let mut queue = umem.fq_cq(&socket).map_err(refused("rings"))?;
    let mut bind_flags = 0;
    if options.zero_copy {
        bind_flags |= SocketConfig::XDP_BIND_ZEROCOPY;
    }
    if options.copy {
        bind_flags |= SocketConfig::XDP_BIND_COPY;
    }
    if !options.no_need_wakeup {
        bind_flags |= SocketConfig::XDP_BIND_NEED_WAKEUP;
    }
    if options.frags {
        bind_flags |= XDP_USE_SG;
    }
    let ring = NonZeroU32::new(RING);
    let config = SocketConfig {
        rx_size: ring.filter(|_| options.mode() != Mode::TxOnly),
        tx_size: ring.filter(|_| options.mode() != Mode::RxDrop),
        bind_flags,
    };
    let user = umem.rx_tx(&socket, &config).map_err(refused("rings"))?;
    let map_rx = config.rx_size.map(|_| user.map_rx()).transpose();
    let map_tx = config.tx_size.map(|_| user.map_tx()).transpose();
    let (rx, tx) = (
        map_rx.map_err(refused("rx ring"))?,
        map_tx.map_err(refused("tx ring"))?,
    );
    if options.busy_poll {
        let fd = user.as_raw_fd();
        for (option, value) in [
            (SO_PREFER_BUSY_POLL, 1),
            (libc::SO_BUSY_POLL, 20),
            (SO_BUSY_POLL_BUDGET, options.batch_size as libc::c_int),
        ] {
            set(fd, option, value).map_err(failed("busy polling"))?;
        }
    }
    let mut filled = 0;
    if options.fill_first {
        let size = u64::from(options.frame_size);
        let mut fill = queue.fill(options.frames.min(RING));
        filled = fill.insert((0..u64::from(options.frames.min(RING))).map(|index| index * size));
        fill.commit();
    }
    umem.bind(&user).map_err(refused("bind"))?;
    let zero_copy = is_zero_copy(user.as_raw_fd()).map_err(failed("options"))?;
    // One that only sends cannot be in it.
    if let (Some(path), true) = (&options.map, rx.is_some()) {
        map::enter(path, options.queue, user.as_raw_fd()).map_err(failed("map"))?;
    }
    Ok(Bound {
        area,
        queue,
        rx,
        tx,
        user,
        zero_copy,
        filled,
        _umem: umem,
    })
}

fn set(fd: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: The kernel reads an integer.
    let ret = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(&value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn is_zero_copy(fd: libc::c_int) -> io::Result<bool> {
    let mut flags = 0u32;
    let mut len = size_of_val(&flags) as libc::socklen_t;
    // SAFETY: The kernel writes as many bytes.
    let ret = unsafe {
        libc::getsockopt(
            fd,
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
