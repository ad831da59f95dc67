// SPDX-License-Identifier: GPL-2.0

//! Sockets: memory, rings, and the queue that they are bound to.

use crate::advice;
use crate::area::Area;
use crate::counters::Kernel;
use crate::device::Device;
use crate::failure::{failed, refused, Failure};
use crate::frames::{Frames, Owner};
use crate::metadata;
use crate::options::{Mode, Options};
use crate::program::Program;
use std::ffi::CString;
use std::io;
use std::num::NonZeroU32;
use xdpilone::{DeviceQueue, IfInfo, RingRx, RingTx, Socket, SocketConfig, Umem, UmemConfig, User};

/// Entries of the receive ring, the transmit ring and the completion ring.
pub const RING: u32 = 2048;
/// Entries of the fill ring.
pub const FILL: u32 = 2 * RING;
const XDP_UMEM_UNALIGNED_CHUNK_FLAG: u32 = 1;
const XDP_USE_SG: u16 = 1 << 4;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;

/// One socket.
pub struct Lane {
    /// Its receive ring, unless it only sends.
    pub rx: Option<RingRx>,
    /// Its transmit ring, unless it only receives.
    pub tx: Option<RingTx>,
    /// Itself.
    pub user: User,
}

/// Sockets that are bound to one queue, and what they share.
pub struct Bound {
    /// The memory.
    pub area: Area,
    /// Who has which of it.
    pub frames: Frames,
    /// Fill and completion ring.
    pub queue: DeviceQueue,
    /// The sockets.
    pub lanes: Vec<Lane>,
    /// Whether they are in zero-copy mode.
    pub zero_copy: bool,
    // The last to go.
    _umem: Umem,
}

/// Opens and binds the sockets.
pub fn open(options: &Options, device: &Device) -> Result<Bound, Failure> {
    let (area, umem) = memory(options)?;
    let mut info = interface(options)?;
    info.set_queue(options.queue);
    let first = Socket::with_shared(&info, &umem).map_err(refused("socket"))?;
    let mut queue = umem.fq_cq(&first).map_err(refused("rings"))?;
    let config = rings(options);
    let mut frames = Frames::new(options.chunks, options.frame_size);
    let user = umem.rx_tx(&first, &config).map_err(refused("rings"))?;
    if options.fill_first {
        fill(&mut queue, &mut frames, options);
    }
    umem.bind(&user)
        .map_err(|_| advice::bind(device, options, io::Error::last_os_error()))?;
    let mut lanes = vec![lane(user, &config)?];
    for _ in 1..options.sockets() {
        let socket = Socket::new(&info).map_err(refused("socket"))?;
        // They are bound as the first one.
        let config = SocketConfig {
            bind_flags: 0,
            ..config.clone()
        };
        let user = umem.rx_tx(&socket, &config).map_err(refused("rings"))?;
        queue
            .bind(&user)
            .map_err(refused("socket that shares memory"))?;
        lanes.push(lane(user, &config)?);
    }
    for lane in lanes.iter().filter(|_| options.busy_poll) {
        busy_poll(lane.user.as_raw_fd(), options)?;
    }
    let zero_copy =
        afxdp::socket::is_zero_copy(lanes[0].user.as_raw_fd()).map_err(failed("options"))?;
    Ok(Bound {
        area,
        frames,
        queue,
        lanes,
        zero_copy,
        _umem: umem,
    })
}

fn memory(options: &Options) -> Result<(Area, Umem), Failure> {
    let refused = |why| advice::memory(options, why);
    let len = options.chunks as usize * options.frame_size as usize;
    let area = Area::new(len, options.unaligned).map_err(refused)?;
    if len == 0 {
        return Err(refused(io::Error::from_raw_os_error(libc::EINVAL)));
    }
    let flags = [
        (options.unaligned, XDP_UMEM_UNALIGNED_CHUNK_FLAG),
        (options.transmit().tx_sw_csum, metadata::XDP_UMEM_TX_SW_CSUM),
    ];
    let config = UmemConfig {
        fill_size: FILL,
        complete_size: RING,
        frame_size: options.frame_size,
        headroom: options.headroom,
        flags: flags
            .iter()
            .filter(|(is_set, _)| *is_set)
            .fold(0, |all, (_, flag)| all | flag),
    };
    let files = afxdp::metadata::open_files().map_err(failed("files"))?;
    // SAFETY: The memory stays until the process ends.
    let umem = unsafe { Umem::new(config.clone(), area.all()) };
    let umem = umem.map_err(|_| refused(io::Error::last_os_error()))?;
    let metadata_len = options.metadata_len();
    if metadata_len != 0 {
        // SAFETY: It is this memory, and the rings come later.
        unsafe { afxdp::metadata::reserve(&files, &config, area.all(), metadata_len) }
            .map_err(failed("room for metadata"))?;
    }
    Ok((area, umem))
}

fn interface(options: &Options) -> Result<IfInfo, Failure> {
    let name = CString::new(options.interface.as_str())
        .map_err(|error| Failure::new("interface", error.into()))?;
    let mut info = IfInfo::invalid();
    info.from_name(&name).map_err(refused("interface"))?;
    Ok(info)
}

fn rings(options: &Options) -> SocketConfig {
    let flags = [
        (options.zero_copy, SocketConfig::XDP_BIND_ZEROCOPY),
        (options.copies(), SocketConfig::XDP_BIND_COPY),
        (!options.no_need_wakeup, SocketConfig::XDP_BIND_NEED_WAKEUP),
        (options.frags, XDP_USE_SG),
    ];
    let ring = NonZeroU32::new(RING);
    SocketConfig {
        rx_size: ring.filter(|_| options.mode() != Mode::TxOnly),
        tx_size: ring.filter(|_| options.mode() != Mode::RxDrop),
        bind_flags: flags
            .iter()
            .filter(|(is_set, _)| *is_set)
            .fold(0, |all, (_, flag)| all | flag),
    }
}

fn lane(user: User, config: &SocketConfig) -> Result<Lane, Failure> {
    let rx = config.rx_size.map(|_| user.map_rx()).transpose();
    let tx = config.tx_size.map(|_| user.map_tx()).transpose();
    Ok(Lane {
        rx: rx.map_err(refused("receive ring"))?,
        tx: tx.map_err(refused("transmit ring"))?,
        user,
    })
}

/// Gives the kernel all free chunks that it has room for; whether those were all.
pub fn fill(queue: &mut DeviceQueue, frames: &mut Frames, options: &Options) -> bool {
    let n = frames.free() as u32;
    if n == 0 {
        return true;
    }
    let mut ring = queue.fill(n.min(FILL));
    while ring.capacity() != 0 {
        let Some(addr) = frames.give(Owner::Fill) else {
            break;
        };
        if !ring.insert_once(addr) {
            frames.take(addr, Owner::Fill);
            frames.release(addr);
            break;
        }
        if options.twice {
            ring.insert_once(addr);
        }
    }
    ring.commit();
    frames.free() == 0
}

impl Bound {
    /// Has the program give the sockets what is meant for them; one that only sends is not meant.
    pub fn enter(&self, program: &Program, options: &Options) -> Result<(), Failure> {
        if options.mode() == Mode::TxOnly {
            return Ok(());
        }
        let sockets: Vec<i32> = self
            .lanes
            .iter()
            .map(|lane| lane.user.as_raw_fd())
            .collect();
        program
            .enter(options, &sockets)
            .map_err(failed("map of sockets"))
    }
}

impl Lane {
    /// The kernel's counters.
    pub fn kernel(&self) -> Option<Kernel> {
        let counters = self.user.statistics_v2().ok()?;
        Some(Kernel {
            rx_dropped: counters.rx_dropped,
            rx_invalid: counters.rx_invalid_descs,
            tx_invalid: counters.tx_invalid_descs,
            rx_full: counters.rx_ring_full,
            fill_empty: counters.rx_fill_ring_empty_descs,
            tx_empty: counters.tx_ring_empty_descs,
        })
    }
}

/// What has befallen a socket, if anything.
pub fn error(fd: libc::c_int) -> io::Result<()> {
    let mut error: libc::c_int = 0;
    let mut len = size_of_val(&error) as libc::socklen_t;
    // SAFETY: The kernel writes an integer.
    let ret = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            std::ptr::from_mut(&mut error).cast(),
            &mut len,
        )
    };
    match (ret, error) {
        (0, 0) => Ok(()),
        (0, error) => Err(io::Error::from_raw_os_error(error)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn busy_poll(fd: libc::c_int, options: &Options) -> Result<(), Failure> {
    for (option, value) in [
        (SO_PREFER_BUSY_POLL, 1),
        (libc::SO_BUSY_POLL, 20),
        (SO_BUSY_POLL_BUDGET, options.batch_size as libc::c_int),
    ] {
        set(fd, option, value).map_err(|why| {
            let advice = match why.raw_os_error() {
                Some(libc::EPERM) => {
                    "it needs CAP_NET_ADMIN, which --reduce-cap gives up".to_owned()
                }
                _ => format!(
                    "the kernel polls up to so many frames at once: --batch-size={}",
                    options.batch_size
                ),
            };
            Failure::new("busy polling", why).advise([advice])
        })?;
    }
    Ok(())
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
