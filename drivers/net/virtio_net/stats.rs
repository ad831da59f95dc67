// SPDX-License-Identifier: GPL-2.0

//! Counters of each queue.

use crate::nic::Nic;
use kernel::{str::CStr, sync::Arc};
use knet::{
    net::{
        Driver, LinkStats, QueueStatistics, RxQueueAttribute, RxQueueStats, Statistics, TxPacket,
        TxQueueStats,
    },
    stats::Counter,
};

/// Counters of a receive queue.
#[derive(Default)]
pub(crate) struct Rx {
    pub(crate) packets: Counter,
    pub(crate) bytes: Counter,
    /// Packets that were lost here, for want of memory or for what is wrong with them.
    pub(crate) drops: Counter,
    /// Times that the device was told of new buffers.
    pub(crate) kicks: Counter,
    /// Bytes of the buffers that the ring is filled with, where they change.
    pub(crate) buffer_len: Counter,
    /// Frames that a program has seen.
    pub(crate) xdp_packets: Counter,
    /// Frames that a program wanted to go out by the device that they came by.
    pub(crate) xdp_tx: Counter,
    /// Frames that a program sent somewhere else.
    pub(crate) xdp_redirects: Counter,
    /// Frames that a program dropped, or that could not go where it said.
    pub(crate) xdp_drops: Counter,
    /// Packets whose length or number of buffers cannot be.
    pub(crate) length_errors: Counter,
    /// Packets whose header does not fit them.
    pub(crate) frame_errors: Counter,
}

/// Counters of a transmit queue.
#[derive(Default)]
pub(crate) struct Tx {
    pub(crate) packets: Counter,
    pub(crate) bytes: Counter,
    /// Times that the device was told of new packets.
    pub(crate) kicks: Counter,
    /// Times that the stack waited too long.
    pub(crate) timeouts: Counter,
    /// Times that the ring was full and the stack was stopped.
    pub(crate) stop: Counter,
    /// Times that the stack was let go on.
    pub(crate) wake: Counter,
    /// Packets that were lost here.
    pub(crate) drops: Counter,
    /// Frames beside the stack that this queue was to send.
    pub(crate) xdp_tx: Counter,
    /// Those of them that were lost.
    pub(crate) xdp_tx_drops: Counter,
    /// Frames of processes that were sent without what was asked for them.
    pub(crate) xsk_refused: Counter,
}

/// What one poll received; added to the counters once.
#[derive(Default)]
pub(crate) struct RxBatch {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
    pub(crate) drops: usize,
}

/// What a program did with the frames of one poll; added to the counters once.
#[derive(Default)]
pub(crate) struct XdpBatch {
    pub(crate) packets: usize,
    pub(crate) tx: usize,
    pub(crate) redirects: usize,
    pub(crate) drops: usize,
}

impl Rx {
    /// Frames that were to go out again, and cannot.
    #[cold]
    pub(crate) fn lose_outgoing(&self, n: usize) {
        self.xdp_drops.add(n as u64);
        self.drops.add(n as u64);
    }

    #[inline]
    pub(crate) fn add_xdp(&self, batch: &XdpBatch) {
        self.xdp_packets.add(batch.packets as u64);
        self.xdp_tx.add(batch.tx as u64);
        self.xdp_redirects.add(batch.redirects as u64);
        self.xdp_drops.add(batch.drops as u64);
    }

    #[inline]
    pub(crate) fn add(&self, batch: &RxBatch) {
        self.packets.add(batch.packets as u64);
        self.bytes.add(batch.bytes as u64);
        if batch.drops != 0 {
            self.drops.add(batch.drops as u64);
        }
    }

    /// What `ethtool -S` shows, by the names of the C driver.
    fn named(&self) -> [(&'static str, &Counter); 6] {
        [
            ("drops", &self.drops),
            ("xdp_packets", &self.xdp_packets),
            ("xdp_tx", &self.xdp_tx),
            ("xdp_redirects", &self.xdp_redirects),
            ("xdp_drops", &self.xdp_drops),
            ("kicks", &self.kicks),
        ]
    }
}

impl Tx {
    /// A packet that the device was given and did not send.
    pub(crate) fn lose(&self, packet: TxPacket) {
        match &packet {
            TxPacket::Skb(_) => self.drops.add(1),
            TxPacket::Xdp(_) | TxPacket::Xsk(_) => self.xdp_tx_drops.add(1),
        }
    }

    /// What `ethtool -S` shows, by the names of the C driver, and what that does not count.
    fn named(&self) -> [(&'static str, &Counter); 5] {
        [
            ("xdp_tx", &self.xdp_tx),
            ("xdp_tx_drops", &self.xdp_tx_drops),
            ("kicks", &self.kicks),
            ("tx_timeouts", &self.timeouts),
            ("xsk_metadata_errors", &self.xsk_refused),
        ]
    }
}

impl QueueStatistics for Nic {
    fn rx_queue_stats(&self, index: usize) -> RxQueueStats {
        let Some(rx) = self.rx_stats.get(index) else {
            return RxQueueStats::default();
        };
        let mut stats = RxQueueStats {
            packets: Some(rx.packets.get()),
            bytes: Some(rx.bytes.get()),
            ..RxQueueStats::default()
        };
        self.add_device_rx(index, &mut stats);
        stats
    }

    fn tx_queue_stats(&self, index: usize) -> TxQueueStats {
        let Some(tx) = self.tx_stats.get(index) else {
            return TxQueueStats::default();
        };
        let mut stats = TxQueueStats {
            packets: Some(tx.packets.get()),
            bytes: Some(tx.bytes.get()),
            stop: Some(tx.stop.get()),
            wake: Some(tx.wake.get()),
            ..TxQueueStats::default()
        };
        self.add_device_tx(index, &mut stats);
        stats
    }
}

impl RxQueueAttribute for Nic {
    const FOLDER: &'static CStr = c"virtio_net";
    const NAME: &'static CStr = c"mergeable_rx_buffer_size";

    fn rx_queue_attribute(&self, index: usize) -> u32 {
        self.rx_stats
            .get(index)
            .map_or(0, |rx| rx.buffer_len.get() as u32)
    }
}

/// One counter, summed over queues; wraps as the counters do.
fn sum<T>(queues: &[Arc<T>], counter: impl Fn(&T) -> &Counter) -> u64 {
    queues
        .iter()
        .fold(0, |sum, queue| sum.wrapping_add(counter(queue).get()))
}

/// The counters of the device, summed over its queues.
pub(crate) fn link(nic: &Nic) -> LinkStats {
    let (rx, tx) = (&nic.rx_stats, &nic.tx_stats);
    let (length, frame) = (
        sum(rx, |rx| &rx.length_errors),
        sum(rx, |rx| &rx.frame_errors),
    );
    LinkStats {
        rx_packets: sum(rx, |rx| &rx.packets),
        rx_bytes: sum(rx, |rx| &rx.bytes),
        rx_dropped: sum(rx, |rx| &rx.drops),
        rx_errors: length.wrapping_add(frame),
        rx_length_errors: length,
        rx_frame_errors: frame,
        tx_packets: sum(tx, |tx| &tx.packets),
        tx_bytes: sum(tx, |tx| &tx.bytes),
        tx_errors: sum(tx, |tx| &tx.timeouts),
        tx_dropped: sum(tx, |tx| &tx.drops),
        tx_fifo_errors: sum(tx, |tx| &tx.drops),
    }
}

/// The counters for `ethtool -S`: sums first, then queue by queue.
pub(crate) fn visit(nic: &Nic, statistics: &mut dyn Statistics) {
    let device = nic.all_device_counters(statistics.wants_values());
    for (index, (name, _)) in Rx::default().named().iter().enumerate() {
        let sum = sum(&nic.rx_stats, |rx| rx.named()[index].1);
        statistics.counter(format_args!("rx_{name}"), sum);
    }
    if let Some(device) = &device {
        nic.visit_device_sums(device, false, statistics);
    }
    for (index, (name, _)) in Tx::default().named().iter().enumerate() {
        let sum = sum(&nic.tx_stats, |tx| tx.named()[index].1);
        statistics.counter(format_args!("tx_{name}"), sum);
    }
    if let Some(device) = &device {
        nic.visit_device_sums(device, true, statistics);
        nic.visit_device_control(device, statistics);
    }
    let used = nic.channels().used;
    for (queue, rx) in nic.rx_stats.iter().take(used).enumerate() {
        for (name, counter) in rx.named() {
            statistics.counter(format_args!("rx{queue}_{name}"), counter.get());
        }
        if let Some(device) = &device {
            nic.visit_device_queue(device, queue, false, statistics);
        }
    }
    for (queue, tx) in nic.tx_stats.iter().take(used).enumerate() {
        for (name, counter) in tx.named() {
            statistics.counter(format_args!("tx{queue}_{name}"), counter.get());
        }
        if let Some(device) = &device {
            nic.visit_device_queue(device, queue, true, statistics);
        }
    }
}
