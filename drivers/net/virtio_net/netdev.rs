// SPDX-License-Identifier: GPL-2.0

//! What the stack calls.

use crate::{link, nic::Nic, rx, stats, tx, NAME, VERSION};
use core::{ops::Range, sync::atomic::Ordering};
use kernel::prelude::*;
use knet::net::{
    Channels, Driver, DriverInfo, Features as NetFeatures, LinkSettings, LinkStats, MacAddress,
    OpsLocked, Pages, Poll, Polled, PoolRef, RingSizes, RxMode as Wanted, RxPoll, Statistics,
    TxQueue, TxSkb, XdpFrames,
};
use virtio_net_wire::{
    config::field,
    ctrl::{
        AddVlan, DelVlan, GuestOffloads, MacTable, RxMode, SetGuestOffloads, SetMac, SetRxMode,
        VlanId,
    },
    Features,
};

impl Nic {
    /// Queue pairs in use.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs.load(Ordering::Relaxed)
    }

    /// Fills and runs queue pairs; after an error none of them runs.
    pub(crate) fn run(&self, pairs: Range<usize>, lock: &mut OpsLocked<'_, Self>) -> Result {
        let queues = self.netdev.queues();
        let receiver = self.receiver.get();
        for pair in pairs.clone() {
            // Ready for packets at once.
            if let Err(error) =
                queues.with_paused_rx(pair, lock, |rx, pages| rx.fill(pages, receiver))
            {
                self.pause(pairs.start..pair, lock);
                return Err(error);
            }
            queues.resume(pair, lock);
        }
        Ok(())
    }

    /// Has the device give us large frames, as far as it was negotiated, or none.
    pub(crate) fn receive_large(&self, large: bool) -> Result {
        let offloads = self.negotiated & GuestOffloads::SWITCHABLE;
        let offloads = if large {
            offloads
        } else {
            offloads.difference(Features::GUEST_GSO)
        };
        let control = self.control.as_ref().ok_or(EOPNOTSUPP)?;
        control.send(
            &self.device,
            &SetGuestOffloads(GuestOffloads::from_features(offloads)),
        )
    }

    /// Tells the device its address.
    pub(crate) fn tell_address(&self, address: MacAddress) -> Result {
        match &self.control {
            Some(control) if self.negotiated.contains(Features::CTRL_MAC_ADDR) => {
                control.send(&self.device, &SetMac(address.0))
            }
            // A legacy device is told by its configuration space.
            _ if self.negotiated.contains(Features::MAC)
                && !self.negotiated.contains(Features::VERSION_1) =>
            {
                self.device
                    .write_config(field::MAC.offset() as u32, &address.0);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Pauses queue pairs.
    pub(crate) fn pause(&self, pairs: Range<usize>, lock: &mut OpsLocked<'_, Self>) {
        for pair in pairs {
            self.netdev.queues().pause(pair, lock);
        }
    }
}

impl Driver for Nic {
    type Rx = rx::Queue;
    type Tx = tx::Queue;

    fn open(&self, lock: &mut OpsLocked<'_, Self>) -> Result {
        self.run(0..self.pairs(), lock)?;
        link::show(self, lock);
        self.device.enable_config_changes(true);
        Ok(())
    }

    fn stop(&self, lock: &mut OpsLocked<'_, Self>) {
        self.device.enable_config_changes(false);
        self.pause(0..self.pairs(), lock);
        self.netdev.set_carrier(false, lock);
    }

    #[inline]
    fn start_xmit(&self, tx: &mut tx::Queue, queue: &TxQueue, skb: TxSkb) {
        tx.xmit(queue, skb);
    }

    #[inline]
    fn poll_rx<'q>(
        &self,
        rx: &'q mut rx::Queue,
        pages: Pages<'_>,
        poll: &RxPoll<'_>,
    ) -> Polled<'q> {
        if let Some(mut guard) = self.netdev.queues().try_lock_tx(poll.queue(), poll) {
            let (tx, queue) = guard.parts();
            tx.reclaim_beside(queue, &self.sw_time, poll);
        }
        rx.poll(pages, poll, |frames| {
            let queues = self.netdev.queues();
            match queues.lock_tx(poll.queue(), poll) {
                Some(mut guard) => {
                    let (tx, queue) = guard.parts();
                    tx.send_frames(queue, frames);
                }
                // Somebody has paused it, or it is gone.
                None => {
                    if let Some(stats) = self.rx_stats.get(poll.queue()) {
                        stats.lose_outgoing(frames.len());
                    }
                    frames.clear();
                }
            }
        })
    }

    fn xmit_frames(&self, tx: &mut tx::Queue, queue: &TxQueue, frames: &mut XdpFrames<'_>) {
        tx.xmit_frames(queue, frames);
    }

    #[inline]
    fn poll_tx<'q>(&self, tx: &'q mut tx::Queue, queue: &TxQueue, poll: &Poll<'_>) -> Polled<'q> {
        tx.poll(queue, &self.sw_time, poll)
    }

    fn drop_rx(rx: rx::Queue) {
        rx.discard();
    }

    fn drop_tx(tx: tx::Queue) {
        tx.discard();
    }

    fn tx_timeout(&self, index: usize) {
        if let Some(stats) = self.tx_stats.get(index) {
            stats.timeouts.add(1);
        }
        dev_err!(
            self.device.as_ref(),
            "transmit queue {} does not move\n",
            index
        );
    }

    fn can_restart_rx(&self) -> bool {
        self.negotiated.contains(Features::RING_RESET)
    }

    fn empty_rx(&self, rx: &mut rx::Queue) -> Result {
        rx.empty()
    }

    fn use_pool(&self, rx: &mut rx::Queue, pool: PoolRef) -> Result {
        rx.use_pool(pool)
    }

    fn let_go_of_frames(&self, lock: &mut OpsLocked<'_, Self>) {
        self.wait_for_frames(lock);
    }

    fn fill_rx(&self, rx: &mut rx::Queue, index: usize, pages: Pages<'_>) {
        rx.fill(pages, self.receiver.get());
        self.coalesce_again(index);
    }

    fn link_stats(&self) -> LinkStats {
        stats::link(self)
    }

    fn set_rx_mode(&self, wanted: &Wanted) -> Result {
        let Some(control) = self
            .control
            .as_ref()
            .filter(|_| self.negotiated.contains(Features::CTRL_RX))
        else {
            return Ok(());
        };
        // What the device refuses does not keep it from the rest, and asking again is no
        // use.
        let ask = |answer: Result, what: &str| match answer {
            Err(error) if error == EINVAL => {
                dev_warn!(self.device.as_ref(), "the device refuses the {}\n", what);
                Ok(())
            }
            answer => answer,
        };
        let mode = |mode, on| control.send(&self.device, &SetRxMode { mode, on });
        ask(
            mode(RxMode::Promiscuous, wanted.promiscuous),
            "promiscuous mode",
        )?;
        ask(
            mode(RxMode::AllMulticast, wanted.all_multicast),
            "all-multicast mode",
        )?;
        let table = MacTable::new(&wanted.unicast, &wanted.multicast).ok_or(EINVAL)?;
        ask(control.send(&self.device, &table), "address table")
    }

    fn set_mac_address(&self, address: MacAddress) -> Result {
        // That of a standby is its primary's and their master's too.
        if self.negotiated.contains(Features::STANDBY) {
            return Err(EOPNOTSUPP);
        }
        self.tell_address(address)
    }

    fn fix_features(&self, wanted: NetFeatures) -> NetFeatures {
        self.features_with_program(wanted)
    }

    fn check_mtu(&self, mtu: usize) -> Result {
        self.check_mtu_with_program(mtu)
    }

    fn set_features(&self, now: NetFeatures, wanted: NetFeatures) -> Result {
        let large = wanted.contains(NetFeatures::GRO_HW);
        if now.contains(NetFeatures::GRO_HW) == large {
            return Ok(());
        }
        self.receive_large(large)
    }

    fn set_vlan_filter(&self, id: u16, wanted: bool) -> Result {
        let Some(control) = self
            .control
            .as_ref()
            .filter(|_| self.negotiated.contains(Features::CTRL_VLAN))
        else {
            return Ok(());
        };
        let id = VlanId::new(id).ok_or(EINVAL)?;
        if wanted {
            control.send(&self.device, &AddVlan(id))
        } else {
            control.send(&self.device, &DelVlan(id))
        }
    }

    fn driver_info(&self) -> DriverInfo<'_> {
        DriverInfo {
            name: NAME,
            version: VERSION,
            bus: self.device.bus_name(),
        }
    }

    fn ring_sizes(&self) -> RingSizes {
        self.rings.get()
    }

    fn channels(&self) -> Channels {
        Channels {
            used: self.pairs(),
            max: self.netdev.queues().rx_len(),
        }
    }

    fn link_settings(&self) -> LinkSettings {
        self.link.get()
    }

    fn set_link_settings(&self, settings: LinkSettings) {
        self.link.set(settings);
    }

    fn statistics(&self, statistics: &mut dyn Statistics) {
        stats::visit(self, statistics);
    }
}
