// SPDX-License-Identifier: GPL-2.0

//! Statistics that the device keeps (section 5.1.6.5.10): which there are, and what a
//! device answers when it is asked for them.

use crate::Features;

/// A type of statistics of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    RxBasic = 0,
    RxChecksum = 1,
    RxGso = 2,
    RxSpeed = 3,
    TxBasic = 16,
    TxChecksum = 17,
    TxGso = 18,
    TxSpeed = 19,
    Control = 32,
}

/// Most counters of one type.
pub const MOST: usize = 6;
/// Bytes in front of the counters of one type.
const HEADER_LEN: usize = 8;

impl Kind {
    /// Those of a receive queue.
    pub const RX: [Self; 4] = [Self::RxBasic, Self::RxChecksum, Self::RxGso, Self::RxSpeed];
    /// Those of a transmit queue.
    pub const TX: [Self; 4] = [Self::TxBasic, Self::TxChecksum, Self::TxGso, Self::TxSpeed];
    /// Those of the control queue.
    pub const CONTROL: [Self; 1] = [Self::Control];

    fn all() -> impl Iterator<Item = Self> {
        Self::RX.into_iter().chain(Self::TX).chain(Self::CONTROL)
    }

    fn from_type(kind: u8) -> Option<Self> {
        Self::all().find(|known| *known as u8 == kind)
    }

    /// The bit by which it is asked for, and by which a device says that it has it.
    pub const fn bit(self) -> u64 {
        1u64.wrapping_shl(self as u32)
    }

    /// Its place among those of its queue.
    pub const fn place(self) -> usize {
        (self as u8 & 3) as usize
    }

    /// Names of the counters, in the order of the answer.
    pub const fn counters(self) -> &'static [&'static str] {
        match self {
            Self::RxBasic => &[
                "notifications",
                "packets",
                "bytes",
                "interrupts",
                "drops",
                "drop_overruns",
            ],
            Self::TxBasic => &[
                "notifications",
                "packets",
                "bytes",
                "interrupts",
                "drops",
                "drop_malformed",
            ],
            Self::RxChecksum => &["csum_valid", "needs_csum", "csum_none", "csum_bad"],
            Self::TxChecksum => &["csum_none", "needs_csum"],
            Self::RxGso => &[
                "gso_packets",
                "gso_bytes",
                "gso_packets_coalesced",
                "gso_bytes_coalesced",
            ],
            Self::TxGso => &[
                "gso_packets",
                "gso_bytes",
                "gso_segments",
                "gso_segments_bytes",
                "gso_packets_noseg",
                "gso_bytes_noseg",
            ],
            Self::RxSpeed | Self::TxSpeed => &["ratelimit_packets", "ratelimit_bytes"],
            Self::Control => &["command_num", "ok_num"],
        }
    }

    /// Whether a device with which these features were negotiated can be asked for it; any other
    /// refuses all that it is asked together with it.
    pub fn is_permitted(self, negotiated: Features) -> bool {
        let any = match self {
            Self::RxChecksum => Features::GUEST_CSUM,
            Self::TxChecksum => Features::CSUM,
            Self::RxGso => Features::GUEST_TSO4 | Features::GUEST_TSO6,
            Self::TxGso => Features::HOST_TSO4 | Features::HOST_TSO6 | Features::HOST_USO,
            _ => return true,
        };
        negotiated.intersects(any)
    }

    /// Bytes of the answer.
    pub const fn reply_len(self) -> usize {
        HEADER_LEN.wrapping_add(self.counters().len().wrapping_mul(size_of::<u64>()))
    }
}

/// Those of `types` that a device can be asked for, by their bits.
pub fn permitted(types: u64, negotiated: Features) -> u64 {
    Kind::all()
        .filter(|kind| kind.is_permitted(negotiated))
        .fold(0, |bits, kind| bits | types & kind.bit())
}

/// The kinds of `all` among the bits of `types`.
pub fn kinds(types: u64, all: &'static [Kind]) -> impl Iterator<Item = Kind> {
    all.iter()
        .copied()
        .filter(move |kind| types & kind.bit() != 0)
}

/// The counters of one queue and one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The virtqueue's number, as the device says.
    pub virtqueue: u16,
    /// The type.
    pub kind: Kind,
    /// As many as [`Kind::counters`], then zeroes.
    pub counters: [u64; MOST],
}

/// The records of an answer. What is not known is left out, and nothing is read
/// behind a record that is shorter than its type's, or longer than the answer.
pub fn records(reply: &[u8]) -> impl Iterator<Item = Record> + '_ {
    let mut rest = reply;
    core::iter::from_fn(move || loop {
        let &[kind, _, low, high, _, _, len_low, len_high] = rest.first_chunk::<HEADER_LEN>()?;
        let len = usize::from(u16::from_le_bytes([len_low, len_high]));
        let (record, next) = rest.split_at_checked(len)?;
        let body = record.get(HEADER_LEN..)?;
        rest = next;
        let Some(kind) = Kind::from_type(kind) else {
            continue;
        };
        let mut counters = [0; MOST];
        if body.len() < kind.reply_len().saturating_sub(HEADER_LEN) {
            return None;
        }
        for (counter, bytes) in counters
            .iter_mut()
            .take(kind.counters().len())
            .zip(body.chunks_exact(size_of::<u64>()))
        {
            *counter = u64::from_le_bytes(*bytes.first_chunk()?);
        }
        return Some(Record {
            virtqueue: u16::from_le_bytes([low, high]),
            kind,
            counters,
        });
    })
}

#[cfg(test)]
mod tests;
