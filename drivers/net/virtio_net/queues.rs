// SPDX-License-Identifier: GPL-2.0

//! The queues of a device, as they are found (section 5.1.2).

use crate::{coalesce::Notifications, rx, stats, tx};
use kernel::{prelude::*, str::CString, sync::Arc};
use knet::{
    net::{NetDevice, PagePool, TxPacket},
    virtio::{Affinity, FoundQueue, Probe, QueueRequest},
};
use virtio_net_wire::Features;

/// All queues of a device, none of them in use yet.
pub(crate) struct Queues {
    pub(crate) rx: KVec<(rx::Queue, PagePool)>,
    pub(crate) tx: KVec<tx::Queue>,
    pub(crate) control: Option<FoundQueue>,
    pub(crate) affinity: Affinity,
}

impl Queues {
    /// Finds the queues, a pair for each pair of counters.
    ///
    /// # Errors
    ///
    /// Those of [`Probe::find_queues`].
    pub(crate) fn find<'a>(
        device: &Probe<'_>,
        netdev: &Arc<NetDevice>,
        negotiated: Features,
        pairs: impl ExactSizeIterator<Item = (&'a Arc<stats::Rx>, &'a Arc<stats::Tx>)>,
        notifications: &Notifications,
    ) -> Result<Self> {
        let requests = requests(negotiated, netdev, pairs.len())?;
        let found = device.find_queues(&requests)?;
        let affinity = found.first().ok_or(ENOENT)?.affinity();
        let mut found = found.into_iter();
        let (mut rx, mut tx) = (KVec::new(), KVec::new());
        for (pair, (rx_stats, tx_stats)) in pairs.enumerate() {
            let (Some(input), Some(output)) = (found.next(), found.next()) else {
                return Err(ENOENT);
            };
            rx.push(
                rx::Queue::new(input, negotiated, netdev, rx_stats.clone())?,
                GFP_KERNEL,
            )?;
            let napi = notifications.tx_napi(pair);
            tx.push(
                tx::Queue::new(TxPacket::queue(output)?, negotiated, napi, tx_stats.clone())?,
                GFP_KERNEL,
            )?;
        }
        Ok(Self {
            rx,
            tx,
            control: found.next(),
            affinity,
        })
    }
}

/// The queues in their order: rx0, tx0, rx1, tx1, …, control.
fn requests(negotiated: Features, netdev: &NetDevice, pairs: usize) -> Result<KVec<QueueRequest>> {
    let in_context = rx::Queue::needs_context(negotiated, rx::large_mtu(netdev, negotiated));
    let mut requests = KVec::new();
    let mut ask = |name: CString, context| {
        let request = QueueRequest {
            name,
            interrupt: true,
            context,
        };
        requests.push(request, GFP_KERNEL)
    };
    for pair in 0..pairs {
        ask(CString::try_from_fmt(fmt!("input.{pair}"))?, in_context)?;
        // Which has no indirect descriptors: a table of them is allocated and mapped for each
        // packet, and costs more than the few descriptors that most packets take.
        ask(CString::try_from_fmt(fmt!("output.{pair}"))?, true)?;
    }
    if negotiated.contains(Features::CTRL_VQ) {
        ask(CString::try_from_fmt(fmt!("control"))?, false)?;
    }
    Ok(requests)
}
