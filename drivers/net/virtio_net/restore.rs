// SPDX-License-Identifier: GPL-2.0

//! A device that loses its state, as it is suspended or reset, and gets it back.
//!
//! Users' settings are ours or the stack's, and outlive the device's state. All of them are
//! told again, so that nobody but the network sees that the device was away.

use crate::{affinity, link, nic::Nic, queues::Queues, resize};
use kernel::prelude::*;
use knet::{
    net::{Driver, Features as NetFeatures, Rtnl},
    virtio::{Probe, Start},
};
use virtio_net_wire::Features;

impl Nic {
    /// Stops using the device. What is to be sent is, if the device moves.
    pub(crate) fn freeze(&self) {
        self.device.enable_config_changes(false);
        self.netdev.detach(
            |_, lock| {
                let mut patience = resize::PATIENCE;
                for pair in 0..self.netdev.queues().tx_len() {
                    if let Ok(mut paused) = self.netdev.queues().pause_pair(pair, lock) {
                        resize::wait_until_sent(&mut paused, &mut patience);
                    }
                }
            },
            |_, tx| tx.discard(),
        );
        if let Some(control) = &self.control {
            // There is nothing to fail without a queue.
            let _ = control.use_queue(None);
        }
    }

    /// Uses the device again, which has forgotten all.
    pub(crate) fn restore(&self, device: &Probe<'_>, start: &Start<'_, Self>) -> Result {
        let queues = Queues::find(
            device,
            self.netdev.netdev(),
            self.negotiated,
            self.rx_stats.iter().zip(&self.tx_stats),
            &self.notifications,
        )?;
        if let Some(control) = &self.control {
            control.use_queue(queues.control)?;
        }
        let result = self.netdev.attach(queues.rx, queues.tx, |rtnl, lock| {
            start.ready();
            self.tell_all_again(rtnl)?;
            self.resize_again(lock);
            if self.netdev.is_running() {
                self.run(0..self.pairs(), lock)?;
                link::show(self, lock);
            }
            Ok(())
        });
        match result {
            Ok(()) => {
                affinity::spread(self);
                if self.netdev.is_running() {
                    self.device.enable_config_changes(true);
                }
            }
            Err(_) => {
                if let Some(control) = &self.control {
                    let _ = control.use_queue(None);
                }
            }
        }
        result
    }

    /// Tells the device what it was told before. It has taken all of that once: a refusal is
    /// worth no more than a warning, but for the number of queue pairs.
    fn tell_all_again(&self, rtnl: &Rtnl<'_>) -> Result {
        self.use_queue_pairs(self.pairs())?;
        let warn = |result: Result, what: &str| {
            if let Err(error) = result {
                dev_warn!(
                    self.device.as_ref(),
                    "the device did not take its {} again: {:?}\n",
                    what,
                    error
                );
            }
        };
        warn(self.set_mac_address(self.netdev.address()), "address");
        warn(
            self.netdev
                .rx_mode(rtnl)
                .and_then(|mode| self.set_rx_mode(&mode)),
            "receive filter",
        );
        let mut vlans = Ok(());
        self.netdev.for_each_vlan(rtnl, |id| {
            vlans = vlans.and(self.set_vlan_filter(id, true));
        });
        warn(vlans, "VLANs");
        if self.negotiated.contains(Features::CTRL_GUEST_OFFLOADS)
            && !self.netdev.features().contains(NetFeatures::GRO_HW)
        {
            warn(self.receive_large(false), "offloads");
        }
        warn(self.coalesce_all_again(), "coalescing");
        Ok(())
    }
}
