// SPDX-License-Identifier: GPL-2.0

//! What is asked of the kernel for a frame, in front of it (`struct xsk_tx_metadata`).

use crate::area::Area;
use crate::packet::Partial;
use std::mem::offset_of;

/// Bytes in front of each frame: all, or those that were there before launch times were.
pub fn len(with_launch: bool) -> usize {
    if with_launch {
        size_of::<Metadata>()
    } else {
        offset_of!(Metadata, launch_time)
    }
}

/// Of memory: the kernel completes checksums of what is sent.
pub const XDP_UMEM_TX_SW_CSUM: u32 = 2;
/// In the options of a descriptor: there is metadata.
pub const XDP_TX_METADATA: u32 = 2;
const XDP_TXMD_FLAGS_TIMESTAMP: u64 = 1;
const XDP_TXMD_FLAGS_CHECKSUM: u64 = 2;
const XDP_TXMD_FLAGS_LAUNCH_TIME: u64 = 4;

/// As it is given to the kernel. It writes a time stamp to where the offsets of the checksum
/// are.
#[repr(C)]
struct Metadata {
    flags: u64,
    csum_start: u16,
    csum_offset: u16,
    reserved: u32,
    launch_time: u64,
}

/// What is asked for a frame.
#[derive(Clone, Copy, Default)]
pub struct Request {
    /// That its checksum be completed.
    pub checksum: Option<Partial>,
    /// That it be noted when it was sent.
    pub stamp: bool,
    /// That it be sent at this time, in nanoseconds of TAI.
    pub launch: Option<u64>,
}

/// When a frame was sent, and when it should have been, or 0; of the frame at `address`, for which this
/// checksum was asked. None if no time was asked for, as for all but the first part of a frame, or there
/// is still what was asked.
pub fn times(
    area: &mut Area,
    address: u64,
    len: usize,
    asked: Option<Partial>,
) -> Option<(u64, u64)> {
    let metadata = area.frame(address.checked_sub(len as u64)?, len)?;
    let get = |at: usize| {
        let (bytes, _) = metadata.get(at..)?.split_first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    };
    if get(offset_of!(Metadata, flags))? & XDP_TXMD_FLAGS_TIMESTAMP == 0 {
        return None;
    }
    let sent = get(offset_of!(Metadata, csum_start))?;
    let launch = get(offset_of!(Metadata, launch_time)).unwrap_or(0);
    (sent != in_place_of_time(asked)).then_some((sent, launch))
}

/// What is where a time stamp would be.
fn in_place_of_time(asked: Option<Partial>) -> u64 {
    let Partial { start, offset } = asked.unwrap_or_default();
    let ([a, b], [c, d]) = (start.to_ne_bytes(), offset.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])
}

/// Asks for something, in front of the frame at `address`.
pub fn ask(area: &mut Area, address: u64, len: usize, request: Request) -> Option<()> {
    let metadata = area.frame(address.checked_sub(len as u64)?, len)?;
    let partial = request.checksum.unwrap_or_default();
    let flags = [
        (request.stamp, XDP_TXMD_FLAGS_TIMESTAMP),
        (request.checksum.is_some(), XDP_TXMD_FLAGS_CHECKSUM),
        (request.launch.is_some(), XDP_TXMD_FLAGS_LAUNCH_TIME),
    ];
    let flags = flags
        .iter()
        .filter(|(is_set, _)| *is_set)
        .fold(0, |all, (_, flag)| all | flag);
    let launch = request.launch.unwrap_or(0);
    metadata.fill(0);
    let mut put = |at: usize, bytes: &[u8]| metadata[at..at + bytes.len()].copy_from_slice(bytes);
    put(offset_of!(Metadata, flags), &flags.to_ne_bytes());
    if request.launch.is_some() {
        put(offset_of!(Metadata, launch_time), &launch.to_ne_bytes());
    }
    put(
        offset_of!(Metadata, csum_start),
        &partial.start.to_ne_bytes(),
    );
    put(
        offset_of!(Metadata, csum_offset),
        &partial.offset.to_ne_bytes(),
    );
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_a_time() {
        let mut area = Area::new(4096, false).unwrap();
        let (at, len) = (256, len(true));
        let checksum = Some(Partial {
            start: 34,
            offset: 6,
        });
        let mut asked = |stamp, written: Option<u64>| {
            let request = Request {
                checksum,
                stamp,
                launch: None,
            };
            ask(&mut area, at, len, request).unwrap();
            if let Some(time) = written {
                let place = at - len as u64 + offset_of!(Metadata, csum_start) as u64;
                area.frame(place, 8)
                    .unwrap()
                    .copy_from_slice(&time.to_ne_bytes());
            }
            times(&mut area, at, len, checksum)
        };
        assert_eq!(asked(true, Some(77)), Some((77, 0)));
        assert_eq!(asked(true, None), None);
        assert_eq!(asked(false, Some(77)), None);
    }
}
