// SPDX-License-Identifier: GPL-2.0

//! Packets that are copied together: over several buffers, or in pages.

use super::super::{rest, xdp::Runner, Common, COPY_LEN};
use crate::stats::RxBatch;
use knet::{
    net::{Arrived, Pages, RxFrame, RxPoll, SkbCopy, XdpAssembly, XdpRoom},
    virtio::{LengthError, Virtqueue},
};
use virtio_net_wire::HeaderLayout;

/// The header of a frame.
type Header = [u8; HeaderLayout::MAX_LEN];

/// Begins a frame for a program with its first buffer, which has `skip` bytes of header. None if
/// there is no memory.
#[inline(never)]
pub(super) fn begin_frame<'r, 'p>(
    first: Arrived<'_>,
    room: &'r mut XdpRoom<'p>,
    skip: usize,
    header: &Header,
    pages: &mut Pages<'_>,
) -> Option<XdpAssembly<'r, 'p>> {
    if let Arrived::Page(first) = first {
        return room.begin(first, skip, header, pages);
    }
    let mut parts = first.parts(skip);
    let mut frame = room.copy(parts.next()?, header, pages)?;
    parts
        .all(|bytes| frame.append_copy(bytes, pages))
        .then_some(frame)
}

/// Takes the further buffers of a frame off the ring, and has the program look at it. It is lost
/// if they, or it, cannot be.
#[inline(never)]
pub(super) fn frame(
    mut frame: Option<XdpAssembly<'_, '_>>,
    vq: &mut Virtqueue<RxFrame>,
    buffers: u16,
    runner: &mut Runner<'_>,
    pages: &mut Pages<'_>,
    batch: &mut RxBatch,
) {
    if let Some(frame) = &mut frame {
        frame.has_buffers(buffers);
    }
    let is_whole = rest(vq, buffers, runner.common, |arrived| {
        match (&mut frame, arrived) {
            (None, _) => false,
            (Some(frame), Arrived::Page(page)) => frame.append(page, pages),
            (Some(frame), arrived) => arrived
                .parts(0)
                .all(|bytes| frame.append_copy(bytes, pages)),
        }
    });
    match frame
        .filter(|_| is_whole)
        .and_then(|frame| frame.finish(pages))
    {
        Some(frame) => runner.frame(frame, drop, batch),
        None => runner.lost(),
    }
}

/// Begins a packet for the stack in the same way.
#[inline(never)]
pub(super) fn begin_packet(
    first: Arrived<'_>,
    skip: usize,
    poll: &RxPoll<'_>,
    pages: &mut Pages<'_>,
) -> Option<SkbCopy> {
    if let Arrived::Page(first) = first {
        return rest::with_buffer(first, skip, poll).map(SkbCopy::new);
    }
    let mut parts = first.parts(skip);
    let mut packet = SkbCopy::begin(poll, parts.next()?, COPY_LEN, pages)?;
    parts
        .all(|bytes| packet.append(bytes, pages))
        .then_some(packet)
}

/// The same with the packet, for the stack.
#[inline(never)]
pub(super) fn packet(
    mut packet: Option<SkbCopy>,
    vq: &mut Virtqueue<RxFrame>,
    buffers: u16,
    header: &Header,
    runner: &Runner<'_>,
    pages: &mut Pages<'_>,
    batch: &mut RxBatch,
) {
    let is_whole = rest(vq, buffers, runner.common, |arrived| {
        batch.bytes = batch.bytes.wrapping_add(arrived.len());
        match (&mut packet, arrived) {
            (None, _) => false,
            (Some(packet), Arrived::Page(page)) => packet.append_received(page),
            (Some(packet), arrived) => arrived.parts(0).all(|bytes| packet.append(bytes, pages)),
        }
    });
    match packet.filter(|_| is_whole).and_then(SkbCopy::finish) {
        Some(skb) => runner.common.deliver(skb, header, runner.poll),
        None => batch.drops = batch.drops.wrapping_add(1),
    }
}

/// Takes the further buffers of a packet off the ring, and offers them to `add` as long as that
/// takes them; whether all were there and taken.
fn rest(
    vq: &mut Virtqueue<RxFrame>,
    buffers: u16,
    common: &Common,
    mut add: impl FnMut(Arrived<'_>) -> bool,
) -> bool {
    let mut is_whole = buffers != 0;
    for _ in 1..buffers {
        match next(vq) {
            Some(Ok(arrived)) => is_whole = is_whole && add(arrived),
            Some(Err(_)) => {
                common.stats.length_errors.add(1);
                is_whole = false;
            }
            None => {
                common.stats.length_errors.add(1);
                return false;
            }
        }
    }
    if buffers == 0 {
        common.stats.length_errors.add(1);
    }
    is_whole
}

/// A further buffer; apart, so that its code is in the way of no packet in one buffer.
#[inline(never)]
fn next(vq: &mut Virtqueue<RxFrame>) -> Option<Result<Arrived<'_>, LengthError>> {
    vq.receive(1)
}
