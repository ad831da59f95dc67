// SPDX-License-Identifier: GPL-2.0

//! What `ethtool` shows.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{
    device::Priv,
    ops::{self, Driver},
};
use crate::bindings;
use ::kernel::bindings::net_device as NetDevice;
use core::{fmt, marker::PhantomData};
use kernel::prelude::*;
use kernel::str::CStr;

/// Who drives the device.
pub struct DriverInfo<'a> {
    /// The driver's name.
    pub name: &'a CStr,
    /// Its version.
    pub version: &'a CStr,
    /// The device behind the interface; see [`crate::virtio::Device::bus_name`].
    pub bus: &'a CStr,
}

/// Descriptors of the rings.
#[derive(Clone, Copy)]
pub struct RingSizes {
    /// In receive rings now.
    pub rx: usize,
    /// In transmit rings now.
    pub tx: usize,
    /// The most that receive rings can have.
    pub rx_max: usize,
    /// The most that transmit rings can have.
    pub tx_max: usize,
}

/// Queue pairs.
pub struct Channels {
    /// In use.
    pub used: usize,
    /// The most that can be used.
    pub max: usize,
}

/// Speed and duplex.
#[derive(Clone, Copy)]
pub struct LinkSettings {
    /// In Mbit/s; `None` if unknown.
    pub speed: Option<u32>,
    /// Whether full duplex; `None` if unknown.
    pub full_duplex: Option<bool>,
}

impl LinkSettings {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        speed: None,
        full_duplex: None,
    };

    fn new(speed: u32, duplex: u8) -> Self {
        Self {
            speed: (speed != bindings::SPEED_UNKNOWN as u32).then_some(speed),
            full_duplex: match u32::from(duplex) {
                bindings::DUPLEX_FULL => Some(true),
                bindings::DUPLEX_HALF => Some(false),
                _ => None,
            },
        }
    }
}

/// A visitor of counters.
pub trait Statistics {
    /// One counter.
    fn counter(&mut self, name: fmt::Arguments<'_>, value: u64);

    /// Whether anybody looks at the values.
    fn wants_values(&self) -> bool {
        false
    }
}

/// The C operations of driver `D`.
pub(super) struct Operations<D>(PhantomData<D>);

pub(super) const NAME_LEN: usize = bindings::ETH_GSTRING_LEN as usize;

struct Count(usize);

impl Statistics for Count {
    fn counter(&mut self, _name: fmt::Arguments<'_>, _value: u64) {
        self.0 = self.0.wrapping_add(1);
    }
}

struct Names<'a>(core::slice::ChunksExactMut<'a, u8>);

impl Statistics for Names<'_> {
    fn counter(&mut self, name: fmt::Arguments<'_>, _value: u64) {
        if let Some(entry) = self.0.next() {
            copy_name(entry, name);
        }
    }
}

/// Writes a name, cut to fit.
pub(super) fn copy_name(entry: &mut [u8], name: fmt::Arguments<'_>) {
    entry.fill(0);
    // The last byte ends the string.
    if let Some((_, room)) = entry.split_last_mut() {
        let _ = fmt::write(&mut Truncated(room.iter_mut()), name);
    }
}

/// Keeps as much as there is room for.
struct Truncated<'a>(core::slice::IterMut<'a, u8>);

impl fmt::Write for Truncated<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for (from, to) in s.bytes().zip(&mut self.0) {
            *to = from;
        }
        Ok(())
    }
}

struct Values<'a>(core::slice::IterMut<'a, u64>);

impl Statistics for Values<'_> {
    fn counter(&mut self, _name: fmt::Arguments<'_>, value: u64) {
        if let Some(entry) = self.0.next() {
            *entry = value;
        }
    }

    fn wants_values(&self) -> bool {
        true
    }
}

/// Copies a string into a C field, cut to fit. The field may hold another one already.
fn copy_string(to: &mut [c_char], from: &CStr) {
    to.fill(0);
    let room = to.len().saturating_sub(1);
    for (to, from) in to[..room].iter_mut().zip(from.to_bytes()) {
        *to = *from as c_char;
    }
}

impl<D: Driver> Operations<D> {
    const VTABLE: bindings::ethtool_ops = {
        // SAFETY: All operations are optional: null is a valid function pointer here.
        let mut ops: bindings::ethtool_ops = unsafe { core::mem::zeroed() };
        ops.get_drvinfo = Some(Self::drvinfo);
        ops.get_link = Some(Self::link);
        // `ethtool_op_get_link` does what the link's watcher has put off.
        ops.op_needs_rtnl |= bindings::ETHTOOL_OP_NEEDS_RTNL_GLINK;
        ops.get_ringparam = Some(Self::ringparam);
        ops.get_channels = Some(Self::channels);
        ops.get_strings = Some(Self::strings);
        ops.get_sset_count = Some(Self::sset_count);
        ops.get_ethtool_stats = Some(Self::stats);
        ops.get_ts_info = Some(Self::ts_info);
        ops.get_link_ksettings = Some(Self::link_ksettings);
        ops.set_link_ksettings = Some(Self::set_link_ksettings);
        Self::with_private_flags(Self::with_coalescing(Self::with_rss(Self::with_resize(
            ops,
        ))))
    };

    pub(super) const fn vtable() -> &'static bindings::ethtool_ops {
        &Self::VTABLE
    }

    /// # Safety
    ///
    /// `dev` is registered for driver `D`.
    pub(super) unsafe fn driver<'a>(dev: *mut NetDevice) -> &'a D {
        // SAFETY: By the caller's promise. The kernel crate has only heard of the type.
        unsafe { ops::Operations::<D>::driver(dev.cast()) }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn link(dev: *mut NetDevice) -> u32 {
        // SAFETY: C calls this for a registered device.
        unsafe { bindings::ethtool_op_get_link(dev.cast()) }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result, zeroed.
    unsafe extern "C" fn ts_info(
        dev: *mut NetDevice,
        info: *mut bindings::kernel_ethtool_ts_info,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with an initialised result.
        unsafe { bindings::ethtool_op_get_ts_info(dev.cast(), info) }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result, zeroed.
    unsafe extern "C" fn drvinfo(dev: *mut NetDevice, info: *mut bindings::ethtool_drvinfo) {
        // SAFETY: C calls this for a registered device, with a result to fill in.
        let (driver, to) = unsafe { (Self::driver(dev), &mut *info) };
        let info = driver.driver_info();
        copy_string(&mut to.driver, info.name);
        copy_string(&mut to.version, info.version);
        copy_string(&mut to.bus_info, info.bus);
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result, zeroed.
    unsafe extern "C" fn ringparam(
        dev: *mut NetDevice,
        to: *mut bindings::ethtool_ringparam,
        _kernel: *mut bindings::kernel_ethtool_ringparam,
        _extack: *mut bindings::netlink_ext_ack,
    ) {
        // SAFETY: C calls this for a registered device, with a zeroed result.
        let (driver, to) = unsafe { (Self::driver(dev), &mut *to) };
        let sizes = driver.ring_sizes();
        to.rx_pending = sizes.rx as u32;
        to.tx_pending = sizes.tx as u32;
        to.rx_max_pending = sizes.rx_max as u32;
        to.tx_max_pending = sizes.tx_max as u32;
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result, zeroed.
    unsafe extern "C" fn channels(dev: *mut NetDevice, to: *mut bindings::ethtool_channels) {
        // SAFETY: C calls this for a registered device, with a zeroed result.
        let (driver, to) = unsafe { (Self::driver(dev), &mut *to) };
        let channels = driver.channels();
        to.combined_count = channels.used as u32;
        to.max_combined = channels.max as u32;
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn sset_count(dev: *mut NetDevice, set: c_int) -> c_int {
        match set as u32 {
            bindings::ethtool_stringset_ETH_SS_STATS => {}
            bindings::ethtool_stringset_ETH_SS_PRIV_FLAGS => return D::NAMES.len() as c_int,
            _ => return -(bindings::EOPNOTSUPP as c_int),
        }
        let mut count = Count(0);
        // SAFETY: C calls this for a registered device, with its instance lock.
        unsafe {
            Self::driver(dev).statistics(&mut count);
            (*Priv::<D>::of(dev.cast())).told.counters.set(count.0);
        }
        count.0 as c_int
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with room for what
    /// `sset_count` said.
    unsafe extern "C" fn strings(dev: *mut NetDevice, set: u32, data: *mut u8) {
        if set == bindings::ethtool_stringset_ETH_SS_PRIV_FLAGS {
            let room = D::NAMES.len().wrapping_mul(NAME_LEN);
            // SAFETY: There is room for as many names.
            Self::private_flag_names(unsafe { core::slice::from_raw_parts_mut(data, room) });
        }
        if set != bindings::ethtool_stringset_ETH_SS_STATS {
            return;
        }
        // SAFETY: C calls this for a registered device, with room for as many names as
        // `sset_count` said, both under one lock. What the driver says now does not count.
        unsafe {
            let driver = Self::driver(dev);
            let room = (*Priv::<D>::of(dev.cast())).told.counters.get();
            let names = core::slice::from_raw_parts_mut(data, room.wrapping_mul(NAME_LEN));
            driver.statistics(&mut Names(names.chunks_exact_mut(NAME_LEN)));
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with room for what
    /// `sset_count` said.
    unsafe extern "C" fn stats(
        dev: *mut NetDevice,
        stats: *mut bindings::ethtool_stats,
        data: *mut u64,
    ) {
        // SAFETY: C calls this for a registered device, with room for `n_stats` values.
        unsafe {
            let driver = Self::driver(dev);
            let values = core::slice::from_raw_parts_mut(data, (*stats).n_stats as usize);
            driver.statistics(&mut Values(values.iter_mut()));
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result, zeroed.
    unsafe extern "C" fn link_ksettings(
        dev: *mut NetDevice,
        to: *mut bindings::ethtool_link_ksettings,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with a zeroed result.
        let (driver, to) = unsafe { (Self::driver(dev), &mut *to) };
        let settings = driver.link_settings();
        to.base.speed = settings.speed.unwrap_or(bindings::SPEED_UNKNOWN as u32);
        to.base.duplex = match settings.full_duplex {
            Some(true) => bindings::DUPLEX_FULL as u8,
            Some(false) => bindings::DUPLEX_HALF as u8,
            None => bindings::DUPLEX_UNKNOWN as u8,
        };
        to.base.port = bindings::PORT_OTHER as u8;
        0
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with valid settings.
    unsafe extern "C" fn set_link_ksettings(
        dev: *mut NetDevice,
        from: *const bindings::ethtool_link_ksettings,
    ) -> c_int {
        let (mut speed, mut duplex) = (0, 0);
        // SAFETY: C calls this for a registered device. What a virtual device cannot
        // change must be as `link_ksettings` has it.
        let ret = unsafe {
            bindings::ethtool_virtdev_set_link_ksettings(dev.cast(), from, &mut speed, &mut duplex)
        };
        if ret == 0 {
            // SAFETY: As above.
            unsafe { Self::driver(dev) }.set_link_settings(LinkSettings::new(speed, duplex));
        }
        ret
    }
}
