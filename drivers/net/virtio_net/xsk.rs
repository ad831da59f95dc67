// SPDX-License-Identifier: GPL-2.0

//! AF_XDP: processes bind queue pairs, to receive into and send from memory of their own.

use crate::{nic::Nic, resize, rx};
use kernel::prelude::*;
use knet::net::{OpsLocked, PausedPair, Xsk, XskOffer, XskOffloads, XskPool};
use virtio_net_wire::Features;

/// Whether the device's queues can change hands.
pub(crate) fn is_possible(negotiated: Features, max_mtu: usize) -> bool {
    // Their buffers are exchanged while the device runs, and packets must fit in frames.
    negotiated.contains(Features::RING_RESET) && rx::Queue::needs_context(negotiated, max_mtu)
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
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result<XskPool> {
        let mut paused = self.netdev.queues().pause_pair(index, lock)?;
        let result = self.bind(&mut paused, offer);
        self.fill(&mut paused);
        self.coalesce_again(index);
        result.inspect_err(|error| {
            dev_notice!(
                self.device.as_ref(),
                "queue pair {} cannot be bound for zero-copy: {}\n",
                index,
                reason(*error)
            )
        })
    }

    fn unbind_pool(&self, index: usize, lock: &mut OpsLocked<'_, Self>) {
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
            if let Err(error) = result {
                dev_err!(
                    self.device.as_ref(),
                    "a queue of pair {} did not come back from a process: {:?}\n",
                    index,
                    error
                );
            }
        }
        self.fill(&mut paused);
        self.coalesce_again(index);
    }
}

/// What an error of binding means.
fn reason(error: Error) -> &'static str {
    match error {
        EOPNOTSUPP => "its memory cannot be mapped as the device needs it, or tx napi is off",
        ENOSPC => "the rings are too small",
        ENOMEM => "no memory",
        EBUSY => "the queue is in use, or the device did not take it again",
        _ => "the device is away, or refuses",
    }
}

impl Nic {
    fn bind(&self, paused: &mut PausedPair<'_, '_, Self>, offer: XskOffer<'_>) -> Result<XskPool> {
        let pool = paused.rx().0.map(offer)?;
        paused.tx().check_pool()?;
        let rx = paused.rx().0;
        rx.empty().and_then(|()| rx.bind(&pool))?;
        // What the stack has in the transmit ring stays there.
        if let Err(error) = paused.tx().bind(&pool) {
            let _ = paused.rx().0.unbind();
            return Err(error);
        }
        Ok(pool)
    }

    /// Fills the receive queue of a pair that is to run again.
    fn fill(&self, paused: &mut PausedPair<'_, '_, Self>) {
        if paused.was_running() {
            let receiver = self.receiver.get();
            let (rx, pages) = paused.rx();
            rx.fill(pages, receiver);
        }
    }

    /// Gives the queues of a device that was away the pools that they had.
    pub(crate) fn bind_again(&self, lock: &mut OpsLocked<'_, Self>) {
        for index in 0..self.netdev.queues().rx_len() {
            let Some(pool) = self.netdev.queues().pool(index, lock) else {
                continue;
            };
            let Ok(mut paused) = self.netdev.queues().pause_pair(index, lock) else {
                continue;
            };
            let result = paused.tx().bind(&pool).and_then(|()| {
                let rx = paused.rx().0;
                rx.bind(&pool)
            });
            if let Err(error) = result {
                dev_warn!(
                    self.device.as_ref(),
                    "queue pair {} does not serve the process that has bound it: {:?}\n",
                    index,
                    error
                );
            }
        }
    }
}
