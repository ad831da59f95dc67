// SPDX-License-Identifier: GPL-2.0

//! The program that gives frames to sockets. It stays as long as a process that uses it, whichever
//! that is.

use crate::advice;
use crate::control::Control;
use crate::device::Device;
use crate::failure::{failed, Failure};
use crate::map::{self, Map};
use crate::options::Options;
use aya::maps::MapInfo;
use aya::programs::{loaded_programs, Xdp, XdpFlags};
use aya::{Ebpf, EbpfLoader};
use std::error::Error;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

static PROGRAMS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/xdpsock.bpf.o"));
const MAP: &str = "xsks_map";
/// How the programs are called that have sockets by queues.
const BY_QUEUE: &str = "xsk_queue";
const BY_TURNS: &str = "xsk_turns";

/// Who attached the program, and keeps it there.
enum Keeper {
    /// We.
    Us { _programs: Box<Ebpf> },
    /// Another process like this; we keep it as well.
    Other { _link: OwnedFd },
    /// Somebody who has given us the map.
    Control(Control),
    /// Somebody who has pinned the map.
    Pinned,
}

/// A program that is attached.
pub struct Program {
    map: Map,
    keeper: Keeper,
}

impl Program {
    /// The one that the options mean, if any.
    pub fn find(device: &Device, options: &Options) -> Result<Option<Self>, Failure> {
        if let Some(path) = &options.map {
            let what = format!("map {}", path.display());
            let map = Map::pinned(path).map_err(failed(&what))?;
            let keeper = Keeper::Pinned;
            return Ok(Some(Self { map, keeper }));
        }
        if options.no_program {
            return Ok(None);
        }
        if options.reduce_cap && Control::is_there() {
            let (control, map) = Control::ask().map_err(failed("map of the control process"))?;
            let keeper = Keeper::Control(control);
            return Ok(Some(Self { map, keeper }));
        }
        Self::attach(device, options)
            .map(Some)
            .map_err(|why| advice::program(device, options, why))
    }

    fn attach(device: &Device, options: &Options) -> io::Result<Self> {
        let name = if options.shared_umem {
            BY_TURNS
        } else {
            BY_QUEUE
        };
        let frags = if options.frags { "_frags" } else { "" };
        let name = format!("{name}{frags}");
        let sockets = options.sockets() as u32;
        let mut programs = EbpfLoader::new()
            .set_global("socket_count", &sockets, true)
            .set_global("their_queue", &options.queue, true)
            .load(PROGRAMS)
            .map_err(|error| cause(&error))?;
        let program: &mut Xdp = programs
            .program_mut(&name)
            .and_then(|program| program.try_into().ok())
            .ok_or(io::ErrorKind::NotFound)?;
        program.load().map_err(|error| cause(&error))?;
        let flags = if options.xdp_skb {
            XdpFlags::SKB_MODE
        } else {
            XdpFlags::DRV_MODE
        };
        if let Err(error) = program.attach_to_if_index(device.index, flags) {
            let why = cause(&error);
            return match why.raw_os_error() {
                Some(libc::EBUSY) => Self::share(device, &name).map_err(|_| why),
                _ => Err(why),
            };
        }
        let map = programs
            .take_map(MAP)
            .and_then(|map| match map {
                aya::maps::Map::XskMap(map) => Some(map),
                _ => None,
            })
            .ok_or(io::ErrorKind::NotFound)?;
        let map = map.fd().as_fd().try_clone_to_owned()?;
        Ok(Self {
            map: Map(map),
            keeper: Keeper::Us {
                _programs: Box::new(programs),
            },
        })
    }

    /// The same program of another process.
    fn share(device: &Device, name: &str) -> io::Result<Self> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (link, id) = map::link_of(device.index)?;
        let program = loaded_programs()
            .filter_map(Result::ok)
            .find(|program| program.id() == id)
            .filter(|program| name.starts_with(BY_QUEUE) && program.name_as_str() == Some(name))
            .ok_or_else(missing)?;
        let maps = program.map_ids().map_err(|error| cause(&error))?;
        let map = maps
            .unwrap_or_default()
            .into_iter()
            .filter_map(|id| MapInfo::from_id(id).ok())
            .find(|map| map.name_as_str() == Some(MAP))
            .ok_or_else(missing)?;
        let map = map.fd().map_err(|error| cause(&error))?;
        Ok(Self {
            map: Map(map.as_fd().try_clone_to_owned()?),
            keeper: Keeper::Other { _link: link },
        })
    }

    /// Gives sockets what is meant for them.
    pub fn enter(&self, options: &Options, sockets: &[i32]) -> io::Result<()> {
        let first = match (&self.keeper, options.shared_umem) {
            (_, true) => 0,
            // Its one entry.
            (Keeper::Control(_), false) => 0,
            (_, false) => options.queue,
        };
        (first..)
            .zip(sockets)
            .try_for_each(|(key, socket)| self.map.enter(key, *socket))
    }

    /// Says goodbye to who has given us the map; all else goes by itself.
    pub fn end(self) {
        if let Keeper::Control(control) = self.keeper {
            control.end();
        }
    }
}

/// The error of the system that is at the bottom of one of the crate's.
fn cause(error: &(dyn Error + 'static)) -> io::Error {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(number) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
        {
            return io::Error::from_raw_os_error(number);
        }
        next = error.source();
    }
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loading is for guests.
    #[test]
    fn the_programs_are_there() {
        assert_eq!(&PROGRAMS[..4], b"\x7fELF");
        let text = String::from_utf8_lossy(PROGRAMS);
        for name in [
            BY_QUEUE,
            BY_TURNS,
            "xsk_queue_frags",
            "xsk_turns_frags",
            MAP,
        ] {
            assert!(text.contains(name), "{name}");
        }
    }

    #[test]
    fn causes_are_found() {
        let inner = io::Error::from_raw_os_error(libc::EBUSY);
        let error = aya::EbpfError::MapError(aya::maps::MapError::CreateError {
            name: MAP.to_owned(),
            code: -1,
            io_error: inner,
        });
        assert_eq!(cause(&error).raw_os_error(), Some(libc::EBUSY));
        let error = aya::programs::ProgramError::NotLoaded;
        assert!(cause(&error).raw_os_error().is_none());
    }
}
