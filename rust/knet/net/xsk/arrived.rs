// SPDX-License-Identifier: GPL-2.0

//! What the device has filled.

use super::{
    super::{xdp::Program, Received},
    receive::start,
    rx::Buffer,
    ArrivedChain, XskFrame,
};
use core::{marker::PhantomData, mem::ManuallyDrop};
use virtio_net_wire::HeaderLayout;

/// What the device has filled; with the header in front, and not in other hands for as long as
/// the queue is borrowed.
pub enum Arrived<'q> {
    /// A page, as of other queues.
    Page(Received),
    /// A frame of the pool.
    Frame(ArrivedFrame<'q>),
    /// Several of them, behind a slot for the header.
    Chain(ArrivedChain<'q>),
}

/// A frame that the device has filled.
///
/// # Invariants
///
/// The `len` bytes from `header_len` bytes in front of where frames begin are initialised, and
/// in the frame.
pub struct ArrivedFrame<'q> {
    pub(super) buffer: Buffer,
    pub(super) header_len: usize,
    pub(super) len: usize,
    pub(super) _queue: PhantomData<&'q mut ()>,
}

impl Arrived<'_> {
    /// What the device wrote: all of it, or what is in the slot of a chain.
    #[inline]
    pub fn data(&self) -> &[u8] {
        match self {
            Self::Page(received) => received.data(),
            Self::Frame(frame) => frame.data(),
            Self::Chain(chain) => chain.header(),
        }
    }

    /// What the device wrote, piece by piece, without the first `skip` bytes, which are in the
    /// first of them. None is empty.
    pub fn parts(&self, skip: usize) -> impl Iterator<Item = &[u8]> {
        let rest = match self {
            Self::Chain(chain) => Some(chain.parts()),
            _ => None,
        };
        let first = core::iter::once(self.data().get(skip..).unwrap_or_default());
        Iterator::chain(first, rest.into_iter().flatten()).filter(|bytes| !bytes.is_empty())
    }

    /// How many bytes the device wrote.
    pub fn len(&self) -> usize {
        let rest = match self {
            Self::Chain(chain) => chain.len(),
            _ => 0,
        };
        self.data().len().wrapping_add(rest)
    }

    /// Whether it wrote none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'q> ArrivedFrame<'q> {
    /// What the device wrote.
    #[inline]
    fn data(&self) -> &[u8] {
        // SAFETY: By the type invariant.
        unsafe { core::slice::from_raw_parts(start(self.buffer.xskb, self.header_len), self.len) }
    }

    /// The frame behind its header, of which the device has said `record`, for `program`. It is
    /// empty if not even all of the header was written.
    #[inline]
    pub fn begin(
        self,
        record: &[u8; HeaderLayout::MAX_LEN],
        program: Option<Program<'q>>,
    ) -> XskFrame<'q> {
        let len = self.len.saturating_sub(self.header_len);
        let xskb = ManuallyDrop::new(self.buffer).xskb;
        // SAFETY: The frame is ours, and has these bytes.
        unsafe { XskFrame::new(xskb, len, *record, program) }
    }
}
