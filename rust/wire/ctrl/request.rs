// SPDX-License-Identifier: GPL-2.0

//! Commands as a device gets them: class, number and payload, decoded. A driver
//! has no use for it; device models and tests of encoders do.

use core::fmt;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::FromBytes as _;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A receive mode, as [`Request::RxMode`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RxSwitch {
    Promiscuous,
    AllMulticast,
    AllUnicast,
    NoMulticast,
    NoUnicast,
    NoBroadcast,
}

/// When the device is to merge interrupts: `struct virtio_net_ctrl_coal`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct Coalesce {
    /// Packets that wait at most.
    pub max_packets: U32,
    /// How long they wait at most, in microseconds.
    pub max_usecs: U32,
}

/// One entry of a question for statistics.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct StatsQuery {
    /// Of which queue.
    pub queue: U16,
    /// Reserved.
    pub reserved: [U16; 3],
    /// Bits of the types.
    pub types: U64,
}

/// `VIRTIO_NET_CTRL_MQ_RSS_CONFIG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rss<'a> {
    /// Bits of the hash types.
    pub hash_types: u32,
    /// Where packets without a hash go.
    pub unclassified: u16,
    /// Receive queue by the hash's lowest bits; the length is a power of two.
    pub table: &'a [U16],
    /// Transmit queues in use.
    pub max_tx: u16,
    /// The key.
    pub key: &'a [u8],
}

/// A command and its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Switch a receive mode on or off.
    RxMode(RxSwitch, bool),
    /// Receive these unicast and these multicast addresses.
    MacTable(&'a [[u8; 6]], &'a [[u8; 6]]),
    /// Have this MAC address.
    Mac([u8; 6]),
    /// Receive this VLAN.
    AddVlan(u16),
    /// Do not receive this VLAN.
    DelVlan(u16),
    /// The announcement was made.
    AnnounceAck,
    /// Use so many queue pairs.
    QueuePairs(u16),
    /// Steer by hash.
    Rss(Rss<'a>),
    /// Report hashes of these types, with this key.
    Hash(u32, &'a [u8]),
    /// Have these receive offloads on.
    GuestOffloads(u64),
    /// Merge interrupts of transmit queues.
    CoalesceTx(Coalesce),
    /// Merge interrupts of receive queues.
    CoalesceRx(Coalesce),
    /// Merge interrupts of one queue.
    CoalesceQueue(u16, Coalesce),
    /// How interrupts of one queue are merged.
    GetCoalesceQueue(u16),
    /// Which statistics there are.
    StatsTypes,
    /// Statistics of queues.
    Stats(&'a [StatsQuery]),
}

/// Why a command cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// No such class, or no such number in the class.
    Unknown,
    /// The payload is of another length than the command has.
    Length,
    /// A number in the payload is not allowed.
    Value,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<'a> Request<'a> {
    /// Decodes what follows class and number of a command, all of it.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub fn decode(class: u8, command: u8, payload: &'a [u8]) -> Result<Self, RequestError> {
        Ok(match (class, command) {
            (0, mode) => Self::RxMode(RxSwitch::decode(mode)?, exact::<u8>(payload)? != 0),
            (1, 0) => {
                let (unicast, rest) = mac_table(payload)?;
                let (multicast, rest) = mac_table(rest)?;
                nothing(rest)?;
                Self::MacTable(unicast, multicast)
            }
            (1, 1) => Self::Mac(exact(payload)?),
            (2, 0) => Self::AddVlan(vlan(payload)?),
            (2, 1) => Self::DelVlan(vlan(payload)?),
            (3, 0) => nothing(payload).map(|()| Self::AnnounceAck)?,
            (4, 0) => Self::QueuePairs(exact::<U16>(payload)?.get()),
            (4, 1) => Self::Rss(Rss::decode(payload)?),
            (4, 2) => {
                let (types, rest) = first::<U32>(payload)?;
                let (_, rest) = first::<[U16; 4]>(rest)?;
                Self::Hash(types.get(), key(rest)?)
            }
            (5, 0) => Self::GuestOffloads(exact::<U64>(payload)?.get()),
            (6, 0) => Self::CoalesceTx(exact(payload)?),
            (6, 1) => Self::CoalesceRx(exact(payload)?),
            (6, 2) => {
                let (queue, coalesce) = first::<[U16; 2]>(payload)?;
                let [queue, _] = queue;
                Self::CoalesceQueue(queue.get(), exact(coalesce)?)
            }
            (6, 3) => {
                // Only the queue's number counts; the rest is room for the answer.
                let (queue, _) = first::<U16>(payload)?;
                Self::GetCoalesceQueue(queue.get())
            }
            (8, 0) => nothing(payload).map(|()| Self::StatsTypes)?,
            (8, 1) => {
                let queries = <[StatsQuery]>::ref_from_bytes(payload);
                Self::Stats(queries.map_err(|_| RequestError::Length)?)
            }
            _ => return Err(RequestError::Unknown),
        })
    }
}

impl RxSwitch {
    fn decode(command: u8) -> Result<Self, RequestError> {
        Ok(match command {
            0 => Self::Promiscuous,
            1 => Self::AllMulticast,
            2 => Self::AllUnicast,
            3 => Self::NoMulticast,
            4 => Self::NoUnicast,
            5 => Self::NoBroadcast,
            _ => return Err(RequestError::Unknown),
        })
    }
}

impl<'a> Rss<'a> {
    fn decode(payload: &'a [u8]) -> Result<Self, RequestError> {
        let (hash_types, rest) = first::<U32>(payload)?;
        let (mask, rest) = first::<U16>(rest)?;
        let (unclassified, rest) = first::<U16>(rest)?;
        let entries = usize::from(mask.get()).saturating_add(1);
        if !entries.is_power_of_two() {
            return Err(RequestError::Value);
        }
        let (table, rest) =
            <[U16]>::ref_from_prefix_with_elems(rest, entries).map_err(|_| RequestError::Length)?;
        let (max_tx, rest) = first::<U16>(rest)?;
        Ok(Self {
            hash_types: hash_types.get(),
            unclassified: unclassified.get(),
            table,
            max_tx: max_tx.get(),
            key: key(rest)?,
        })
    }
}

/// A value that is the whole payload.
fn exact<T: zerocopy::FromBytes>(payload: &[u8]) -> Result<T, RequestError> {
    T::read_from_bytes(payload).map_err(|_| RequestError::Length)
}

/// A value, and what follows it.
fn first<T: zerocopy::FromBytes>(payload: &[u8]) -> Result<(T, &[u8]), RequestError> {
    T::read_from_prefix(payload).map_err(|_| RequestError::Length)
}

fn nothing(payload: &[u8]) -> Result<(), RequestError> {
    payload.is_empty().then_some(()).ok_or(RequestError::Length)
}

fn vlan(payload: &[u8]) -> Result<u16, RequestError> {
    let id = exact::<U16>(payload)?.get();
    (id <= 0xfff).then_some(id).ok_or(RequestError::Value)
}

/// One byte of length, and the key. What follows is ignored: the C driver sends a
/// byte more, the padding of its structure (`virtnet_rss_trailer_size`).
fn key(payload: &[u8]) -> Result<&[u8], RequestError> {
    let (len, rest) = first::<u8>(payload)?;
    rest.get(..usize::from(len)).ok_or(RequestError::Length)
}

/// What a table of addresses has, and what follows it.
type MacTable<'a> = (&'a [[u8; 6]], &'a [u8]);

fn mac_table(payload: &[u8]) -> Result<MacTable<'_>, RequestError> {
    let (count, rest) = first::<U32>(payload)?;
    let count = usize::try_from(count.get()).map_err(|_| RequestError::Length)?;
    <[[u8; 6]]>::ref_from_prefix_with_elems(rest, count).map_err(|_| RequestError::Length)
}

#[cfg(test)]
mod tests;
