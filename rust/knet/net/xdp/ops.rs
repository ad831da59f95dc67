// SPDX-License-Identifier: GPL-2.0

//! How programs come to a device, and frames of others.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    super::{
        builder::Builder,
        device::{Device, Interface, Priv},
        locks::{OpsLocked, Rtnl},
        ops::{Driver, Operations},
        txq::{TxGuard, TxQueue},
        xsk::{operations, XskOffloads, MAX_PARTS},
        Extack,
    },
    frame::XdpFrames,
    metadata,
    program::{Program, ProgramInfo},
};
use crate::bindings;
use core::{ptr::NonNull, sync::atomic::Ordering};
use kernel::{cpu::CpuId, error::from_result, prelude::*};

/// A driver's part in it.
pub trait Xdp: Sized {
    /// Whether a program can be attached.
    ///
    /// # Errors
    ///
    /// Any, with a message for who attaches it.
    fn check_program(&self, program: ProgramInfo, extack: &mut Extack<'_>) -> Result;

    /// A program is attached, or goes. It may take a moment until polls see it.
    fn program_changes(&self, program: Option<ProgramInfo>, lock: &mut OpsLocked<'_, Self>);
}

/// What a driver does for programs, beside running them.
pub struct XdpFeatures {
    /// Frames over several buffers (`NETDEV_XDP_ACT_RX_SG`).
    pub rx_frags: bool,
    /// Tells programs the hash of a frame, where the device has reported one.
    pub rx_hash: bool,
    /// Queues can use pools of processes (`NETDEV_XDP_ACT_XSK_ZEROCOPY`).
    pub zero_copy: bool,
    /// What it does for frames that processes send. With times, programs are told the time of
    /// a frame.
    pub offloads: XskOffloads,
}

impl<D: Driver> Builder<D> {
    /// Programs can be attached, and frames sent without the stack, with fragments too.
    pub fn xdp(&mut self, features: &XdpFeatures) {
        let mut bits = bindings::netdev_xdp_act_NETDEV_XDP_ACT_BASIC
            | bindings::netdev_xdp_act_NETDEV_XDP_ACT_REDIRECT
            | bindings::netdev_xdp_act_NETDEV_XDP_ACT_NDO_XMIT
            | bindings::netdev_xdp_act_NETDEV_XDP_ACT_NDO_XMIT_SG;
        if features.rx_frags {
            bits |= bindings::netdev_xdp_act_NETDEV_XDP_ACT_RX_SG;
        }
        if features.zero_copy {
            bits |= bindings::netdev_xdp_act_NETDEV_XDP_ACT_XSK_ZEROCOPY;
        }
        let dev = self.netdev().as_raw();
        // SAFETY: The device is not registered, and these fields are ours.
        unsafe {
            (*dev).xdp_features = bits;
            // Without zero-copy, which may be possible later, nobody looks at it.
            (*dev).xdp_zc_max_segs = MAX_PARTS as u32;
            (*dev).xsk_tx_metadata_ops = operations(features.offloads);
            let times = features.offloads.times;
            (*dev).xdp_metadata_ops = metadata::operations(features.rx_hash, times);
        }
    }
}

impl<D: Driver> Device<D> {
    /// Whether queues can use pools of processes is seen by users who ask at once, and by those who
    /// listen for changes soon, as that takes RTNL.
    pub fn tell_zero_copy(&self, is_possible: bool, lock: &mut OpsLocked<'_, D>) {
        let dev = self.as_raw();
        if lock.netdev() != dev {
            return;
        }
        let bit = bindings::netdev_xdp_act_NETDEV_XDP_ACT_XSK_ZEROCOPY;
        // SAFETY: The device is valid, and we have its lock.
        let features = unsafe { &raw mut (*dev).xdp_features };
        // SAFETY: As above; who looks has the lock too, or takes either for true.
        unsafe {
            let before = features.read_volatile();
            let now = before & !bit | if is_possible { bit } else { 0 };
            features.write_volatile(now);
            if now != before {
                self.schedule_claims();
            }
        }
    }

    /// Tells users what is done for frames of processes, and whether programs are told the
    /// time; those that are loaded already know what was told before.
    pub fn tell_offloads(
        &self,
        rx_hash: bool,
        offloads: XskOffloads,
        _rtnl: &Rtnl<'_>,
        _lock: &mut OpsLocked<'_, D>,
    ) {
        let dev = self.as_raw();
        // SAFETY: The device is valid, and readers have either lock, or take what was there
        // before for true, which stays.
        unsafe {
            (&raw mut (*dev).xsk_tx_metadata_ops).write_volatile(operations(offloads));
            let ops = metadata::operations(rx_hash, offloads.times);
            (&raw mut (*dev).xdp_metadata_ops).write_volatile(ops);
            announce(dev);
        }
    }
}

impl<D: Driver> Interface<D> {
    /// Has those know who listen for claims of XDP, if there are others than they know of. Process
    /// context; takes RTNL and the instance lock.
    pub(in super::super) fn announce_claims(&self) {
        // SAFETY: The device is valid, and the locks are held in between.
        unsafe {
            bindings::rtnl_lock();
            self.locked(|_| {
                if self.claims.swap(false, Ordering::Relaxed) && self.is_registered() {
                    announce(self.as_raw());
                }
            });
            bindings::rtnl_unlock();
        }
    }
}

/// # Safety
///
/// The device is valid, and the caller has RTNL and its instance lock.
unsafe fn announce(dev: *mut bindings::net_device) {
    // SAFETY: By the caller's promise.
    unsafe {
        bindings::call_netdevice_notifiers(
            bindings::netdev_cmd_NETDEV_XDP_FEAT_CHANGE as usize,
            dev,
        )
    };
}

impl<D: Driver> Operations<D> {
    pub(in super::super) const fn with_xdp(
        mut ops: bindings::net_device_ops,
    ) -> bindings::net_device_ops {
        ops.ndo_bpf = Some(Self::bpf);
        ops.ndo_xdp_xmit = Some(Self::xdp_xmit);
        ops
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with RTNL and its instance lock,
    /// and with a valid command.
    unsafe extern "C" fn bpf(
        dev: *mut bindings::net_device,
        command: *mut bindings::netdev_bpf,
    ) -> c_int {
        // SAFETY: By the caller's promise.
        unsafe {
            let command = &*command;
            from_result(|| {
                match command.command {
                    bindings::bpf_netdev_command_XDP_SETUP_PROG => {
                        let setup = command.__bindgen_anon_1.__bindgen_anon_1;
                        Self::set_program(dev, setup.prog, &mut Extack::new(setup.extack))?;
                    }
                    bindings::bpf_netdev_command_XDP_SETUP_XSK_POOL => {
                        let setup = command.__bindgen_anon_1.xsk;
                        Self::set_xsk_pool(dev, setup.pool, setup.queue_id.into())?;
                    }
                    _ => return Err(EINVAL),
                }
                Ok(0)
            })
        }
    }

    /// # Safety
    ///
    /// As for [`Self::bpf`]. The caller owns a reference to the program, if it is not null,
    /// and gives it away if this succeeds.
    unsafe fn set_program(
        dev: *mut bindings::net_device,
        prog: *mut bindings::bpf_prog,
        extack: &mut Extack<'_>,
    ) -> Result {
        // SAFETY: By the caller's promise.
        unsafe {
            let driver = Self::driver(dev);
            let program = Program::new(prog).map(Program::info);
            if let Some(program) = program {
                driver.check_program(program, extack)?;
            }
            let tell = || {
                driver.program_changes(program, &mut OpsLocked::new(dev));
                // Which features work with it. Of a device on its way out nobody asks.
                if u32::from((*dev).reg_state) == bindings::netdev_reg_state_NETREG_REGISTERED {
                    bindings::netdev_update_features(dev);
                }
            };
            let attached = &(*Priv::<D>::of(dev)).program;
            // A program that cannot have some frames comes after the driver has heard, any
            // other before.
            if program.is_some_and(|program| !program.has_frags) {
                tell();
                attached.replace(prog);
            } else {
                attached.replace(prog);
                tell();
            }
        }
        Ok(())
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, in softirq context, with `n` valid
    /// frames, of which it takes back those that were not sent.
    unsafe extern "C" fn xdp_xmit(
        dev: *mut bindings::net_device,
        n: c_int,
        frames: *mut *mut bindings::xdp_frame,
        flags: u32,
    ) -> c_int {
        if flags & !bindings::XDP_XMIT_FLUSH != 0 {
            return EINVAL.to_errno();
        }
        // SAFETY: By the caller's promise.
        unsafe {
            let Priv { driver, tx, .. } = &*Priv::<D>::of(dev);
            let queues = (&raw const (*dev).real_num_tx_queues)
                .read_volatile()
                .max(1);
            let own = CpuId::current().as_u32() % queues;
            let lock = |index: u32| {
                let slot = (**tx).get(index as usize)?;
                TxGuard::lock(slot)
            };
            // Somebody may have paused the queue, for a moment: another takes its place.
            let others = || (0..queues).filter(|&index| index != own).find_map(lock);
            let Some(mut guard) = lock(own).or_else(others) else {
                return EBUSY.to_errno();
            };
            // Who takes the device away says so before each queue's lock is taken; who gives it
            // back, after it is live.
            let up = 1 << bindings::netdev_state_t___LINK_STATE_START
                | 1 << bindings::netdev_state_t___LINK_STATE_PRESENT;
            if (&raw const (*dev).state).read_volatile() & up != up {
                return ENETDOWN.to_errno();
            }
            let mut frames = XdpFrames {
                frames: core::slice::from_raw_parts(
                    frames.cast::<NonNull<bindings::xdp_frame>>(),
                    n as usize,
                ),
                taken: 0,
            };
            let (tx, queue): (&mut D::Tx, &TxQueue) = guard.parts();
            (**driver).xmit_frames(tx, queue, &mut frames);
            frames.taken as c_int
        }
    }
}
