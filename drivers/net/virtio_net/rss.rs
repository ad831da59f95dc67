// SPDX-License-Identifier: GPL-2.0

//! Receive-side scaling and receive hashes (sections 5.1.6.5.7 and 5.1.6.4.3).

use crate::{control::Control, nic::Nic};
use core::sync::atomic::{AtomicBool, Ordering};
use kernel::{new_mutex, prelude::*, sync::Mutex};
use knet::{
    net::{self, Extack, Flow, HashFields, RSS_KEY_LEN},
    virtio,
};
use virtio_net_wire::{
    config::field,
    ctrl::{SetHash, SetRss},
    rss::{HashTypes, Limits},
    Features,
};

/// The features of devices that hash packets.
pub(crate) const FEATURES: Features = Features::RSS.union(Features::HASH_REPORT);

/// What the device has been told, or is told next.
struct Settings {
    types: HashTypes,
    key: KVec<u8>,
    /// Numbers of receive queues, as the command has them.
    table: KVec<[u8; 2]>,
    pairs: u16,
}

impl Settings {
    fn try_clone(&self) -> Result<Self> {
        let mut copy = Self {
            types: self.types,
            key: KVec::with_capacity(self.key.len(), GFP_KERNEL)?,
            table: KVec::with_capacity(self.table.len(), GFP_KERNEL)?,
            pairs: self.pairs,
        };
        copy.key.extend_from_slice(&self.key, GFP_KERNEL)?;
        copy.table.extend_from_slice(&self.table, GFP_KERNEL)?;
        Ok(copy)
    }

    /// Deals the table's entries out to the queues (`ethtool_rxfh_indir_default`).
    fn spread(&mut self, pairs: u16) {
        for (entry, queue) in self.table.iter_mut().zip((0..pairs).cycle()) {
            *entry = queue.to_le_bytes();
        }
        self.pairs = pairs;
    }

    fn tell(&self, device: &virtio::Device, control: &Control) -> Result {
        if self.table.is_empty() {
            let command = SetHash::new(self.types, &self.key).ok_or(EINVAL)?;
            control.send(device, &command)
        } else {
            let command =
                SetRss::new(self.types, &self.table, self.pairs, &self.key).ok_or(EINVAL)?;
            control.send(device, &command)
        }
    }
}

/// What a device that hashes packets can do.
pub(crate) fn limits(device: &virtio::Device, features: Features) -> Option<Limits> {
    let key = field::RSS_MAX_KEY_SIZE;
    let table = field::RSS_MAX_INDIRECTION_TABLE_LENGTH;
    let types = field::SUPPORTED_HASH_TYPES;
    if !key.exists(features) {
        return None;
    }
    let table = if table.exists(features) {
        table.decode(device.read_config(table.offset() as u32))
    } else {
        0
    };
    Limits::new(
        features,
        key.decode(device.read_config(key.offset() as u32)),
        table,
        types.decode(device.read_config(types.offset() as u32)),
    )
}

/// The hashing of one device.
pub(crate) struct Rss {
    /// Types that the device knows.
    types: HashTypes,
    settings: Pin<KBox<Mutex<Settings>>>,
    /// Cleared for good when the device refuses.
    on: AtomicBool,
}

impl Rss {
    /// `None` for a device that does not hash.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it could when the features for it were taken; `ENOMEM`.
    pub(crate) fn new(device: &virtio::Device, negotiated: Features) -> Result<Option<Self>> {
        if !negotiated.intersects(FEATURES) {
            return Ok(None);
        }
        let Some(limits) = limits(device, negotiated) else {
            dev_err!(device.as_ref(), "the device has changed how it hashes\n");
            return Err(EINVAL);
        };
        let key_len = usize::from(limits.key_len).min(RSS_KEY_LEN);
        let mut key = KVec::from_elem(0, key_len, GFP_KERNEL)?;
        net::Device::<Nic>::rss_key(&mut key)?;
        let settings = Settings {
            types: limits.types,
            key,
            table: KVec::from_elem([0; 2], usize::from(limits.table_len), GFP_KERNEL)?,
            pairs: 1,
        };
        Ok(Some(Self {
            types: limits.types,
            settings: KBox::pin_init(new_mutex!(settings, "rss"), GFP_KERNEL)?,
            on: AtomicBool::new(true),
        }))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The device refuses, and is not asked again.
    pub(crate) fn give_up(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    /// Whether the number of queue pairs goes to the device with the table.
    pub(crate) fn steers(&self) -> bool {
        self.is_on() && !self.settings.lock().table.is_empty()
    }

    /// Tells the device of settings that `change` makes; they stay as they were if that
    /// fails.
    fn change(&self, nic: &Nic, change: impl FnOnce(&mut Settings) -> Result) -> Result {
        let control = nic.control.as_ref().ok_or(EOPNOTSUPP)?;
        let mut settings = self.settings.lock();
        let mut next = settings.try_clone()?;
        change(&mut next)?;
        next.tell(&nic.device, control)?;
        *settings = next;
        Ok(())
    }

    /// Has `pairs` queue pairs used. A table of users' stays; the kernel lets nobody use
    /// fewer queues than are in it.
    pub(crate) fn use_pairs(&self, nic: &Nic, pairs: u16) -> Result {
        self.change(nic, |settings| {
            if nic.netdev.has_user_rss() {
                settings.pairs = pairs;
            } else {
                settings.spread(pairs);
            }
            Ok(())
        })
    }
}

impl Nic {
    fn hashing(&self) -> Option<&Rss> {
        self.rss.as_ref().filter(|rss| rss.is_on())
    }
}

impl net::Rss for Nic {
    fn rss_sizes(&self) -> (usize, usize) {
        self.hashing().map_or((0, 0), |rss| {
            let settings = rss.settings.lock();
            (settings.key.len(), settings.table.len())
        })
    }

    fn rss(&self, key: Option<&mut [u8]>, table: Option<&mut [u32]>) {
        let Some(rss) = self.hashing() else { return };
        let settings = rss.settings.lock();
        if let Some(to) = key {
            for (to, from) in to.iter_mut().zip(&settings.key) {
                *to = *from;
            }
        }
        if let Some(to) = table {
            for (to, from) in to.iter_mut().zip(&settings.table) {
                *to = u16::from_le_bytes(*from).into();
            }
        }
    }

    fn set_rss(
        &self,
        key: Option<&[u8]>,
        table: Option<&[u32]>,
        extack: &mut Extack<'_>,
    ) -> Result {
        let Some(rss) = self.hashing() else {
            return Err(extack.because(EOPNOTSUPP, c"the device computes no hashes"));
        };
        rss.change(self, |settings| {
            if let Some(from) = key {
                for (to, from) in settings.key.iter_mut().zip(from) {
                    *to = *from;
                }
            }
            if let Some(from) = table {
                if settings.table.is_empty() {
                    let why = c"the device reports hashes, and does not choose queues by them";
                    return Err(extack.because(EOPNOTSUPP, why));
                }
                for (to, &from) in settings.table.iter_mut().zip(from) {
                    *to = u16::try_from(from)?.to_le_bytes();
                }
            }
            Ok(())
        })
    }

    fn hash_fields(&self, flow: Flow) -> HashFields {
        self.hashing().map_or(HashFields::None, |rss| {
            rss.settings.lock().types.fields(flow)
        })
    }

    fn set_hash_fields(&self, flow: Flow, fields: HashFields, extack: &mut Extack<'_>) -> Result {
        let Some(rss) = self.hashing() else {
            return Err(extack.because(EOPNOTSUPP, c"the device computes no hashes"));
        };
        rss.change(self, |settings| {
            let types = settings.types.with_fields(flow, fields);
            let Some(types) = types.filter(|types| rss.types.contains(*types)) else {
                let why = c"the device has no such hash of these packets";
                return Err(extack.because(EINVAL, why));
            };
            settings.types = types;
            Ok(())
        })
    }
}
