// SPDX-License-Identifier: GPL-2.0

//! The control queue (section 5.1.6.5): commands are carried out, and what the
//! driver has said is kept where a script can see it.

use super::rss::Steering;
use super::settings::{Settings, RSS_KEY_LEN, RSS_TABLE_LEN};
use super::{device::LATE, Device, Role};
use crate::hostile::Lie;
use crate::ring::{Chain, Coalescing, Used};
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;
use virtio_net_wire::config::Status;
use virtio_net_wire::ctrl::request::{Coalesce, Request, RxSwitch};
use virtio_net_wire::ctrl::GuestOffloads;
use virtio_net_wire::Features;
use zerocopy::IntoBytes;

const OK: u8 = 0;
const ERR: u8 = 1;
/// Most commands in one turn.
const TURN: usize = 64;
/// The longest command, in bytes; address tables are the longest.
const MAX_LEN: usize = 1 << 16;
/// Commands that are remembered.
const HISTORY: usize = 256;

/// Receive modes of `VIRTIO_NET_CTRL_RX`.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct RxModes {
    pub promiscuous: bool,
    pub all_multicast: bool,
    pub all_unicast: bool,
    pub no_multicast: bool,
    pub no_unicast: bool,
    pub no_broadcast: bool,
}

/// One command, as it came and was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Class.
    pub class: u8,
    /// Number in the class.
    pub command: u8,
    /// Length of the payload, in bytes.
    pub len: usize,
    /// The honest answer.
    pub ack: u8,
    /// In how many descriptors it came.
    pub parts: usize,
}

/// What the driver has said on the control queue.
#[derive(Clone, Debug, Serialize)]
pub struct Control {
    /// Queue pairs in use.
    pub pairs: u16,
    /// Receive modes.
    pub modes: RxModes,
    /// Unicast addresses that are received besides the device's own.
    pub unicast: Vec<[u8; 6]>,
    /// Multicast addresses that are received.
    pub multicast: Vec<[u8; 6]>,
    /// VLANs that are received.
    pub vlans: BTreeSet<u16>,
    /// Receive offloads that are on, as bits of the command.
    pub offloads: u64,
    /// Hashing and steering.
    pub steering: Steering,
    /// The last commands, oldest first.
    pub history: VecDeque<Record>,
    /// Commands since the reset.
    pub commands: u64,
    /// Of all receive queues, and of all transmit queues.
    pub coalescing: [Coalescing; 2],
    #[serde(skip)]
    late: Vec<(Instant, Chain, Vec<u8>)>,
}

impl Control {
    /// Nothing said yet: everything is received, on one pair.
    pub fn new(_settings: &Settings) -> Self {
        Self {
            pairs: 1,
            modes: RxModes {
                promiscuous: true,
                all_multicast: false,
                all_unicast: false,
                no_multicast: false,
                no_unicast: false,
                no_broadcast: false,
            },
            unicast: Vec::new(),
            multicast: Vec::new(),
            vlans: BTreeSet::new(),
            offloads: 0,
            steering: Steering::default(),
            history: VecDeque::new(),
            commands: 0,
            coalescing: [Coalescing::default(); 2],
            late: Vec::new(),
        }
    }

    pub(super) fn negotiated(&mut self, features: Features) {
        self.offloads = GuestOffloads::from_features(features).bits();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.late.iter().map(|(when, ..)| *when).min()
    }

    fn set_mode(&mut self, mode: RxSwitch, on: bool) {
        let modes = &mut self.modes;
        *match mode {
            RxSwitch::Promiscuous => &mut modes.promiscuous,
            RxSwitch::AllMulticast => &mut modes.all_multicast,
            RxSwitch::AllUnicast => &mut modes.all_unicast,
            RxSwitch::NoMulticast => &mut modes.no_multicast,
            RxSwitch::NoUnicast => &mut modes.no_unicast,
            RxSwitch::NoBroadcast => &mut modes.no_broadcast,
        } = on;
    }
}

/// The features with all of which a request may come.
fn required(request: &Request<'_>) -> Features {
    match request {
        Request::RxMode(RxSwitch::Promiscuous | RxSwitch::AllMulticast, _) => Features::CTRL_RX,
        Request::RxMode(..) => Features::CTRL_RX_EXTRA,
        Request::MacTable(..) => Features::CTRL_RX,
        Request::Mac(_) => Features::CTRL_MAC_ADDR,
        Request::AddVlan(_) | Request::DelVlan(_) => Features::CTRL_VLAN,
        Request::AnnounceAck => Features::GUEST_ANNOUNCE,
        Request::QueuePairs(_) => Features::MQ,
        Request::Rss(_) => Features::RSS,
        Request::Hash(..) => Features::HASH_REPORT,
        Request::GuestOffloads(_) => Features::CTRL_GUEST_OFFLOADS,
        Request::CoalesceTx(_) | Request::CoalesceRx(_) => Features::NOTF_COAL,
        Request::CoalesceQueue(..) | Request::GetCoalesceQueue(_) => Features::VQ_NOTF_COAL,
        Request::StatsTypes | Request::Stats(_) => Features::DEVICE_STATS,
    }
}

impl Device {
    /// Answers what is on the control queue.
    pub(super) fn process_control(&mut self, now: Instant) {
        let index = self.index_of(Role::Control);
        if self.role(index) != Some(Role::Control) {
            return;
        }
        self.answer_late(index, now);
        for _ in 0..TURN {
            let Some(queue) = self.queues.get_mut(usize::from(index)) else {
                return;
            };
            if !queue.kicked {
                return;
            }
            let Some(chain) = queue.pop(&self.memory) else {
                queue.kicked = queue.listen(&self.memory);
                continue;
            };
            self.answer(index, chain, now);
        }
    }

    fn answer_late(&mut self, index: u16, now: Instant) {
        let late = std::mem::take(&mut self.control.late);
        let (due, waiting) = late.into_iter().partition(|(when, ..)| *when <= now);
        self.control.late = waiting;
        for (_, chain, reply) in due {
            self.reply(index, &chain, &reply, now);
        }
    }

    fn answer(&mut self, index: u16, chain: Chain, now: Instant) {
        let bytes = match chain.read(&self.memory, MAX_LEN) {
            Ok(bytes) => bytes,
            Err(error) => return self.queues[usize::from(index)].fail(error),
        };
        let mut reply = vec![ERR];
        let (class, command) = match bytes[..] {
            [class, command, ..] => (class, command),
            _ => (0xff, 0xff),
        };
        let payload = bytes.get(2..).unwrap_or(&[]);
        let room = usize::try_from(chain.writable_len()).unwrap_or(usize::MAX);
        let refused = self.hostile.tells(Lie::CtrlRefused);
        let result = match refused {
            false => self.carry_out(class, command, payload, &mut reply),
            true => Err("so it says".into()),
        };
        match result {
            Ok(()) if reply.len() <= room => reply[0] = OK,
            Ok(()) => log::warn!("command {class}:{command}: no room for the answer"),
            Err(why) => log::debug!("command {class}:{command} refused: {why}"),
        }
        let ok = reply[0] == OK;
        self.stats.ctrl_ok += u64::from(ok);
        self.stats.ctrl_err += u64::from(!ok);
        self.control.commands += 1;
        if self.control.history.len() == HISTORY {
            self.control.history.pop_front();
        }
        self.control.history.push_back(Record {
            class,
            command,
            len: payload.len(),
            ack: reply[0],
            parts: chain.readable.len(),
        });

        if self.hostile.tells(Lie::CtrlNever) {
            return;
        }
        if self.hostile.tells(Lie::CtrlShort) {
            reply.clear();
        }
        if self.hostile.tells(Lie::CtrlWrong) {
            reply = vec![ERR];
        }
        if self.hostile.tells(Lie::CtrlGarbage) {
            reply = vec![0x55];
        }
        if self.hostile.tells(Lie::CtrlLate) {
            self.control.late.push((now + LATE, chain, reply));
            return;
        }
        self.reply(index, &chain, &reply, now);
    }

    fn reply(&mut self, index: u16, chain: &Chain, reply: &[u8], now: Instant) {
        let Some(queue) = self.queues.get_mut(usize::from(index)) else {
            return;
        };
        match chain.write(&self.memory, 0, reply) {
            Ok(written) => {
                let used = Used {
                    id: chain.id,
                    len: written as u32,
                    slots: chain.slots,
                };
                queue.push(&self.memory, &mut self.hostile, &[used], now);
            }
            Err(error) => queue.fail(error),
        }
    }

    /// Does what the command says, and appends its result to `reply`.
    fn carry_out(
        &mut self,
        class: u8,
        command: u8,
        payload: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<(), String> {
        let request =
            Request::decode(class, command, payload).map_err(|error| error.to_string())?;
        let required = required(&request);
        if !self.negotiated.contains(required) {
            return Err(format!("{required} was not negotiated"));
        }
        match request {
            Request::RxMode(mode, on) => self.control.set_mode(mode, on),
            Request::MacTable(unicast, multicast) => {
                self.control.unicast = unicast.to_vec();
                self.control.multicast = multicast.to_vec();
            }
            Request::Mac(mac) => self.config.mac = mac,
            Request::AddVlan(id) => drop(self.control.vlans.insert(id)),
            Request::DelVlan(id) => drop(self.control.vlans.remove(&id)),
            Request::AnnounceAck => {
                let status = self.config.status.get() & !Status::ANNOUNCE.bits();
                self.config.status = status.into();
            }
            Request::QueuePairs(pairs) => self.use_pairs(pairs, None)?,
            Request::Rss(rss) => {
                let known = rss.key.len() <= RSS_KEY_LEN.into()
                    && rss.table.len() <= RSS_TABLE_LEN.into()
                    && rss.hash_types & !super::config::HASH_TYPES == 0;
                let queues = || rss.table.iter().map(|queue| queue.get());
                let pairs = self.settings.pairs;
                if !known
                    || queues()
                        .chain([rss.unclassified])
                        .any(|queue| queue >= pairs)
                {
                    return Err("a value is out of range".into());
                }
                let steering = Steering {
                    hash_types: rss.hash_types,
                    key: rss.key.to_vec(),
                    table: queues().collect(),
                    unclassified: rss.unclassified,
                };
                self.use_pairs(rss.max_tx, Some(steering))?;
            }
            Request::Hash(types, key) => {
                if key.len() > RSS_KEY_LEN.into() || types & !super::config::HASH_TYPES != 0 {
                    return Err("a value is out of range".into());
                }
                self.control.steering.hash_types = types;
                self.control.steering.key = key.to_vec();
            }
            Request::GuestOffloads(bits) => {
                if bits & !GuestOffloads::from_features(self.negotiated).bits() != 0 {
                    return Err(format!("{bits:#x}: more than was negotiated"));
                }
                self.control.offloads = bits;
            }
            Request::CoalesceTx(coalesce) => self.coalesce_all(1, coalesce),
            Request::CoalesceRx(coalesce) => self.coalesce_all(0, coalesce),
            Request::CoalesceQueue(index, coalesce) => {
                self.traffic_queue(index)?.coalescing = from_wire(coalesce);
            }
            Request::GetCoalesceQueue(index) => {
                let coalescing = self.traffic_queue(index)?.coalescing;
                let coalesce = Coalesce {
                    max_packets: coalescing.max_packets.into(),
                    max_usecs: coalescing.max_usecs.into(),
                };
                reply.extend_from_slice(coalesce.as_bytes());
            }
            Request::StatsTypes => reply.extend_from_slice(&self.stats_types().to_le_bytes()),
            Request::Stats(queries) => {
                for query in queries {
                    self.append_stats(query.queue.get(), query.types.get(), reply)?;
                }
                if self.hostile.tells(Lie::StatsGarbage) {
                    super::stats::garble(&mut reply[1..], self.hostile.random());
                }
            }
        }
        Ok(())
    }

    fn use_pairs(&mut self, pairs: u16, steering: Option<Steering>) -> Result<(), String> {
        if !(1..=self.settings.pairs).contains(&pairs) {
            return Err(format!("{pairs} pairs"));
        }
        self.control.pairs = pairs;
        // Automatic steering replaces that by table, but hashes are reported on.
        match steering {
            Some(steering) => self.control.steering = steering,
            None => self.control.steering.table.clear(),
        }
        Ok(())
    }

    fn coalesce_all(&mut self, parity: usize, coalesce: Coalesce) {
        self.control.coalescing[parity] = from_wire(coalesce);
        let traffic = 2 * usize::from(self.settings.pairs);
        let queues = self.queues.iter_mut().take(traffic);
        for queue in queues.skip(parity).step_by(2) {
            queue.coalescing = from_wire(coalesce);
        }
    }

    fn traffic_queue(&mut self, index: u16) -> Result<&mut crate::ring::Queue, String> {
        if !matches!(self.role(index), Some(Role::Rx(_) | Role::Tx(_))) {
            return Err(format!("queue {index} is not one of traffic"));
        }
        let queue = self.queues.get_mut(usize::from(index));
        queue.ok_or_else(|| format!("no queue {index}"))
    }

    /// Whether the filters let a frame from outside pass.
    pub(super) fn wants(&self, data: &[u8]) -> bool {
        let (Some(to), control) = (data.first_chunk::<6>(), &self.control) else {
            return true;
        };
        let filters = self.negotiated.contains(Features::CTRL_RX);
        if !filters || control.modes.promiscuous {
            return true;
        }
        if let Some([0x81, 0x00, high, low]) = data.get(12..16) {
            let id = u16::from_be_bytes([*high, *low]) & 0xfff;
            if self.negotiated.contains(Features::CTRL_VLAN) && !control.vlans.contains(&id) {
                return false;
            }
        }
        let modes = &control.modes;
        if *to == [0xff; 6] {
            !modes.no_broadcast
        } else if to[0] & 1 == 1 {
            !modes.no_multicast && (modes.all_multicast || control.multicast.contains(to))
        } else {
            !modes.no_unicast
                && (modes.all_unicast || *to == self.config.mac || control.unicast.contains(to))
        }
    }
}

fn from_wire(coalesce: Coalesce) -> Coalescing {
    Coalescing {
        max_usecs: coalesce.max_usecs.get(),
        max_packets: coalesce.max_packets.get(),
    }
}
