// SPDX-License-Identifier: GPL-2.0

//! A received frame, as a program works on it.

use super::{
    super::{napi::RxPoll, rx_buffer::RxBuffer},
    frame::XdpFrame,
    program::Program,
};
use crate::bindings;
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{addr_of_mut, NonNull},
};
use kernel::{ffi::c_void, page::PAGE_SIZE};
use virtio_net_wire::HeaderLayout;

/// The header that came with a frame, with zeroes for what its layout lacks.
pub(in super::super) type Record = [u8; HeaderLayout::MAX_LEN];

/// Where one frame at a time is described to a program, in a poll.
#[repr(C)]
pub struct XdpRoom<'p> {
    // First, as programs' metadata functions are given its address.
    pub(super) raw: bindings::xdp_buff,
    /// What the device said of the frame; apart from its memory, which programs change.
    pub(super) record: Record,
    pub(super) page: *mut bindings::page,
    /// Further buffers of the frame are copied, so that all pages are full: the list of fragments
    /// takes the longest frame however short the buffers are. Here, as what is handed on for each
    /// frame, `XdpAssembly`, fits in two registers without it.
    pub(super) copies: bool,
    /// Where the frame began as it came.
    pub(super) came: *mut c_void,
    pub(super) program: Program<'p>,
    _poll: PhantomData<&'p RxPoll<'p>>,
}

impl<'p> XdpRoom<'p> {
    /// For frames of the polled queue, and its program. None if there is no program.
    #[inline]
    pub fn new(poll: &'p RxPoll<'_>) -> Option<Self> {
        let program = poll.program()?;
        // SAFETY: All-zero is a valid `xdp_buff`.
        let mut raw: bindings::xdp_buff = unsafe { core::mem::zeroed() };
        raw.rxq = poll.queue_info();
        raw.__bindgen_anon_1.frame_sz_flags_init = PAGE_SIZE as u64;
        Some(Self {
            raw,
            record: [0; HeaderLayout::MAX_LEN],
            page: core::ptr::null_mut(),
            copies: false,
            came: core::ptr::null_mut(),
            program,
            _poll: PhantomData,
        })
    }
}

/// A received frame: data in a page, and fragments in others, all of one page pool.
///
/// # Invariants
///
/// `raw` describes the frame, whose pages this value owns, each of them whole:
/// `data_hard_start` is the start of `page`, and `data` to `data_end` leave room for a
/// `skb_shared_info` behind them, which is valid if the flags say so.
pub struct XdpBuff<'r, 'p>(pub(super) &'r mut XdpRoom<'p>);

/// What a program wants to be done with a frame.
pub enum Verdict<F> {
    /// The stack shall have it.
    Pass(F),
    /// It goes out by the device that it came by.
    Transmit(F),
    /// It goes where the program has said; see [`super::Frame::redirect`].
    Redirect(F),
    /// It is of no use.
    Drop(F),
}

impl<'r, 'p> XdpBuff<'r, 'p> {
    #[inline]
    fn flags(&self) -> u32 {
        // SAFETY: Both are plain numbers.
        unsafe { self.0.raw.__bindgen_anon_1.__bindgen_anon_1.flags }
    }

    #[inline]
    pub(super) fn set_flags(&mut self, flags: u32) {
        self.0.raw.__bindgen_anon_1.__bindgen_anon_1.flags = flags;
    }

    /// Whether there is data in other pages than the first.
    #[inline]
    pub fn has_frags(&self) -> bool {
        self.flags() & bindings::xdp_buff_flags_XDP_FLAGS_HAS_FRAGS != 0
    }

    /// Whether fragments are in memory of the last reserves.
    pub(super) fn has_reserves(&self) -> bool {
        self.flags() & bindings::xdp_buff_flags_XDP_FLAGS_FRAGS_PF_MEMALLOC != 0
    }

    /// Where the list of fragments is.
    #[inline]
    pub(super) fn shared_info(&self) -> *mut bindings::skb_shared_info {
        self.0
            .raw
            .data_hard_start
            .wrapping_byte_add(PAGE_SIZE - bindings::SKB_SHINFO_SIZE)
            .cast()
    }

    /// The list of fragments.
    #[inline]
    pub(super) fn frags(&self) -> &[bindings::skb_frag_t] {
        if !self.has_frags() {
            return &[];
        }
        // SAFETY: By the type invariant.
        let shared = unsafe { &*self.shared_info() };
        shared
            .frags
            .get(..usize::from(shared.nr_frags))
            .unwrap_or_default()
    }

    /// Bytes of the frame in the first page.
    #[inline]
    pub(super) fn linear_len(&self) -> usize {
        (self.0.raw.data_end as usize).wrapping_sub(self.0.raw.data as usize)
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        let frags = if self.has_frags() {
            // SAFETY: By the type invariant; a plain number.
            unsafe {
                (*self.shared_info())
                    .__bindgen_anon_2
                    .__bindgen_anon_1
                    .xdp_frags_size
            }
        } else {
            0
        };
        self.linear_len().wrapping_add(frags as usize)
    }

    /// Whether the frame has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The data in the first page.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: By the type invariant.
        unsafe { core::slice::from_raw_parts(self.0.raw.data.cast(), self.linear_len()) }
    }

    /// The data in the first page, to be changed, and what follows it.
    pub fn parts_mut(&mut self) -> (&mut [u8], impl Iterator<Item = &[u8]>) {
        let linear = self.linear_len();
        // SAFETY: By the type invariant. The first page is none of the fragments'.
        let data = unsafe { core::slice::from_raw_parts_mut(self.0.raw.data.cast(), linear) };
        let frags = self.frags().iter().map(|frag| {
            let start = crate::virtio::page_address(frag.netmem as *const bindings::page);
            // SAFETY: By the type invariant.
            unsafe {
                core::slice::from_raw_parts(
                    start.wrapping_add(frag.offset as usize),
                    frag.len as usize,
                )
            }
        });
        (data, frags)
    }

    /// What the device has said of the frame: its header.
    #[inline]
    pub fn record(&self) -> &[u8; HeaderLayout::MAX_LEN] {
        &self.0.record
    }

    /// The same, to be changed.
    #[inline]
    pub fn record_mut(&mut self) -> &mut [u8; HeaderLayout::MAX_LEN] {
        &mut self.0.record
    }

    /// How many bytes the program has taken off the front, or, negative, added there.
    #[inline]
    pub fn moved(&self) -> isize {
        (self.0.raw.data as isize).wrapping_sub(self.0.came as isize)
    }

    /// Whether the program has written metadata in front of the frame.
    #[inline]
    pub fn has_metadata(&self) -> bool {
        self.metadata_len() != 0
    }

    #[inline]
    pub(super) fn metadata_len(&self) -> usize {
        (self.0.raw.data as usize).saturating_sub(self.0.raw.data_meta as usize)
    }

    /// The frame, whose first `len` bytes are metadata. None if there are not so many.
    pub(in super::super) fn with_metadata(self, len: usize) -> Option<Self> {
        if len > self.linear_len() {
            return None;
        }
        self.0.raw.data = self.0.raw.data.wrapping_byte_add(len);
        Some(self)
    }

    /// Has the program look at the frame (`bpf_prog_run_xdp`).
    #[inline]
    pub fn run(self) -> Verdict<Self> {
        let program = self.0.program;
        // SAFETY: The program is live, and the frame described as it expects. What it
        // changes keeps the type invariant. This is a poll.
        let action = unsafe { program.run(&mut self.0.raw) };
        // SAFETY: The frame is described.
        Verdict::new(action, self, |frame, action| unsafe {
            refuse(program, &frame.0.raw, action);
        })
    }

    #[inline]
    fn dev(&self) -> *mut bindings::net_device {
        // SAFETY: The queue's information is valid in its poll.
        unsafe { (*self.0.raw.rxq).dev }
    }

    /// Tells who traces that a verdict could not be followed.
    #[cold]
    fn trace(&self, action: u32) {
        // SAFETY: The frame is described.
        unsafe { trace(self.0.program, &self.0.raw, action) };
    }

    /// Sends the frame where the program has said (`xdp_do_redirect`). It is on its way when
    /// the poll ends.
    ///
    /// # Errors
    ///
    /// The frame, if it cannot go there.
    #[inline]
    pub fn redirect(self, poll: &RxPoll<'_>) -> Result<(), Self> {
        // Some may wait to be sent even if it fails: a broadcast's, of which one had no memory.
        poll.redirected();
        // SAFETY: Device, frame and program are valid; this is the poll that has run it.
        let ret = unsafe {
            bindings::xdp_do_redirect(self.dev(), &mut self.0.raw, self.0.program.as_ptr())
        };
        if ret != 0 {
            self.trace(bindings::xdp_action_XDP_REDIRECT);
            return Err(self);
        }
        // Another has the memory.
        let _ = ManuallyDrop::new(self);
        Ok(())
    }

    /// The frame as what can be sent (`xdp_convert_buff_to_frame`).
    ///
    /// # Errors
    ///
    /// The frame, if the program has left too little room in front of it.
    #[inline]
    pub fn into_frame(self) -> Result<XdpFrame, Self> {
        let raw = &self.0.raw;
        let headroom = (raw.data as usize).wrapping_sub(raw.data_hard_start as usize);
        let metadata = self.metadata_len();
        let Some(headroom) = headroom
            .checked_sub(size_of::<bindings::xdp_frame>())
            .filter(|&room| room >= metadata)
        else {
            self.trace(bindings::xdp_action_XDP_TX);
            return Err(self);
        };
        let frame = raw.data_hard_start.cast::<bindings::xdp_frame>();
        // SAFETY: The memory is ours, and the frame's data and metadata are behind it.
        // A page begins there, so it is aligned.
        unsafe {
            addr_of_mut!((*frame).data).write(raw.data);
            addr_of_mut!((*frame).len).write(self.linear_len() as u32);
            addr_of_mut!((*frame).headroom).write(headroom as u32);
            addr_of_mut!((*frame).metasize).write(metadata as u32);
            // A bit field of all bits of a word, which bindgen would set one by one.
            const { assert!(size_of_val(&ZERO._bitfield_1) == size_of::<u32>()) };
            addr_of_mut!((*frame)._bitfield_1)
                .cast::<u32>()
                .write((*raw.rxq).mem.type_);
            addr_of_mut!((*frame).frame_sz).write(PAGE_SIZE as u32);
            addr_of_mut!((*frame).flags).write(self.flags());
            let _ = ManuallyDrop::new(self);
            Ok(XdpFrame::from_ptr(NonNull::new_unchecked(frame)))
        }
    }

    /// A frame that was to be sent and could not be: tells who traces.
    #[cold]
    pub fn not_sent(&self) {
        self.trace(bindings::xdp_action_XDP_TX);
    }

    /// The first page, empty again; the others are freed.
    #[inline]
    pub fn into_buffer(self) -> RxBuffer {
        self.free_frags();
        let page = self.0.page;
        let _ = ManuallyDrop::new(self);
        // SAFETY: By the type invariant, the page is one, and was ours.
        unsafe { whole(NonNull::new_unchecked(page)) }
    }

    #[inline]
    fn free_frags(&self) {
        if self.has_frags() {
            self.frags().iter().for_each(|frag| {
                if let Some(page) = NonNull::new(frag.netmem as *mut bindings::page) {
                    // SAFETY: By the type invariant. They are not looked at any more.
                    drop(unsafe { whole(page) });
                }
            });
        }
    }

    /// Gives up the memory to who has taken it over.
    #[inline]
    pub(super) fn forget(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl<F> Verdict<F> {
    /// What a program has answered of a frame; `refuse` is told of an answer that is none.
    #[inline(always)]
    pub(in super::super) fn new(action: u32, frame: F, refuse: impl FnOnce(&F, u32)) -> Self {
        match action {
            bindings::xdp_action_XDP_DROP => Self::Drop(frame),
            bindings::xdp_action_XDP_PASS => Self::Pass(frame),
            bindings::xdp_action_XDP_TX => Self::Transmit(frame),
            bindings::xdp_action_XDP_REDIRECT => Self::Redirect(frame),
            action => {
                refuse(&frame, action);
                Self::Drop(frame)
            }
        }
    }
}

/// Tells users of a verdict that is none.
///
/// # Safety
///
/// The program is live, and the frame described, in the poll of its queue.
#[cold]
pub(in super::super) unsafe fn refuse(
    program: Program<'_>,
    frame: &bindings::xdp_buff,
    action: u32,
) {
    // SAFETY: Device and program are live.
    unsafe {
        if action != bindings::xdp_action_XDP_ABORTED {
            bindings::bpf_warn_invalid_xdp_action((*frame.rxq).dev, program.as_ptr(), action);
        }
        trace(program, frame, action);
    }
}

/// Tells who traces that a verdict was not, or could not be, followed
/// (`trace_xdp_exception`).
///
/// # Safety
///
/// As for [`refuse`].
#[cold]
pub(in super::super) unsafe fn trace(
    program: Program<'_>,
    frame: &bindings::xdp_buff,
    action: u32,
) {
    // SAFETY: Device and program are live.
    unsafe { bindings::trace_xdp_exception((*frame.rxq).dev, program.as_ptr(), action) };
}

// SAFETY: All-zero is a valid `xdp_frame`.
const ZERO: bindings::xdp_frame = unsafe { core::mem::zeroed() };

/// A whole page as a buffer.
///
/// # Safety
///
/// The page is of a pool, and the caller gives away the reference that owns all of it.
#[inline]
unsafe fn whole(page: NonNull<bindings::page>) -> RxBuffer {
    RxBuffer {
        page,
        offset: 0,
        capacity: PAGE_SIZE as u16,
        headroom: 0,
        posted: 0,
    }
}

impl Drop for XdpBuff<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.free_frags();
        if let Some(page) = NonNull::new(self.0.page) {
            // SAFETY: By the type invariant.
            drop(unsafe { whole(page) });
        }
    }
}
