// SPDX-License-Identifier: GPL-2.0

//! AF_XDP: processes bind queue pairs, to receive into and send from memory of their own.

use crate::{nic::Nic, resize, rx};
use kernel::prelude::*;
use knet::{
    net::{NetDevice, OpsLocked, PausedPair, Rtnl, Xsk, XskOffer, XskOffloads, XskPool},
    virtio::Device,
};
use virtio_net_wire::Features;

/// Whether the device's queues can change hands: packets must fit in frames, and the device must
/// find them, by addresses that were made for it unless it has memory as it is.
pub(crate) fn is_possible(device: &Device, negotiated: Features, netdev: &NetDevice) -> bool {
    if !rx::Queue::needs_context(negotiated, rx::large_mtu(netdev, negotiated)) {
        return false;
    }
    let finds_memory =
        negotiated.contains(Features::ACCESS_PLATFORM) || device.has_memory_as_it_is();
    if !finds_memory {
        // The kernel refuses sockets without asking us, and without a reason.
        dev_info!(
            device.as_ref(),
            "queues cannot be bound for zero-copy: the device does not know what is between it and memory\n"
        );
    }
    finds_memory
}

/// What is done for frames that processes send.
pub(crate) fn offloads(negotiated: Features, times: bool) -> XskOffloads {
    XskOffloads {
        checksum: negotiated.contains(Features::CSUM),
        times,
    }
}

impl Xsk for Nic {
    fn bind_pool(
        &self,
        index: usize,
        offer: XskOffer<'_>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result<XskPool> {
        let result = if self.negotiated.contains(Features::RING_RESET) {
            self.bind_pair(index, offer, lock)
        } else {
            self.bind_by_restart(index, offer, rtnl, lock)
        };
        result.inspect_err(|error| {
            dev_notice!(
                self.device.as_ref(),
                "queue pair {} cannot be bound for zero-copy: {}\n",
                index,
                reason(*error)
            )
        })
    }

    fn unbind_pool(&self, index: usize, rtnl: &Rtnl<'_>, lock: &mut OpsLocked<'_, Self>) {
        // The device that has lost its queues owns nothing, whether it comes back or not.
        if !self.negotiated.contains(Features::RING_RESET)
            && self.restart_for(None, rtnl, lock).is_ok()
        {
            return;
        }
        // Of a device that is away, there is nothing to be taken from.
        let Ok(mut paused) = self.netdev.queues().pause_pair(index, lock) else {
            return;
        };
        resize::wait_until_sent(&mut paused, &mut { resize::PATIENCE });
        let sent = paused.tx().unbind();
        if sent != Ok(false) {
            paused.emptied();
        }
        let received = paused.rx().0.unbind();
        for result in [sent.map(|_| ()), received] {
            match result {
                // No queue is reset alone here: a device that goes, or is given up, is reset whole.
                Ok(()) | Err(ENOENT) => {}
                Err(error) => dev_err!(
                    self.device.as_ref(),
                    "a queue of pair {} did not come back from a process: {:?}\n",
                    index,
                    error
                ),
            }
        }
        self.fill(&mut paused);
        self.coalesce_again(index);
    }
}

/// What an error of binding means.
fn reason(error: Error) -> &'static str {
    match error {
        EOPNOTSUPP => "its memory cannot be mapped as the device needs it (bounce buffers: chunks must be aligned), or tx napi is off",
        ENOSPC => "the rings are too small",
        ENOMEM => "no memory",
        EIO => "the device is given up",
        EBUSY => "the queue is in use, or the device did not take it again",
        _ => "the device is away, or refuses",
    }
}

/// Has both queues of a pair use the pool, or none.
fn bind(paused: &mut PausedPair<'_, '_, Nic>, pool: &XskPool) -> Result {
    let rx = paused.rx().0;
    rx.empty().and_then(|()| rx.bind(pool))?;
    // What the stack has in the transmit ring stays there.
    paused.tx().bind(pool).inspect_err(|_| {
        let _ = paused.rx().0.unbind();
    })
}

impl Nic {
    /// Exchanges the buffers of the pair while the others run.
    fn bind_pair(
        &self,
        index: usize,
        offer: XskOffer<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result<XskPool> {
        let pool = self.map(index, offer)?;
        let mut paused = self.netdev.queues().pause_pair(index, lock)?;
        let result = bind(&mut paused, &pool);
        self.fill(&mut paused);
        self.coalesce_again(index);
        result.map(|()| pool)
    }

    /// Has the whole device begin again, with the pool. What can be refused is before.
    fn bind_by_restart(
        &self,
        index: usize,
        offer: XskOffer<'_>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result<XskPool> {
        let pool = self.map(index, offer)?;
        self.restart_for(Some((index, &pool)), rtnl, lock)?;
        Ok(pool)
    }

    /// Maps the pool for the pair, if it can have one. Many pages take a while, for which the pair goes on.
    fn map(&self, index: usize, offer: XskOffer<'_>) -> Result<XskPool> {
        if !self.zero_copy {
            return Err(EOPNOTSUPP);
        }
        let target = self
            .netdev
            .queues()
            .with_tx(index, |tx, _| tx.target())
            .map_err(|_| ENODEV)??;
        offer.map(&target)
    }

    /// A device that is given up is nothing for processes.
    fn restart_for(
        &self,
        new: Option<(usize, &XskPool)>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result {
        if self.netdev.is_broken() {
            return Err(EIO);
        }
        self.restart(new, rtnl, lock)
    }

    /// Fills the receive queue of a pair that is to run again.
    fn fill(&self, paused: &mut PausedPair<'_, '_, Self>) {
        if paused.was_running() {
            let receiver = self.receiver.get();
            let (rx, pages) = paused.rx();
            rx.fill(pages, receiver);
        }
    }

    /// Gives the queues of a device that was away the pools that they had, and a pair the one
    /// that is `new`. A queue that does not serve its process is no reason to be without the
    /// others.
    ///
    /// # Errors
    ///
    /// Why the new one was not taken: `ENOMEM`, and others as of the queues.
    pub(crate) fn bind_again(
        &self,
        new: Option<(usize, &XskPool)>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result {
        let mut bound = Ok(());
        for index in 0..self.netdev.queues().rx_len() {
            let new = new.filter(|(of, _)| *of == index).map(|(_, pool)| pool);
            let had = self.netdev.queues().pool(index, lock);
            let Some(pool) = new.or(had.as_ref()) else {
                continue;
            };
            let result = self.bind_empty(index, pool, lock);
            if new.is_some() {
                bound = result;
            } else if let Err(error) = result {
                dev_warn!(
                    self.device.as_ref(),
                    "queue pair {} does not serve the process that has bound it: {:?}\n",
                    index,
                    error
                );
            }
        }
        bound
    }

    /// Has queues that are empty use a pool; both, or none.
    fn bind_empty(&self, index: usize, pool: &XskPool, lock: &mut OpsLocked<'_, Self>) -> Result {
        let mut paused = self.netdev.queues().pause_pair(index, lock)?;
        paused.tx().bind(pool)?;
        paused.rx().0.bind(pool).inspect_err(|_| {
            let _ = paused.tx().unbind();
        })
    }
}
