// SPDX-License-Identifier: GPL-2.0

//! Packets over several buffers: what follows the first one.

use super::{Common, COPY_LEN, ETH_HLEN};
use crate::stats::RxBatch;
use knet::net::{Assembly, Pages, Received, RxPoll, RxSkb, XdpAssembly};

/// A packet that keeps the buffer: around it, if there is room, or beside a copy of
/// the Ethernet header.
#[inline]
pub(super) fn with_buffer(first: Received, skip: usize, poll: &RxPoll<'_>) -> Option<RxSkb> {
    match RxSkb::around(poll, first, skip) {
        Ok(skb) => Some(skb),
        Err(first) => {
            let mut skb = RxSkb::new(poll, COPY_LEN)?;
            let ethernet = first.data().get(skip..skip + ETH_HLEN)?;
            if !skb.put(ethernet) {
                return None;
            }
            skb.append(first, skip + ETH_HLEN).ok()?;
            Some(skb)
        }
    }
}

/// Takes the further buffers of a packet off the ring by `next`, and appends them to `skb`.
/// If that is not there, or they are not, all go back. `next` has nothing, if the ring is
/// empty, or less than nothing, if the length cannot be.
#[inline(never)]
pub(super) fn of_packet(
    skb: Option<RxSkb>,
    buffers: u16,
    common: &Common,
    batch: &mut RxBatch,
    mut next: impl FnMut() -> Option<Option<Received>>,
) -> Option<RxSkb> {
    if buffers == 0 {
        common.stats.length_errors.add(1);
        return None;
    }
    let mut assembly = skb.map(Assembly::new);
    for _ in 1..buffers {
        let Some(received) = next() else {
            common.stats.length_errors.add(1);
            return None;
        };
        let refused = match (received, assembly.as_mut()) {
            (Some(received), Some(packet)) => {
                batch.bytes = batch.bytes.wrapping_add(received.len());
                packet.append(received).is_err()
            }
            (Some(_), None) => true,
            (None, _) => {
                common.stats.length_errors.add(1);
                true
            }
        };
        if refused {
            assembly = None;
        }
    }
    assembly.map(Assembly::finish)
}

/// The same for a frame that a program is to see.
#[inline(never)]
pub(super) fn of_frame<'r, 'p>(
    mut frame: Option<XdpAssembly<'r, 'p>>,
    buffers: u16,
    common: &Common,
    pages: &mut Pages<'_>,
    mut next: impl FnMut(&mut Pages<'_>) -> Option<Option<Received>>,
) -> Option<XdpAssembly<'r, 'p>> {
    if buffers == 0 {
        common.stats.length_errors.add(1);
        return None;
    }
    if let Some(frame) = &mut frame {
        frame.has_buffers(buffers);
    }
    for _ in 1..buffers {
        let Some(received) = next(pages) else {
            common.stats.length_errors.add(1);
            return None;
        };
        let is_in = match (received, frame.as_mut()) {
            (Some(received), Some(frame)) => frame.append(received, pages),
            (Some(_), None) => false,
            (None, _) => {
                common.stats.length_errors.add(1);
                false
            }
        };
        if !is_in {
            frame = None;
        }
    }
    frame
}
