// SPDX-License-Identifier: GPL-2.0

//! A received packet of a chain of frames of a process, as a program works on it.
//!
//! As the core has it, the first frame's description stands for all, with a list of fragments
//! at its end, and the others' descriptions are on a list of the pool. The former is in memory
//! that the process can write to at any time: programs are shown it, and here nothing is read
//! from it.

use super::{
    super::{
        napi::RxPoll,
        skb_copy::SkbCopy,
        xdp::{refuse, Frame as AnyFrame, Program, Record, Verdict, XdpBuff, XdpFrame, XdpRoom},
        Pages, RxSkb,
    },
    chain::{start_of, Frame},
    frame::{to_socket, ToSocket},
    XskFrame,
};
use crate::{bindings, virtio::virt_to_page};
use core::{
    mem::ManuallyDrop,
    ptr::{addr_of_mut, NonNull},
};
use kernel::page::PAGE_SIZE;

/// Bytes that a packet for the stack has in its linear part.
const LINEAR: usize = 128;

/// A received packet in several frames of an AF_XDP pool. It is copied for whoever but the
/// process is to have it.
///
/// # Invariants
///
/// The other frames are all that is on the list of the pool, and owned as the first one.
pub struct XskFrags<'q, 'p> {
    first: XskFrame<'q>,
    pages: &'q mut Pages<'p>,
}

/// Whether an entry is on no list (`list_empty`).
///
/// # Safety
///
/// The entry is initialised.
#[inline]
unsafe fn is_alone(entry: *mut bindings::list_head) -> bool {
    // SAFETY: By the caller's promise.
    unsafe { (*entry).next == entry }
}

/// Adds an entry at the end of a list (`list_add_tail`).
///
/// # Safety
///
/// The list is valid and the caller's, the entry on none.
#[inline]
unsafe fn add_last(entry: *mut bindings::list_head, list: *mut bindings::list_head) {
    // SAFETY: By the caller's promise.
    unsafe {
        let last = (*list).prev;
        (*entry).next = list;
        (*entry).prev = last;
        (*last).next = entry;
        (*list).prev = entry;
    }
}

/// Takes an entry off its list (`list_del_init`).
///
/// # Safety
///
/// The list is valid and the caller's.
#[inline]
unsafe fn take_off(entry: *mut bindings::list_head) {
    // SAFETY: By the caller's promise.
    unsafe {
        let bindings::list_head { next, prev } = *entry;
        (*prev).next = next;
        (*next).prev = prev;
        (*entry).next = entry;
        (*entry).prev = entry;
    }
}

/// The frame of an entry.
///
/// # Safety
///
/// It is a frame's.
#[inline]
unsafe fn of_entry(entry: *mut bindings::list_head) -> Frame {
    let offset = core::mem::offset_of!(bindings::xdp_buff_xsk, list_node);
    // SAFETY: By the caller's promise.
    unsafe { NonNull::new_unchecked(entry.wrapping_byte_sub(offset).cast()) }
}

/// Has the description of a frame say that there are `len` bytes.
///
/// # Safety
///
/// The frame is the caller's, and so long.
#[inline]
unsafe fn describe(frame: Frame, len: usize) {
    // SAFETY: By the caller's promise.
    unsafe {
        let data = start_of(frame).cast();
        let raw = &mut (*frame.as_ptr()).xdp;
        raw.data = data;
        raw.data_meta = data;
        raw.data_end = data.wrapping_byte_add(len);
        raw.__bindgen_anon_1.__bindgen_anon_1.flags = 0;
    }
}

/// Where the bytes of a frame are, as they are described, and how many; no more than its memory
/// has, even if the process has deceived the core, which changes the description by what the
/// memory says.
///
/// # Safety
///
/// The frame is valid.
#[inline]
unsafe fn place_of(frame: Frame) -> (*mut u8, usize) {
    // SAFETY: By the caller's promise.
    unsafe {
        let raw = &(*frame.as_ptr()).xdp;
        let size = raw.__bindgen_anon_1.__bindgen_anon_1.frame_sz as usize;
        let most = (raw.data_hard_start as usize).wrapping_add(size);
        let end = (raw.data_end as usize).min(most);
        let len = end.saturating_sub(raw.data as usize);
        (raw.data.cast(), len)
    }
}

/// The bytes of a frame.
///
/// # Safety
///
/// The frame is valid, and initialised where it is described.
#[inline]
unsafe fn bytes_of<'a>(frame: Frame) -> &'a [u8] {
    // SAFETY: By the caller's promise.
    unsafe {
        let (start, len) = place_of(frame);
        core::slice::from_raw_parts(start, len)
    }
}

impl<'q, 'p> XskFrags<'q, 'p> {
    /// None if one of the frames is in other hands already, or is there twice: then the caller
    /// still has them.
    ///
    /// # Safety
    ///
    /// As for [`XskFrame::new`], with `frame_len` bytes in each frame but the last; `len` bytes
    /// need all of the frames, of which there are no more than fragments and one.
    pub(super) unsafe fn new(
        frames: &[Option<Frame>],
        len: usize,
        frame_len: usize,
        record: &Record,
        program: Option<Program<'q>>,
        pages: &'q mut Pages<'p>,
    ) -> Option<Self> {
        let mut frames = frames.iter().copied().flatten();
        let first = frames.next()?;
        let mut rest = len.saturating_sub(frame_len);
        // SAFETY: The frames are ours by the caller's promise. The list is for the packet that
        // is being received, and the pool has one queue.
        unsafe {
            let list = addr_of_mut!((*(*first.as_ptr()).pool).xskb_list);
            let first = XskFrame::new(first, len.min(frame_len), *record, program);
            let mut this = Self { first, pages };
            let shared = this.shared_info();
            let (mut n, mut size) = (0u8, 0u32);
            for frame in frames {
                let entry = addr_of_mut!((*frame.as_ptr()).list_node);
                if frame == this.first.as_ptr() || !is_alone(entry) {
                    return None;
                }
                let len = rest.min(frame_len);
                rest = rest.wrapping_sub(len);
                describe(frame, len);
                add_last(entry, list);
                let start = start_of(frame);
                let frag = addr_of_mut!((*shared).frags).cast::<bindings::skb_frag_t>();
                // A process may have the frame, and so this list, begin anywhere.
                frag.add(usize::from(n))
                    .write_unaligned(bindings::skb_frag_t {
                        netmem: virt_to_page(start) as usize,
                        len: len as u32,
                        offset: (start as usize & (PAGE_SIZE - 1)) as u32,
                    });
                n = n.wrapping_add(1);
                size = size.wrapping_add(len as u32);
            }
            if n != 0 {
                addr_of_mut!((*shared).nr_frags).write(n);
                let sizes = addr_of_mut!((*shared).__bindgen_anon_2.__bindgen_anon_1);
                addr_of_mut!((*sizes).xdp_frags_size).write_unaligned(size);
                addr_of_mut!((*sizes).xdp_frags_truesize).write_unaligned(size);
                let xdp = this.first.xdp_mut();
                xdp.__bindgen_anon_1.__bindgen_anon_1.flags =
                    bindings::xdp_buff_flags_XDP_FLAGS_HAS_FRAGS;
            }
            Some(this)
        }
    }

    /// Where the list of fragments is that programs see.
    #[inline]
    fn shared_info(&self) -> *mut bindings::skb_shared_info {
        let raw = self.first.xdp();
        // SAFETY: Plain numbers.
        let size = unsafe { raw.__bindgen_anon_1.__bindgen_anon_1.frame_sz } as usize;
        raw.data_hard_start
            .wrapping_byte_add(size)
            .wrapping_byte_sub(bindings::SKB_SHINFO_SIZE)
            .cast()
    }

    /// A copy of the frame in pages, as other queues have it.
    fn copy<'r, 'x>(&mut self, room: &'r mut XdpRoom<'x>) -> Option<XdpBuff<'r, 'x>> {
        let Self { first, pages, .. } = self;
        let (bytes, metadata) = linear(first);
        let mut frame = room.copy(bytes, first.record(), pages)?;
        for bytes in others(first) {
            if !frame.append_copy(bytes, pages) {
                return None;
            }
        }
        frame.finish(pages)?.with_metadata(metadata)
    }
}

/// The frames on the list of the pool of one.
#[inline]
fn list(first: &XskFrame<'_>) -> *mut bindings::list_head {
    // SAFETY: The frame keeps its pool.
    unsafe { addr_of_mut!((*(*first.as_ptr().as_ptr()).pool).xskb_list) }
}

/// What is in the other frames.
fn others<'a>(first: &'a XskFrame<'_>) -> impl Iterator<Item = &'a [u8]> {
    let list = list(first);
    // SAFETY: By the type invariant, the list is ours, and of frames.
    let mut at = unsafe { (*list).next };
    core::iter::from_fn(move || {
        if at == list {
            return None;
        }
        // SAFETY: As above.
        unsafe {
            let frame = of_entry(at);
            at = (*at).next;
            Some(bytes_of(frame))
        }
    })
}

/// What is in the first frame, behind metadata, whose length comes second.
fn linear<'a>(first: &'a XskFrame<'_>) -> (&'a [u8], usize) {
    let raw = first.xdp();
    let metadata = (raw.data as usize).saturating_sub(raw.data_meta as usize);
    // SAFETY: By the type invariant; the metadata is in the frame, too.
    let bytes = unsafe {
        let (start, len) = place_of(first.as_ptr());
        core::slice::from_raw_parts(start.wrapping_sub(metadata), len.wrapping_add(metadata))
    };
    (bytes, metadata)
}

impl AnyFrame for XskFrags<'_, '_> {
    fn len(&self) -> usize {
        // SAFETY: By the type invariant.
        let first = unsafe { bytes_of(self.first.as_ptr()) };
        others(&self.first).fold(first.len(), |sum, bytes| sum.wrapping_add(bytes.len()))
    }

    #[inline]
    fn record(&self) -> &Record {
        self.first.record()
    }

    #[inline]
    fn record_mut(&mut self) -> &mut Record {
        self.first.record_mut()
    }

    fn parts_mut(&mut self) -> (&mut [u8], impl Iterator<Item = &[u8]>) {
        // SAFETY: By the type invariant; the first frame is none of the others.
        let first = unsafe {
            let (start, len) = place_of(self.first.as_ptr());
            core::slice::from_raw_parts_mut(start, len)
        };
        (first, others(&self.first))
    }

    #[inline]
    fn moved(&self) -> isize {
        self.first.moved()
    }

    /// A program that cannot work on several frames has it dropped.
    fn run(mut self) -> Verdict<Self> {
        let Some(program) = self.first.program() else {
            return Verdict::Pass(self);
        };
        if !program.has_frags() && others(&self.first).next().is_some() {
            return Verdict::Drop(self);
        }
        // SAFETY: As in `XskFrame::run`.
        let action = unsafe { program.run(self.first.xdp_mut()) };
        // SAFETY: The frame is described.
        Verdict::new(action, self, |frame, action| unsafe {
            refuse(program, frame.first.xdp(), action);
        })
    }

    /// Others than sockets get a copy: the core would give them the first frame only.
    fn redirect(mut self, poll: &RxPoll<'_>) -> bool {
        let Some(program) = self.first.program() else {
            return false;
        };
        // SAFETY: The program has just run on the frame. `XskFrame::redirect` says why an error is no harm.
        let done = unsafe { to_socket(self.first.xdp_mut(), program) };
        if matches!(done, ToSocket::NotMeant) {
            let Some(mut room) = XdpRoom::new(poll) else {
                return false;
            };
            return self
                .copy(&mut room)
                .is_some_and(|frame| frame.redirect(poll).is_ok());
        }
        if matches!(done, ToSocket::Refused) {
            self.first.trace(bindings::xdp_action_XDP_REDIRECT);
            return false;
        }
        poll.redirected();
        // Another has the memory, and has emptied the list.
        let _ = ManuallyDrop::new(self);
        true
    }

    /// By copying it.
    fn into_frame(mut self, poll: &RxPoll<'_>) -> Result<XdpFrame, Self> {
        let Some(mut room) = XdpRoom::new(poll) else {
            return Err(self);
        };
        let copy = self.copy(&mut room).map(|frame| frame.into_frame().ok());
        match copy {
            Some(Some(frame)) => Ok(frame),
            // It was told.
            Some(None) => Err(self),
            None => {
                self.not_sent();
                Err(self)
            }
        }
    }

    /// By copying it, with its metadata.
    fn into_skb(self, poll: &RxPoll<'_>) -> Option<RxSkb> {
        let mut this = self;
        let Self { first, pages, .. } = &mut this;
        let (bytes, metadata) = linear(first);
        let head = bytes.len().min(LINEAR.wrapping_add(metadata));
        let (head, tail) = bytes.split_at_checked(head)?;
        let mut skb = RxSkb::new(poll, head.len())?;
        if !skb.put(head) || !skb.pull_metadata(metadata) {
            return None;
        }
        let mut packet = SkbCopy::new(skb);
        if !packet.append(tail, pages) || !others(first).all(|bytes| packet.append(bytes, pages)) {
            return None;
        }
        packet.finish()
    }

    #[cold]
    fn not_sent(&self) {
        self.first.not_sent();
    }
}

impl Drop for XskFrags<'_, '_> {
    fn drop(&mut self) {
        let list = list(&self.first);
        // SAFETY: By the type invariant; this is the queue's poll. The first frame follows.
        unsafe {
            while !is_alone(list) {
                let entry = (*list).next;
                take_off(entry);
                bindings::xp_free(of_entry(entry).as_ptr());
            }
        }
    }
}
