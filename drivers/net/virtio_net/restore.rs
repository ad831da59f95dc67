// SPDX-License-Identifier: GPL-2.0

//! A device that loses its state, as it is suspended or reset, and gets it back.
//!
//! Users' settings are ours or the stack's, and outlive the device's state. All of them are
//! told again, so that nobody but the network sees that the device was away.

use crate::{affinity, link, nic::Nic, queues::Queues, resize};
use kernel::prelude::*;
use knet::{
    net::{Driver, Features as NetFeatures, OpsLocked, Rtnl, XskPool},
    virtio::{FoundQueue, Probe},
};
use virtio_net_wire::Features;

impl Nic {
    /// Stops using the device. What is to be sent is, if the device moves.
    pub(crate) fn freeze(&self) {
        self.device.enable_config_changes(false);
        self.netdev.detach(|lock| self.quiesce(lock));
    }

    /// Waits until packets are sent, and sends no more commands.
    fn quiesce(&self, lock: &mut OpsLocked<'_, Self>) {
        let mut patience = resize::PATIENCE;
        for pair in 0..self.netdev.queues().tx_len() {
            if let Ok(mut paused) = self.netdev.queues().pause_pair(pair, lock) {
                resize::wait_until_sent(&mut paused, &mut patience);
            }
        }
        // Who has something to say needs the lock, and must not find a device that
        // is not listening.
        let _ = self.use_control(None);
    }

    fn use_control(&self, queue: Option<FoundQueue>) -> Result {
        self.control
            .as_ref()
            .map_or(Ok(()), |control| control.use_queue(queue))
    }

    /// Uses the device again, which has forgotten all.
    pub(crate) fn restore(&self, device: &Probe<'_>, ready: impl FnOnce()) -> Result {
        let Queues {
            rx, tx, control, ..
        } = self.find_queues(device)?;
        self.netdev.attach(rx, tx, |rtnl, lock| {
            self.go_on(ready, control, None, rtnl, lock).map(|_| ())
        })?;
        affinity::interrupts_again(self);
        self.resets.forget();
        if self.netdev.is_running() {
            self.device.enable_config_changes(true);
        }
        Ok(())
    }

    /// Resets the device, for what queues that cannot be reset one by one are to have: `new` is
    /// a pool for a queue pair, the others have those that they are bound to.
    ///
    /// # Errors
    ///
    /// Those of binding `new`; the device goes on without it. `ENODEV` if the device is away,
    /// or does not come back.
    pub(crate) fn restart(
        &self,
        new: Option<(usize, &XskPool)>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result {
        let mut bound = Ok(());
        let back = self.netdev.restart(
            rtnl,
            lock,
            |lock| self.quiesce(lock),
            |device, rtnl, lock| {
                let Queues {
                    rx, tx, control, ..
                } = self.find_queues(device)?;
                self.netdev.attach_locked(rx, tx, rtnl, lock, |rtnl, lock| {
                    bound = self.go_on(|| device.ready(), control, new, rtnl, lock)?;
                    Ok(())
                })
            },
        )?;
        match back {
            Ok(()) => {
                affinity::interrupts_again(self);
                bound
            }
            Err(error) => {
                dev_err!(
                    self.device.as_ref(),
                    "the device did not come back from a reset, and is given up: {:?}\n",
                    error
                );
                Err(ENODEV)
            }
        }
    }

    fn find_queues(&self, device: &Probe<'_>) -> Result<Queues> {
        Queues::find(
            device,
            self.netdev.netdev(),
            self.negotiated,
            self.rx_stats.iter().zip(&self.tx_stats),
            &self.notifications,
        )
    }

    /// Has the device as it was, and its queues run if they did. The inner result is that of
    /// binding `new`: without, everything else is there.
    fn go_on(
        &self,
        ready: impl FnOnce(),
        control: Option<FoundQueue>,
        new: Option<(usize, &XskPool)>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result<Result> {
        ready();
        let hurry = |on| self.control.iter().for_each(|control| control.hurry(on));
        hurry(true);
        let result = self
            .use_control(control)
            .and_then(|()| self.be_as_before(new, rtnl, lock));
        hurry(false);
        if result.is_err() {
            let _ = self.use_control(None);
        }
        result
    }

    fn be_as_before(
        &self,
        new: Option<(usize, &XskPool)>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result<Result> {
        self.tell_all_again(rtnl)?;
        self.resize_again(lock);
        let bound = self.bind_again(new, lock);
        if self.netdev.is_running() {
            self.run(0..self.pairs(), lock)?;
            link::show(self, lock);
        }
        Ok(bound)
    }

    /// Tells the device what it was told before. It has taken all of that once: a refusal is
    /// worth no more than a warning, but for the number of queue pairs.
    fn tell_all_again(&self, rtnl: &Rtnl<'_>) -> Result {
        self.use_queue_pairs_again()?;
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
        warn(self.tell_address(self.netdev.address()), "address");
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
        // That of single queues follows with their rings.
        warn(self.coalesce_all_again(), "coalescing");
        Ok(())
    }
}
