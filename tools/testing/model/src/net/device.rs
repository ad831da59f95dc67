// SPDX-License-Identifier: GPL-2.0

//! The device: features, queues, configuration, and the turns of its work.

use super::config;
use super::control::Control;
use super::settings::Settings;
use super::stats::Stats;
use crate::hostile::{Hostile, Lie};
use crate::memory::Memory;
use crate::ring::{Coalescing, Layout, Queue, RingError};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use virtio_net_wire::config::{Config, Status};
use virtio_net_wire::{Features, HeaderLayout};

/// How long [`Lie::CtrlLate`] waits.
pub const LATE: Duration = Duration::from_millis(500);

/// The pause between lies that come by themselves.
pub const STORM: Duration = Duration::from_millis(1);
/// Those lies.
const BY_THEMSELVES: [Lie; 4] = [
    Lie::ConfigInterrupt,
    Lie::LinkFlap,
    Lie::InterruptSpurious,
    Lie::NeedsReset,
];

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The receive queue of that pair.
    Rx(u16),
    /// The transmit queue of that pair.
    Tx(u16),
    /// The control queue.
    Control,
}

/// Interrupts that the transport is to pass on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// Of these queues.
    pub queues: BTreeSet<u16>,
    /// For a change of the configuration.
    pub config: bool,
}

/// One network device.
pub struct Device {
    /// What it was made with.
    pub settings: Settings,
    /// Guest memory.
    pub memory: Memory,
    /// The lies that it tells.
    pub hostile: Hostile,
    /// What it counts.
    pub stats: Stats,
    pub(super) offered: Features,
    pub(super) negotiated: Features,
    pub(super) layout: HeaderLayout,
    pub(super) queues: Vec<Queue>,
    pub(super) control: Control,
    pub(super) config: Config,
    generation: u8,
    running: bool,
    needs_reset: bool,
    pending: Interrupts,
    next_lie: Option<Instant>,
    /// Fields that were read since the reset, of those that there are lies about.
    read_once: BTreeSet<u64>,
}

impl Device {
    /// A device that no driver has, with no memory.
    pub fn new(settings: Settings) -> Self {
        let queues = (0..settings.queues()).map(Queue::new).collect();
        let offered = settings.offered();
        Self {
            memory: Memory::new(),
            hostile: Hostile::new(),
            stats: Stats::new(settings.pairs),
            offered,
            negotiated: Features::empty(),
            layout: HeaderLayout::Mergeable12,
            queues,
            control: Control::new(&settings),
            config: config::initial(&settings),
            generation: 0,
            running: false,
            needs_reset: false,
            pending: Interrupts::default(),
            next_lie: None,
            read_once: BTreeSet::new(),
            settings,
        }
    }

    /// What it offers.
    pub fn offered(&self) -> Features {
        self.offered
    }

    /// What the driver accepted; nothing before [`Device::negotiate`].
    pub fn negotiated(&self) -> Features {
        self.negotiated
    }

    /// Takes the driver's features (`FEATURES_OK`), or refuses them.
    pub fn negotiate(&mut self, accepted: Features) -> bool {
        // What was offered without what it requires is not the driver's fault.
        let (_, wrong) = self.offered.without_unmet_dependencies();
        let (_, unmet) = accepted.without_unmet_dependencies();
        let unmet = unmet.difference(wrong);
        let known = self.offered.contains(accepted) && accepted.contains(Features::VERSION_1);
        if !known || !unmet.is_empty() || self.hostile.tells(Lie::FeaturesRefused) {
            log::warn!("features refused: {accepted}, not met: {unmet}");
            return false;
        }
        self.accept(accepted);
        true
    }

    /// Takes features that a machine has agreed upon with its driver, which may lack
    /// what the machine itself does, such as the control queue.
    pub fn accept(&mut self, accepted: Features) {
        self.negotiated = accepted;
        self.layout = HeaderLayout::from_features(accepted);
        self.control.negotiated(accepted);
    }

    /// Uses so many queue pairs, where a machine has the control queue.
    pub fn set_pairs(&mut self, pairs: u16) {
        self.control.pairs = pairs.clamp(1, self.settings.pairs);
    }

    /// `DRIVER_OK` was set: frames may pass.
    pub fn start(&mut self) {
        self.running = true;
        self.queues.iter_mut().for_each(|queue| queue.kicked = true);
    }

    /// Whether the driver is ready and the device not broken.
    pub fn is_running(&self) -> bool {
        self.running && !self.needs_reset
    }

    /// Back to the beginning. The transport asks [`Device::refuses_reset`] first.
    /// Memory, settings, lies, counters and the state of the link stay.
    pub fn reset(&mut self) {
        self.stats.resets += 1;
        self.negotiated = Features::empty();
        self.layout = HeaderLayout::Mergeable12;
        self.queues.iter_mut().for_each(|queue| {
            queue.stop();
            queue.coalescing = Coalescing::default();
        });
        self.control = Control::new(&self.settings);
        let status = Status::from_bits_retain(self.config.status.get()) & Status::LINK_UP;
        self.config = config::initial(&self.settings);
        self.config.status = status.bits().into();
        self.running = false;
        self.needs_reset = false;
        self.pending = Interrupts::default();
        self.read_once.clear();
    }

    /// Whether it lies about a reset now: nothing is to happen.
    pub fn refuses_reset(&mut self) -> bool {
        self.hostile.tells(Lie::ResetRefused)
    }

    /// Something is wrong that only a reset can mend (`DEVICE_NEEDS_RESET`).
    pub fn needs_reset(&self) -> bool {
        self.needs_reset
    }

    pub(super) fn break_down(&mut self, why: &str) {
        if !self.needs_reset {
            log::warn!("needs a reset: {why}");
            self.needs_reset = true;
            self.stats.broken += 1;
            self.pending.config = true;
        }
    }

    /// Queues that there are.
    pub fn queue_count(&self) -> u16 {
        self.queues.len() as u16
    }

    /// The queue, to look at; `None` beyond the last.
    pub fn queue(&self, index: u16) -> Option<&Queue> {
        self.queues.get(usize::from(index))
    }

    /// The queue of a role, if it exists.
    pub fn index_of(&self, role: Role) -> u16 {
        match role {
            Role::Rx(pair) => 2 * pair,
            Role::Tx(pair) => 2 * pair + 1,
            Role::Control if self.multi_queue() => 2 * self.settings.pairs,
            Role::Control => 2,
        }
    }

    fn multi_queue(&self) -> bool {
        self.negotiated.intersects(Features::MQ | Features::RSS)
    }

    /// What the queue is for, by the negotiated features.
    pub fn role(&self, index: u16) -> Option<Role> {
        if index >= self.queue_count() {
            return None;
        }
        let control = self.negotiated.contains(Features::CTRL_VQ);
        if control && index == self.index_of(Role::Control) {
            return Some(Role::Control);
        }
        let pairs = if self.multi_queue() {
            self.settings.pairs
        } else {
            1
        };
        match (index / 2, index % 2) {
            (pair, _) if pair >= pairs => None,
            (pair, 0) => Some(Role::Rx(pair)),
            (pair, _) => Some(Role::Tx(pair)),
        }
    }

    /// The largest size of a queue.
    pub fn max_queue_size(&self, index: u16) -> u16 {
        match index {
            index if index == 2 * self.settings.pairs => 64,
            index if index % 2 == 0 => self.settings.rx_queue_size,
            _ => self.settings.tx_queue_size,
        }
    }

    /// Enables a queue. `layout` needs size and addresses only; the rest is from
    /// the negotiated features. A ring that cannot be breaks the device.
    pub fn start_queue(&mut self, index: u16, layout: Layout) {
        let negotiated = self.negotiated;
        let layout = Layout {
            packed: negotiated.contains(Features::RING_PACKED),
            event_idx: negotiated.contains(Features::RING_EVENT_IDX),
            indirect: negotiated.contains(Features::RING_INDIRECT_DESC),
            in_order: negotiated.contains(Features::IN_ORDER),
            ..layout
        };
        let Some(queue) = self.queues.get_mut(usize::from(index)) else {
            return;
        };
        if let Err(error) = queue.start(&self.memory, layout) {
            self.break_down(&format!("queue {index}: {error}"));
        }
    }

    /// Continues an enabled queue at another position.
    pub fn set_position(&mut self, index: u16, available: u16, used: u16) {
        if let Some(queue) = self.queues.get_mut(usize::from(index)) {
            queue.set_position(available, used);
        }
    }

    /// Resets one queue; `false` if it lies and does not.
    pub fn reset_queue(&mut self, index: u16) -> bool {
        if self.hostile.tells(Lie::QueueResetRefused) {
            return false;
        }
        self.stop_queue(index);
        self.stats.queue_resets += 1;
        true
    }

    /// Disables one queue. What it alone was told of coalescing is forgotten.
    pub fn stop_queue(&mut self, index: u16) {
        let coalescing = self.control.coalescing[usize::from(index % 2)];
        if let Some(queue) = self.queues.get_mut(usize::from(index)) {
            queue.stop();
            queue.coalescing = coalescing;
        }
    }

    /// The driver's notification.
    pub fn kick(&mut self, index: u16) {
        if let Some(queue) = self.queues.get_mut(usize::from(index)) {
            queue.kicked = true;
        }
        match self.role(index) {
            Some(Role::Rx(pair)) => self.stats.rx[usize::from(pair)].notifications += 1,
            Some(Role::Tx(pair)) => self.stats.tx[usize::from(pair)].notifications += 1,
            _ => {}
        }
    }

    /// Reads the configuration space.
    pub fn config_read(&mut self, offset: u64, out: &mut [u8]) {
        config::read(&self.config, offset, out);
        let lie = match config::field_at(offset) {
            Some(config::Field::Mtu) => Lie::MtuChanges,
            Some(config::Field::HashKey) => Lie::HashingChanges,
            None => return,
        };
        if !self.read_once.insert(offset) && self.hostile.tells(lie) {
            out.fill(0);
        }
    }

    /// Changes with the configuration space.
    pub fn config_generation(&self) -> u8 {
        self.generation
    }

    /// Changes the configuration space and tells the driver.
    pub fn change_config(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.generation = self.generation.wrapping_add(1);
        self.pending.config = true;
    }

    /// Plugs the cable in or out.
    pub fn set_link(&mut self, up: bool) {
        self.change_config(|config| {
            let mut status = Status::from_bits_retain(config.status.get());
            status.set(Status::LINK_UP, up);
            config.status = status.bits().into();
        });
    }

    /// Whether the cable is in.
    pub fn link_is_up(&self) -> bool {
        self.config.status.get() & Status::LINK_UP.bits() != 0
    }

    /// Asks the driver to announce itself.
    pub fn announce(&mut self) {
        let bit = Status::ANNOUNCE.bits();
        self.change_config(|config| config.status = (config.status.get() | bit).into());
    }

    /// What the driver has said on the control queue.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The negotiated header.
    pub fn header_layout(&self) -> HeaderLayout {
        self.layout
    }

    /// Work that needs no traffic: control commands, the interrupts that are
    /// due, lies that come by themselves.
    pub fn turn(&mut self, now: Instant) {
        self.lie_at_turn(now);
        if self.is_running() {
            self.process_control(now);
        }
        self.collect_interrupts(now);
    }

    /// When [`Device::turn`] has to be called again, if nothing else happens.
    pub fn deadline(&self) -> Option<Instant> {
        let queues = self.queues.iter().filter_map(Queue::due);
        let control = self.control.deadline().filter(|_| self.is_running());
        queues.chain(control).chain(self.next_lie).min()
    }

    /// Lies that need no traffic, as often as once in [`STORM`].
    fn lie_at_turn(&mut self, now: Instant) {
        let waits = self.hostile.has_rules(&BY_THEMSELVES) && self.running;
        if !waits || self.next_lie.is_some_and(|next| now < next) {
            self.next_lie = self.next_lie.filter(|_| waits);
            return;
        }
        self.next_lie = Some(now + STORM);
        if self.hostile.tells(Lie::ConfigInterrupt) {
            self.pending.config = true;
        }
        if self.hostile.tells(Lie::LinkFlap) {
            self.set_link(!self.link_is_up());
        }
        if self.hostile.tells(Lie::InterruptSpurious) {
            let queue = self.hostile.random().below(self.queues.len() as u64);
            self.pending.queues.insert(queue as u16);
        }
        if self.hostile.tells(Lie::NeedsReset) {
            self.break_down("so it says");
        }
    }

    fn collect_interrupts(&mut self, now: Instant) {
        for (index, queue) in self.queues.iter_mut().enumerate() {
            if queue.take_interrupt(&self.memory, &mut self.hostile, now) {
                self.pending.queues.insert(index as u16);
            }
        }
        let broken = self.queues.iter().enumerate().find_map(|(index, queue)| {
            let error: RingError = queue.error()?;
            Some(format!("queue {index}: {error}"))
        });
        if let Some(why) = broken {
            self.break_down(&why);
        }
    }

    /// The interrupts that have come up since the last call.
    pub fn take_interrupts(&mut self) -> Interrupts {
        std::mem::take(&mut self.pending)
    }
}
