// SPDX-License-Identifier: GPL-2.0

//! One device: probe, start, remove.

use crate::{
    coalesce::Notifications,
    control::Control,
    device_stats::DeviceStats,
    features, link,
    needs_reset::{self, Resets},
    queues::Queues,
    resize::Rings,
    rss::Rss,
    rx, stats, tx, xdp, xsk,
};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use kernel::{prelude::*, sync::Arc};
use knet::{
    net::{self, Builder, MacAddress, XdpFeatures},
    params,
    virtio::{self, BoundDevice, Interrupt, Probe, Start},
};
use virtio_net_wire::{
    config::{self, field},
    ctrl::{SetMac, SetQueuePairs},
    Features, HeaderLayout,
};

/// A virtio network device, its queues and its interface.
pub(crate) struct Nic {
    pub(crate) device: BoundDevice,
    pub(crate) negotiated: Features,
    pub(crate) control: Option<Control>,
    pub(crate) rss: Option<Rss>,
    pub(crate) notifications: Notifications,
    pub(crate) device_stats: DeviceStats,
    pub(crate) rx_stats: KVec<Arc<stats::Rx>>,
    pub(crate) tx_stats: KVec<Arc<stats::Tx>>,
    pub(crate) rings: Rings,
    pub(crate) affinity: virtio::Affinity,
    pub(crate) link: link::Shown,
    /// Queue pairs in use.
    pub(crate) pairs: AtomicUsize,
    /// Whom received frames are for.
    pub(crate) receiver: xdp::Current,
    /// Whether programs and processes have times of frames.
    pub(crate) sw_time: AtomicBool,
    /// Whether processes can have queues, as far as that is the device's.
    pub(crate) zero_copy: bool,
    pub(crate) resets: Resets,
    pub(crate) netdev: net::Device<Nic>,
}

/// Queue pairs of a device: how many it has, and how many we use at first.
struct Pairs {
    most: usize,
    used: usize,
}

impl Pairs {
    fn of(device: &virtio::Device, negotiated: Features) -> Self {
        let field = field::MAX_VIRTQUEUE_PAIRS;
        let most = if field.exists(negotiated) {
            config::max_queue_pairs(
                field.decode(device.read_config(field.offset() as u32)),
                negotiated,
            )
        } else {
            1
        };
        let most = usize::from(most);
        Self {
            most,
            used: most.min(knet::cpu::online()),
        }
    }
}

/// The interface, as the features have it, and whether processes can have queues.
fn interface(
    device: &Probe<'_>,
    negotiated: Features,
    pairs: &Pairs,
) -> Result<(Builder<Nic>, bool)> {
    let mut interface = Builder::new(device, pairs.most)?;
    let (on, changeable) = features::of_stack(negotiated);
    interface.features(on, changeable);
    interface.tunnel_features(features::in_tunnel(negotiated));
    let mtu = negotiated
        .contains(Features::MTU)
        .then(|| field::MTU.decode(device.read_config(field::MTU.offset() as u32)));
    // It was one when the feature was taken.
    if mtu.is_some_and(|mtu| !config::MTU.contains(&mtu)) {
        dev_err!(device.as_ref(), "the device has changed its MTU\n");
        return Err(EINVAL);
    }
    let (least, most) = (*config::MTU.start(), *config::MTU.end());
    interface.mtu(least.into(), mtu.unwrap_or(most).into(), mtu.map(u32::from));
    let address = negotiated
        .contains(Features::MAC)
        .then(|| MacAddress(device.read_config(field::MAC.offset() as u32)));
    interface.address(address);
    if negotiated.intersects(Features::ANY_LAYOUT.union(Features::VERSION_1)) {
        interface.needed_headroom(HeaderLayout::from_features(negotiated).len());
    }
    if negotiated.contains(Features::MRG_RXBUF) {
        interface.rx_queue_attribute();
    }
    let zero_copy = xsk::is_possible(device, negotiated, interface.netdev());
    interface.xdp(&XdpFeatures {
        rx_frags: rx::Queue::has_long_frames(
            negotiated,
            rx::large_mtu(interface.netdev(), negotiated),
        ),
        rx_hash: negotiated.contains(Features::HASH_REPORT),
        offloads: xsk::offloads(negotiated, false),
        zero_copy: zero_copy && params::napi_tx(),
    });
    interface.queues_in_use(pairs.used)?;
    Ok((interface, zero_copy))
}

impl virtio::Driver for Nic {
    const DEVICE_ID: u32 = 1;
    const FEATURES: &'static [u32] = features::TABLE;
    const FEATURES_LEGACY: &'static [u32] = features::TABLE_LEGACY;

    fn validate(device: &virtio::Device) -> Result<[u64; 2]> {
        if !device.has_config() {
            dev_err!(
                device.as_ref(),
                "the transport gives no access to the configuration space\n"
            );
            return Err(EINVAL);
        }
        Ok(features::to_be_cleared(device).to_words())
    }

    fn probe(device: &Probe<'_>) -> Result<Pin<KBox<Self>>> {
        let negotiated = Features::from_words(device.features());
        let pairs = Pairs::of(device, negotiated);
        let (mut interface, zero_copy) = interface(device, negotiated, &pairs)?;
        let (mut rx_stats, mut tx_stats) = (KVec::new(), KVec::new());
        for _ in 0..pairs.most {
            rx_stats.push(Arc::new(stats::Rx::default(), GFP_KERNEL)?, GFP_KERNEL)?;
            tx_stats.push(Arc::new(stats::Tx::default(), GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let notifications = Notifications::new(pairs.most)?;
        let Queues {
            rx,
            tx,
            control,
            affinity,
        } = Queues::find(
            device,
            interface.netdev(),
            negotiated,
            rx_stats.iter().zip(&tx_stats),
            &notifications,
        )?;
        let control = control
            .map(|queue| Control::new(queue, negotiated))
            .transpose()?;
        let size = |sizes: Option<(usize, usize)>| sizes.unwrap_or_default();
        let rings = Rings::new(
            size(rx.first().map(|(rx, _)| rx.sizes())),
            size(tx.first().map(tx::Queue::sizes)),
        );
        // A packet that no ring has room for would be dropped however often the stack sends it.
        if tx.iter().any(|queue| !queue.takes_longest()) {
            interface.without(net::Features::SG);
        }

        let nic = Self {
            device: device.keep(),
            negotiated,
            control,
            rss: Rss::new(device, negotiated)?,
            notifications,
            device_stats: DeviceStats::default(),
            rx_stats,
            tx_stats,
            affinity,
            link: link::Shown::of(device, negotiated),
            rings,
            pairs: AtomicUsize::new(pairs.used),
            receiver: xdp::Current::stack(),
            sw_time: AtomicBool::new(false),
            zero_copy,
            resets: Resets::new(),
            netdev: interface.build(rx, tx)?,
        };
        nic.netdev.queues().set_weight(params::napi_weight());
        Ok(KBox::pin(nic, GFP_KERNEL)?)
    }

    fn start(self: Pin<&Self>, device: &Start<'_, Self>) -> Result {
        // Changes wait until the interface is up. Who sees it has commands sent at once.
        device.enable_config_changes(false);
        device.ready();
        self.agree_on_queues()?;
        self.tell_random_address()?;
        self.ask_for_device_stats();
        if self.negotiated.contains(Features::STANDBY) {
            // The primary is there, or about to come: without a master, the two would be
            // interfaces with one address.
            self.netdev.make_standby().inspect_err(|error| {
                dev_err!(device.as_ref(), "no failover master: {:?}\n", error)
            })?;
        }
        self.netdev.register(device, |_| {
            self.netdev.locked(|lock| {
                self.netdev.set_carrier(false, lock);
                let has_no_state = !self.negotiated.contains(Features::STATUS);
                self.netdev.set_carrier(has_no_state, lock);
            });
            Ok(())
        })?;
        // The stack forgets whom queues are for only with an interface that was registered.
        crate::affinity::spread(&self);
        if device.watch_processors().is_err() {
            dev_warn!(
                device.as_ref(),
                "queues do not follow processors that come and go\n"
            );
        }
        Ok(())
    }

    fn config_changed(&self) {
        needs_reset::look(self);
        link::changed(self);
    }

    fn freeze(self: Pin<&Self>) -> Result {
        Self::freeze(&self);
        Ok(())
    }

    fn restore(self: Pin<&Self>, device: &Probe<'_>, start: &Start<'_, Self>) -> Result {
        Self::restore(&self, device, || start.ready())
    }

    fn queue_interrupt(&self, interrupt: Interrupt<'_>) {
        let (pair, is_tx) = (interrupt.queue() / 2, interrupt.queue() % 2 == 1);
        if is_tx {
            interrupt.disable();
            self.netdev.queues().schedule_tx(pair, || ());
        } else if pair < self.netdev.queues().rx_len() {
            self.netdev
                .queues()
                .schedule_rx(pair, || interrupt.disable());
        } else if let Some(control) = &self.control {
            control.interrupt();
        }
    }
}

/// Whether the device refuses a command; other errors are the caller's.
fn is_refused(answer: Result) -> Result<bool> {
    match answer {
        Err(error) if error == EINVAL => Ok(true),
        answer => answer.map(|()| false),
    }
}

impl Nic {
    /// Tells the device how many queue pairs are used, if it has a choice, and how
    /// packets are hashed.
    pub(crate) fn use_queue_pairs(&self, pairs: usize) -> Result {
        // The table goes with a number of pairs, and this command would end RSS.
        if !self.steers() {
            self.choose_pairs(pairs)?;
        }
        self.hash_over(pairs)
    }

    /// The same of a device that has forgotten it; one that refuses to hash packets now spreads
    /// them as it likes.
    pub(crate) fn use_queue_pairs_again(&self) -> Result {
        let steered = self.steers() && self.hashes()?;
        if !steered {
            // One pair is what it begins with.
            if is_refused(self.choose_pairs(self.pairs()))? && self.pairs() > 1 {
                return Err(EINVAL);
            }
            self.hashes()?;
        }
        Ok(())
    }

    fn steers(&self) -> bool {
        self.rss.as_ref().is_some_and(Rss::steers)
    }

    fn choose_pairs(&self, pairs: usize) -> Result {
        match (&self.control, SetQueuePairs::new(pairs as u16)) {
            (Some(control), Some(command)) if self.negotiated.contains(Features::MQ) => {
                control.send(&self.device, &command)
            }
            // There is one.
            _ if pairs > 1 => Err(EINVAL),
            _ => Ok(()),
        }
    }

    fn hash_over(&self, pairs: usize) -> Result {
        let rss = self.rss.as_ref().filter(|rss| rss.is_on());
        rss.map_or(Ok(()), |rss| rss.use_pairs(self, pairs as u16))
    }

    /// The first time: a device that refuses to hash packets spreads them as it likes, and one
    /// that refuses the number of queue pairs uses one.
    fn agree_on_queues(&self) -> Result {
        let steered = self.steers() && self.hashes()?;
        if !steered && is_refused(self.choose_pairs(self.pairs()))? {
            dev_warn!(
                self.device.as_ref(),
                "the device refuses {} queue pairs; using one\n",
                self.pairs()
            );
            self.pairs.store(1, Ordering::Relaxed);
            self.netdev.with_rtnl(|rtnl| {
                self.netdev.locked(|lock| {
                    self.netdev.use_tx_queues(1, rtnl, lock)?;
                    self.netdev.use_rx_queues(1, rtnl, lock)
                })
            })?;
        }
        if !steered {
            self.hashes()?;
        }
        Ok(())
    }

    /// Has the device hash packets, if it can; whether it does not refuse to.
    fn hashes(&self) -> Result<bool> {
        let refused = is_refused(self.hash_over(self.pairs()))?;
        if let Some(rss) = self.rss.as_ref().filter(|_| refused) {
            dev_warn!(self.device.as_ref(), "the device refuses to hash packets\n");
            rss.give_up();
        }
        Ok(!refused)
    }

    /// A device that gave no address, but takes one, is told ours.
    fn tell_random_address(&self) -> Result {
        match &self.control {
            Some(control)
                if !self.negotiated.contains(Features::MAC)
                    && self.negotiated.contains(Features::CTRL_MAC_ADDR) =>
            {
                control.send(&self.device, &SetMac(self.netdev.address().0))
            }
            _ => Ok(()),
        }
    }
}
