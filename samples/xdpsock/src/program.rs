// SPDX-License-Identifier: GPL-2.0

//! The program that gives frames to sockets. It stays as long as a process that uses it, whichever
//! that is.

use crate::advice;
use crate::control::Control;
use crate::device::Device;
use crate::failure::{failed, Failure};
use crate::options::Options;
use afxdp::bpf::{self, Link};
use libbpf_rs::libbpf_sys::{XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
use libbpf_rs::query::{ProgInfoIter, ProgInfoQueryOptions};
use libbpf_rs::{MapCore, MapHandle, Object};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

static PROGRAMS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/xdpsock.o"));
const MAP: &str = "xsks_map";
/// How the library has the name of a map end that is what programs are told before they are loaded.
const SETTINGS: &str = ".rodata";
/// How the programs are called that have sockets by queues.
const BY_QUEUE: &str = "xsk_queue";
const BY_TURNS: &str = "xsk_turns";

/// Who attached the program, and keeps it there.
enum Keeper {
    /// We.
    Us { _programs: Object, _link: Link },
    /// Another process like this; we keep it as well.
    Other { _link: Link },
    /// Somebody who has given us the map.
    Control(Control),
    /// Somebody who has pinned the map.
    Pinned,
}

/// A program that is attached.
pub struct Program {
    map: OwnedFd,
    keeper: Keeper,
}

impl Program {
    /// The one that the options mean, if any.
    pub fn find(device: &Device, options: &Options) -> Result<Option<Self>, Failure> {
        if let Some(path) = &options.map {
            let what = format!("map {}", path.display());
            let map = bpf::pinned(path).map_err(failed(&what))?;
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
        let programs = load(&name, options.sockets() as u32, options.queue)?;
        let flags = if options.xdp_skb {
            XDP_FLAGS_SKB_MODE
        } else {
            XDP_FLAGS_DRV_MODE
        };
        let program = bpf::program(&programs, &name)?;
        let link = match Link::xdp(program.as_fd(), device.index, flags) {
            Ok(link) => link,
            Err(why) if why.raw_os_error() == Some(libc::EBUSY) => {
                return Self::share(device, &name).map_err(|_| why);
            }
            Err(why) => return Err(why),
        };
        Ok(Self {
            map: bpf::map(&programs, MAP)?.as_fd().try_clone_to_owned()?,
            keeper: Keeper::Us {
                _programs: programs,
                _link: link,
            },
        })
    }

    /// The same program of another process.
    fn share(device: &Device, name: &str) -> io::Result<Self> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (link, id) = Link::of_interface(device.index)?;
        let what = ProgInfoQueryOptions::default().include_map_ids(true);
        let program = ProgInfoIter::with_query_opts(what)
            .find(|program| program.id == id)
            .filter(|program| name.starts_with(BY_QUEUE) && program.name == OsStr::new(name))
            .ok_or_else(missing)?;
        let map = program
            .map_ids
            .into_iter()
            .filter_map(|id| MapHandle::from_map_id(id).ok())
            .find(|map| map.name() == OsStr::new(MAP))
            .ok_or_else(missing)?;
        Ok(Self {
            map: map.as_fd().try_clone_to_owned()?,
            keeper: Keeper::Other { _link: link },
        })
    }

    /// Gives sockets what is meant for them.
    pub fn enter(&self, options: &Options, sockets: &[i32]) -> io::Result<()> {
        let first = if options.shared_umem {
            0
        } else {
            options.queue
        };
        (first..)
            .zip(sockets)
            .try_for_each(|(key, socket)| bpf::enter(self.map.as_fd(), key, *socket))
    }

    /// Says goodbye to who has given us the map; all else goes by itself.
    pub fn end(self) {
        if let Keeper::Control(control) = self.keeper {
            control.end();
        }
    }
}

/// Loads the program of that name, for so many sockets, or those of that queue.
fn load(name: &str, sockets: u32, queue: u32) -> io::Result<Object> {
    let mut object = bpf::open(PROGRAMS)?;
    for mut program in object.progs_mut() {
        let is_wanted = program.name() == OsStr::new(name);
        program.set_autoload(is_wanted);
    }
    let settings = [sockets.to_ne_bytes(), queue.to_ne_bytes()].concat();
    object
        .maps_mut()
        .find(|map| map.name().as_encoded_bytes().ends_with(SETTINGS.as_bytes()))
        .ok_or(io::ErrorKind::NotFound)?
        .set_initial_value(&settings)
        .map_err(bpf::cause)?;
    object.load().map_err(bpf::cause)
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
}
