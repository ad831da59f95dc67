// SPDX-License-Identifier: GPL-2.0

//! What the driver receives.

use super::{offload, Device, Frame, Header, Role};
use crate::hostile::{Hostile, Lie};
use crate::ring::Used;
use std::time::Instant;
use virtio_net_wire::ctrl::GuestOffloads;
use virtio_net_wire::header::{Base, V1Hash, V1HashTunnel};
use virtio_net_wire::{Features, HeaderLayout};

/// Most buffers of one frame; more than any driver needs for 64 KiB.
const MAX_BUFFERS: usize = 64;

/// Where the header says over how many buffers the frame is.
const BUFFERS: usize = size_of::<Base>();

/// Why a frame was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are not enough buffers now; more may come.
    NoBuffers,
    /// The driver is not ready, the link is down, or the queue is not in use.
    Down,
    /// The frame does not fit the driver's buffers, and never will.
    TooLong,
}

impl Device {
    /// Puts one frame, as it is, into the buffers of receive queue `pair`.
    /// Filters, steering and offloads that the driver does not take are the
    /// business of [`Device::receive`].
    ///
    /// # Errors
    ///
    /// [`Refused`], with the frame dropped and counted.
    pub fn deliver(&mut self, pair: u16, frame: &Frame, now: Instant) -> Result<(), Refused> {
        let index = self.index_of(Role::Rx(pair));
        if !self.is_running() || self.role(index) != Some(Role::Rx(pair)) || !self.link_is_up() {
            return Err(Refused::Down);
        }
        let (layout, mergeable) = (self.layout, self.negotiated.contains(Features::MRG_RXBUF));
        let Self {
            queues,
            stats,
            hostile,
            memory,
            ..
        } = self;
        let (Some(queue), Some(stats)) = (
            queues.get_mut(usize::from(index)),
            stats.rx.get_mut(usize::from(pair)),
        ) else {
            return Err(Refused::Down);
        };
        if queue.stopped || hostile.tells(Lie::RxStop) {
            queue.stopped = true;
            stats.no_buffers += 1;
            return Err(Refused::NoBuffers);
        }

        let mut data = frame.data.as_slice();
        if hostile.tells(Lie::FrameRunt) {
            data = &data[..data.len().min(hostile.random().below(14) as usize)];
        }
        let len = layout.len() + data.len();
        let (mut chains, mut room) = (Vec::new(), 0);
        while room < len as u64 {
            let enough = chains.len() == if mergeable { MAX_BUFFERS } else { 1 };
            let chain = if enough { None } else { queue.pop(memory) };
            let Some(chain) = chain else {
                for chain in chains.into_iter().rev() {
                    queue.put_back(chain);
                }
                // Hear of new buffers, so that a waiting frame can be tried then.
                if enough {
                    stats.drops += 1;
                    return Err(Refused::TooLong);
                }
                queue.listen(memory);
                stats.no_buffers += 1;
                return Err(Refused::NoBuffers);
            };
            if chains.is_empty() && chain.writable_len() < layout.len() as u64 {
                stats.malformed += 1;
                let used = Used {
                    id: chain.id,
                    len: 0,
                    slots: chain.slots,
                };
                queue.push(memory, hostile, &[used], now);
                return Err(Refused::TooLong);
            }
            room += chain.writable_len();
            chains.push(chain);
        }

        let (header, mut num_buffers) = lie_about(&frame.header, data.len(), layout, hostile);
        if num_buffers.is_none() && hostile.tells(Lie::NumBuffersOneMore) {
            num_buffers = Some(chains.len() as u16 + 1);
        }
        let buffers = num_buffers.unwrap_or(chains.len() as u16);
        let mut bytes = header.encode(layout, buffers);
        if hostile.tells(Lie::HeaderRandom) {
            hostile.random().fill(&mut bytes);
        }
        if hostile.tells(Lie::HeaderRandomInside) {
            let number = BUFFERS..(BUFFERS + 2).min(bytes.len());
            let honest = bytes[number.clone()].to_vec();
            hostile.random().fill(&mut bytes);
            bytes[number].copy_from_slice(&honest);
        }
        bytes.extend_from_slice(data);
        let (mut used, mut rest) = (Vec::with_capacity(chains.len()), bytes.as_slice());
        for chain in &chains {
            match chain.write(memory, 0, rest) {
                Ok(written) => {
                    let len = written as u32;
                    used.push(Used {
                        id: chain.id,
                        len,
                        slots: chain.slots,
                    });
                    rest = &rest[written..];
                }
                Err(error) => {
                    queue.fail(error);
                    stats.malformed += 1;
                    return Err(Refused::Down);
                }
            }
        }
        queue.push(memory, hostile, &used, now);
        stats.packets += 1;
        stats.bytes += frame.data.len() as u64;
        stats.needs_csum += u64::from(frame.header.needs_csum());
        if frame.header.is_gso() {
            stats.gso_packets += 1;
            stats.gso_bytes += frame.data.len() as u64;
        }
        Ok(())
    }

    /// Gives the driver a frame from outside: filters, chooses the queue, has it
    /// as the driver takes it. `pair` is where it goes if nothing else decides.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the frame (or what was left of it) dropped and counted.
    pub fn receive(&mut self, pair: u16, frame: Frame, now: Instant) -> Result<(), Refused> {
        if !self.wants(&frame.data) {
            self.stats.filtered += 1;
            return Ok(());
        }
        let steering = &self.control.steering;
        let hash = steering.hash(&frame.data);
        // Without a table, flows stay on the pair that they came by.
        let pair = steering
            .pair(hash)
            .unwrap_or(pair % self.control.pairs.max(1));
        let mut result = Ok(());
        for mut frame in offload::fit(frame, self.accepted_offloads()) {
            if self.negotiated.contains(Features::HASH_REPORT) {
                frame.header.hash = hash;
            }
            result = result.and(self.deliver(pair, &frame, now));
        }
        result
    }

    /// The receive offloads that the driver takes now.
    pub fn accepted_offloads(&self) -> Features {
        let by_command = self.negotiated.contains(Features::CTRL_GUEST_OFFLOADS);
        let switched = GuestOffloads::SWITCHABLE
            .bit_numbers()
            .map(|bit| Features::from_bits_retain(1 << bit))
            .filter(|one| {
                !by_command
                    || GuestOffloads::from_features(*one).bits() & self.control.offloads != 0
            });
        self.negotiated & switched.fold(Features::empty(), |all, one| all | one)
    }
}

/// The header, and how many buffers it should say if not the honest number. Nothing is said in
/// fields that the layout does not have.
fn lie_about(
    honest: &Header,
    len: usize,
    layout: HeaderLayout,
    hostile: &mut Hostile,
) -> (Header, Option<u16>) {
    use virtio_net_wire::header::{flag, gso};

    let (mut header, mut num_buffers) = (*honest, None);
    if hostile.is_honest() {
        return (header, None);
    }
    let beyond = |hostile: &mut Hostile| {
        let room = u64::from(u16::MAX).saturating_sub(len as u64);
        (len as u64 + hostile.random().below(room)) as u16
    };
    if hostile.tells(Lie::NumBuffersZero) {
        num_buffers = Some(0);
    }
    if hostile.tells(Lie::NumBuffersHuge) {
        num_buffers = Some(u16::MAX - hostile.random().below(1000) as u16);
    }
    if hostile.tells(Lie::CsumStart) {
        header.flags |= flag::NEEDS_CSUM;
        header.csum_start = beyond(hostile);
    }
    if hostile.tells(Lie::CsumOffset) {
        header.flags |= flag::NEEDS_CSUM;
        header.csum_offset = beyond(hostile);
    }
    if hostile.tells(Lie::GsoType) {
        header.gso_type = 0x10 | 2 | hostile.random().next_u64() as u8;
        header.gso_size = 1000;
    }
    if hostile.tells(Lie::GsoSizeZero) {
        header.gso_type = gso::TCPV4;
        header.gso_size = 0;
    }
    if hostile.tells(Lie::GsoShortFrame) {
        header.gso_type = gso::TCPV6;
        header.gso_size = 1;
        header.flags |= flag::NEEDS_CSUM;
        header.csum_start = len as u16;
        header.csum_offset = 16;
    }
    if hostile.tells(Lie::HdrLen) {
        header.hdr_len = beyond(hostile);
    }
    if hostile.tells(Lie::HeaderFlags) {
        header.flags = 0xff;
    }
    let has = |part: usize| layout.len() >= part;
    if has(size_of::<V1Hash>()) && hostile.tells(Lie::HashType) {
        header.hash = Some((1, 10 + hostile.random().below(60000) as u16));
    }
    if has(size_of::<V1HashTunnel>()) && hostile.tells(Lie::TunnelOffsets) {
        header.gso_type = gso::TCPV4 | gso::UDP_TUNNEL_IPV4;
        header.gso_size = 100;
        header.flags |= flag::NEEDS_CSUM;
        (header.csum_start, header.csum_offset) = (34, 16);
        header.tunnel = Some((beyond(hostile), beyond(hostile)));
    }
    (header, num_buffers)
}
