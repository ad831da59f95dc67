// SPDX-License-Identifier: GPL-2.0

//! Statistics that the device keeps (section 5.1.6.5.10), by the names of the C driver.

use crate::nic::Nic;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use kernel::prelude::*;
use knet::net::{RxQueueStats, Statistics, TxQueueStats};
use virtio_net_wire::{
    ctrl::{GetStats, QueryStats},
    stats::{kinds, permitted, records, Kind, MOST},
    Features,
};

/// Counters of one virtqueue, by type; `None` for what the device did not tell.
type Counters = [Option<[u64; MOST]>; 4];

/// What a device keeps.
#[derive(Default)]
pub(crate) struct DeviceStats {
    /// The bits of the types; none until the device was asked.
    types: AtomicU64,
    /// Whether the log says already that it does not answer, or not all that it is asked.
    complained: AtomicBool,
}

impl DeviceStats {
    fn types(&self) -> u64 {
        self.types.load(Ordering::Relaxed)
    }
}

/// What `ethtool -S` shows of each type; the rest is for the netdev family.
const fn shown(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::RxBasic | Kind::TxBasic => &["packets", "bytes", "notifications", "interrupts"],
        Kind::RxChecksum => &["needs_csum"],
        Kind::TxGso => &["gso_packets_noseg", "gso_bytes_noseg"],
        Kind::RxSpeed | Kind::TxSpeed => &["ratelimit_bytes"],
        Kind::Control => &["command_num", "ok_num"],
        Kind::TxChecksum | Kind::RxGso => &[],
    }
}

fn value(counters: &Counters, kind: Kind, name: &str) -> u64 {
    kind.counters()
        .iter()
        .position(|counter| *counter == name)
        .and_then(|index| counters.get(kind.place())?.as_ref()?.get(index).copied())
        .unwrap_or(0)
}

/// A set of virtqueues, and what was learnt of them.
pub(crate) struct Snapshot {
    first: usize,
    queues: KVec<Counters>,
    control: Counters,
}

impl Snapshot {
    /// Of the virtqueue; nothing if it was not asked for.
    fn queue(&self, virtqueue: usize) -> Counters {
        virtqueue
            .checked_sub(self.first)
            .and_then(|index| self.queues.get(index).copied())
            .unwrap_or_default()
    }
}

const RX: &[Kind] = &Kind::RX;
const TX: &[Kind] = &Kind::TX;
const CONTROL: &[Kind] = &Kind::CONTROL;

/// The types that virtqueue `index`, which is not the control queue, can have.
fn of_queue(index: usize) -> &'static [Kind] {
    if index % 2 == 0 {
        RX
    } else {
        TX
    }
}

impl Nic {
    /// Asks the device what it keeps. A device that does not answer keeps nothing.
    pub(crate) fn ask_for_device_stats(&self) {
        let Some(control) = &self.control else { return };
        if !self.negotiated.contains(Features::DEVICE_STATS) {
            return;
        }
        match control.ask(&self.device, &QueryStats, size_of::<u64>()) {
            Ok(reply) => {
                let types = reply
                    .first_chunk()
                    .map_or(0, |bytes| u64::from_le_bytes(*bytes));
                self.device_stats
                    .types
                    .store(permitted(types, self.negotiated), Ordering::Relaxed);
            }
            Err(error) => dev_warn!(
                self.device.as_ref(),
                "the device does not tell its statistics: {:?}\n",
                error
            ),
        }
    }

    /// What the device counted of virtqueues `from` to before `to`, and, if `control`,
    /// of the control queue.
    fn device_counters(&self, from: usize, to: usize, control: bool) -> Result<Snapshot> {
        let types = self.device_stats.types();
        let count = to.saturating_sub(from);
        let mut snapshot = Snapshot {
            first: from,
            queues: KVec::from_elem(Counters::default(), count, GFP_KERNEL)?,
            control: Counters::default(),
        };
        let last = self.netdev.queues().rx_len().wrapping_mul(2);
        let mut wanted = KVec::with_capacity(count.saturating_add(1), GFP_KERNEL)?;
        let (mut reply_len, mut asked) = (0usize, 0usize);
        let mut want = |virtqueue: usize, all: &'static [Kind]| -> Result {
            let bits = kinds(types, all).fold(0, |bits, kind| bits | kind.bit());
            if bits != 0 {
                let len: usize = kinds(types, all).map(Kind::reply_len).sum();
                reply_len = reply_len.saturating_add(len);
                asked = asked.saturating_add(kinds(types, all).count());
                wanted.push((virtqueue.try_into()?, bits), GFP_KERNEL)?;
            }
            Ok(())
        };
        for virtqueue in from..to {
            want(virtqueue, of_queue(virtqueue))?;
        }
        if control {
            want(last, CONTROL)?;
        }
        if wanted.is_empty() {
            return Ok(snapshot);
        }
        let queue = self.control.as_ref().ok_or(EOPNOTSUPP)?;
        let reply = queue.ask(&self.device, &GetStats(&wanted), reply_len)?;
        let mut told = 0usize;
        for record in records(&reply) {
            let virtqueue = usize::from(record.virtqueue);
            let of_control = control && virtqueue == last;
            let known = if of_control {
                CONTROL
            } else {
                of_queue(virtqueue)
            };
            let place = if of_control {
                Some(&mut snapshot.control)
            } else {
                virtqueue
                    .checked_sub(from)
                    .and_then(|index| snapshot.queues.get_mut(index))
            };
            // What was not asked for says nothing.
            if let Some(to) = place.and_then(|counters| counters.get_mut(record.kind.place())) {
                if kinds(types, known).any(|kind| kind == record.kind) {
                    let first = to.replace(record.counters).is_none();
                    told = told.saturating_add(first.into());
                }
            }
        }
        if told < asked {
            self.complain("not all of its statistics");
        }
        Ok(snapshot)
    }

    /// Says once that the device does not tell what it is asked.
    fn complain(&self, what: &str) {
        if !self.device_stats.complained.swap(true, Ordering::Relaxed) {
            dev_warn!(self.device.as_ref(), "the device tells {}\n", what);
        }
    }

    /// All of them, for `ethtool -S`; `None` if there are none to show.
    pub(crate) fn all_device_counters(&self, wants_values: bool) -> Option<Snapshot> {
        if self.device_stats.types() == 0 {
            return None;
        }
        let to = self.pairs().wrapping_mul(2);
        let result = if wants_values {
            self.device_counters(0, to, true)
        } else {
            Err(ENODATA)
        };
        if result.as_ref().is_err_and(|&error| error != ENODATA) {
            self.complain("no statistics");
        }
        Some(result.unwrap_or(Snapshot {
            first: 0,
            queues: KVec::new(),
            control: Counters::default(),
        }))
    }

    /// The sums of the receive queues in use, or of the transmit queues.
    pub(crate) fn visit_device_sums(
        &self,
        snapshot: &Snapshot,
        is_tx: bool,
        statistics: &mut dyn Statistics,
    ) {
        let (side, all) = if is_tx { ("tx", TX) } else { ("rx", RX) };
        for kind in kinds(self.device_stats.types(), all) {
            for name in shown(kind) {
                let sum = (0..self.pairs()).fold(0u64, |sum, pair| {
                    let virtqueue = pair.wrapping_mul(2).wrapping_add(is_tx.into());
                    sum.wrapping_add(value(&snapshot.queue(virtqueue), kind, name))
                });
                statistics.counter(format_args!("{side}_hw_{name}"), sum);
            }
        }
    }

    /// Those of one queue.
    pub(crate) fn visit_device_queue(
        &self,
        snapshot: &Snapshot,
        pair: usize,
        is_tx: bool,
        statistics: &mut dyn Statistics,
    ) {
        let (side, all) = if is_tx { ("tx", TX) } else { ("rx", RX) };
        let counters = snapshot.queue(pair.wrapping_mul(2).wrapping_add(is_tx.into()));
        for kind in kinds(self.device_stats.types(), all) {
            for name in shown(kind) {
                let value = value(&counters, kind, name);
                statistics.counter(format_args!("{side}{pair}_hw_{name}"), value);
            }
        }
    }

    /// Those of the control queue.
    pub(crate) fn visit_device_control(
        &self,
        snapshot: &Snapshot,
        statistics: &mut dyn Statistics,
    ) {
        for kind in kinds(self.device_stats.types(), CONTROL) {
            for name in shown(kind) {
                let value = value(&snapshot.control, kind, name);
                statistics.counter(format_args!("cq_hw_{name}"), value);
            }
        }
    }

    /// Adds what the device counted of a receive queue.
    pub(crate) fn add_device_rx(&self, pair: usize, to: &mut RxQueueStats) {
        let virtqueue = pair.wrapping_mul(2);
        let types = self.device_stats.types();
        if kinds(types, RX).next().is_none() {
            return;
        }
        let Ok(snapshot) = self.device_counters(virtqueue, virtqueue.wrapping_add(1), false) else {
            return;
        };
        let counters = snapshot.queue(virtqueue);
        let get = |kind, name| Some(value(&counters, kind, name));
        for kind in kinds(types, RX) {
            match kind {
                Kind::RxBasic => {
                    to.hw_drops = get(kind, "drops");
                    to.hw_drop_overruns = get(kind, "drop_overruns");
                }
                Kind::RxChecksum => {
                    to.csum_unnecessary = get(kind, "csum_valid");
                    to.csum_none = get(kind, "csum_none");
                    to.csum_bad = get(kind, "csum_bad");
                }
                Kind::RxGso => {
                    to.hw_gro_packets = get(kind, "gso_packets");
                    to.hw_gro_bytes = get(kind, "gso_bytes");
                    to.hw_gro_wire_packets = get(kind, "gso_packets_coalesced");
                    to.hw_gro_wire_bytes = get(kind, "gso_bytes_coalesced");
                }
                _ => to.hw_drop_ratelimits = get(kind, "ratelimit_packets"),
            }
        }
    }

    /// Adds what the device counted of a transmit queue.
    pub(crate) fn add_device_tx(&self, pair: usize, to: &mut TxQueueStats) {
        let virtqueue = pair.wrapping_mul(2).wrapping_add(1);
        let types = self.device_stats.types();
        if kinds(types, TX).next().is_none() {
            return;
        }
        let Ok(snapshot) = self.device_counters(virtqueue, virtqueue.wrapping_add(1), false) else {
            return;
        };
        let counters = snapshot.queue(virtqueue);
        let get = |kind, name| Some(value(&counters, kind, name));
        for kind in kinds(types, TX) {
            match kind {
                Kind::TxBasic => {
                    to.hw_drops = get(kind, "drops");
                    to.hw_drop_errors = get(kind, "drop_malformed");
                }
                Kind::TxChecksum => {
                    to.csum_none = get(kind, "csum_none");
                    to.needs_csum = get(kind, "needs_csum");
                }
                Kind::TxGso => {
                    to.hw_gso_packets = get(kind, "gso_packets");
                    to.hw_gso_bytes = get(kind, "gso_bytes");
                    to.hw_gso_wire_packets = get(kind, "gso_segments");
                    to.hw_gso_wire_bytes = get(kind, "gso_segments_bytes");
                }
                _ => to.hw_drop_ratelimits = get(kind, "ratelimit_packets"),
            }
        }
    }
}
