// SPDX-License-Identifier: GPL-2.0

//! The XDP programs: loaded, attached, told what to do, and what they have seen. They are attached by
//! links, which end with the process in whatever way that ends.

use crate::frames::FLOWS;
use afxdp::bpf::{self, Link};
use libbpf_rs::libbpf_sys::{self, XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE};
use libbpf_rs::{Object, ProgramInput};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, RawFd};

const ACTIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/actions.o"));
const HINTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hints.o"));
const TAG: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tag.o"));
const BPF_F_XDP_DEV_BOUND_ONLY: u32 = 1 << 6;
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
const ZERO: [u8; 4] = [0; 4];

/// What the program does with frames of tests, as in `bpf/actions.bpf.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The stack gets them.
    Pass,
    /// Nobody does.
    Drop,
    /// Nobody does, and it is an error.
    Aborted,
    /// They go back.
    Tx,
    /// They leave by the device with this number, with their addresses swapped.
    Device(u32),
    /// The stack gets them by another processor's hands.
    Processor,
    /// A process gets them.
    Socket,
}

/// What a program has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames of tests.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that were in several buffers.
    pub frags: u64,
}

/// The number of the program that an interface has already, in any mode; 0 is none.
pub fn attached_already(ifindex: u32) -> io::Result<u32> {
    let mut id = 0;
    // SAFETY: The kernel's answer goes to `id`.
    bpf::checked(unsafe { libbpf_sys::bpf_xdp_query_id(ifindex as i32, 0, &mut id) })?;
    Ok(id)
}

/// The program of `bpf/actions.bpf.c`, in both kinds.
pub struct Actions {
    object: Object,
}

impl Actions {
    /// Loads it.
    pub fn load() -> io::Result<Self> {
        let object = bpf::open(ACTIONS)?.load().map_err(bpf::cause)?;
        // The queue of processor 0: `struct bpf_cpumap_val`, without a program.
        for name in ["processors", "processors_frags"] {
            bpf::put(&object, name, &ZERO, &128u32.to_ne_bytes())?;
        }
        Ok(Self { object })
    }

    /// Attaches the program for frames in one buffer, or over several.
    pub fn attach(&self, ifindex: u32, frags: bool) -> io::Result<Link> {
        let name = if frags { "judge_frags" } else { "judge" };
        let program = bpf::program(&self.object, name)?;
        Link::xdp(program.as_fd(), ifindex, XDP_FLAGS_DRV_MODE)
    }

    /// Tells it what to do, and has it forget what it has seen.
    pub fn tell(&self, action: Action) -> io::Result<()> {
        let (action, target) = match action {
            Action::Pass => (0u32, 0u32),
            Action::Drop => (1, 0),
            Action::Aborted => (2, 0),
            Action::Tx => (3, 0),
            Action::Device(ifindex) => (4, ifindex),
            Action::Processor => (5, 0),
            Action::Socket => (6, 0),
        };
        let value = [action.to_ne_bytes(), target.to_ne_bytes()].concat();
        bpf::put(&self.object, "settings", &ZERO, &value)?;
        bpf::put(&self.object, "seen", &ZERO, &[0; 24])
    }

    /// What it has seen since then.
    pub fn seen(&self) -> io::Result<Seen> {
        let value = bpf::get(&self.object, "seen", &ZERO)?;
        let word = |at: usize| {
            value
                .get(at * 8..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        Ok(Seen {
            frames: word(0),
            bytes: word(1),
            frags: word(2),
        })
    }

    /// By flow, the queue that it was last received on.
    pub fn queues(&self) -> io::Result<Vec<Option<u32>>> {
        (0..u32::from(FLOWS))
            .map(|flow| {
                let value = bpf::get(&self.object, "queues", &flow.to_ne_bytes())?;
                let bytes = value.first_chunk().copied().unwrap_or_default();
                Ok(u32::from_ne_bytes(bytes).checked_sub(1))
            })
            .collect()
    }

    /// Has the frames of a queue go to a socket.
    pub fn enter(&self, queue: u32, socket: RawFd) -> io::Result<()> {
        let value = socket.to_ne_bytes();
        bpf::put(&self.object, "sockets", &queue.to_ne_bytes(), &value)
    }

    /// Sends a frame by the driver's `ndo_xdp_xmit`: it begins in the kernel (BPF_PROG_RUN), and a
    /// program redirects it.
    pub fn launch(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        self.tell(Action::Device(ifindex))?;
        let input = ProgramInput {
            data_in: Some(frame),
            flags: BPF_F_TEST_XDP_LIVE_FRAMES,
            repeat: 1,
            ..ProgramInput::default()
        };
        let program = bpf::program(&self.object, "launch")?;
        program.test_run(input).map(|_| ()).map_err(bpf::cause)
    }
}

/// The program of `bpf/hints.bpf.c`, bound to a device.
pub struct Hints {
    object: Object,
    ifindex: u32,
}

impl Hints {
    /// Loads one of its two kinds for a device.
    pub fn load(ifindex: u32, frags: bool) -> io::Result<Self> {
        let mut object = bpf::open(HINTS)?;
        let wanted = if frags { "hinted_frags" } else { "hinted" };
        for mut program in object.progs_mut() {
            let is_wanted = program.name() == OsStr::new(wanted);
            program.set_autoload(is_wanted);
            program.set_ifindex(ifindex);
            program.set_flags(BPF_F_XDP_DEV_BOUND_ONLY);
        }
        let object = object.load().map_err(bpf::cause)?;
        Ok(Self { object, ifindex })
    }

    /// Attaches it.
    pub fn attach(&self, frags: bool) -> io::Result<Link> {
        let name = if frags { "hinted_frags" } else { "hinted" };
        let program = bpf::program(&self.object, name)?;
        Link::xdp(program.as_fd(), self.ifindex, XDP_FLAGS_DRV_MODE)
    }

    /// Whether it moves the frame before it asks.
    pub fn set_moved(&self, moved: bool) -> io::Result<()> {
        bpf::put(
            &self.object,
            "moved",
            &ZERO,
            &u32::from(moved).to_ne_bytes(),
        )
    }

    /// Forgets all flows.
    pub fn clear(&self, len: usize) -> io::Result<()> {
        (0..u32::from(FLOWS)).try_for_each(|flow| {
            bpf::put(&self.object, "hints", &flow.to_ne_bytes(), &vec![0; len])
        })
    }

    /// What was said of the last frame of each flow, as bytes.
    pub fn get(&self) -> io::Result<Vec<Vec<u8>>> {
        (0..u32::from(FLOWS))
            .map(|flow| bpf::get(&self.object, "hints", &flow.to_ne_bytes()))
            .collect()
    }
}

/// Has frames of tests that leave an interface tagged (`bpf/tag.bpf.c`).
pub fn tag(ifindex: u32) -> io::Result<Link> {
    let object = bpf::open(TAG)?.load().map_err(bpf::cause)?;
    let program = bpf::program(&object, "tag")?;
    Link::new(program.as_fd(), ifindex, libbpf_sys::BPF_TCX_EGRESS, 0)
}

/// Whether a device takes a program for itself (hw-offload).
pub fn offload(ifindex: u32) -> io::Result<()> {
    let mut object = bpf::open(ACTIONS)?;
    for mut map in object.maps_mut() {
        map.set_map_ifindex(ifindex);
    }
    for mut program in object.progs_mut() {
        let is_wanted = program.name() == OsStr::new("launch");
        program.set_autoload(is_wanted);
        program.set_ifindex(ifindex);
    }
    let object = object.load().map_err(bpf::cause)?;
    let program = bpf::program(&object, "launch")?;
    Link::xdp(program.as_fd(), ifindex, XDP_FLAGS_HW_MODE).map(|_| ())
}
