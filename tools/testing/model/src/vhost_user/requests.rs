// SPDX-License-Identifier: GPL-2.0

//! The messages of vhost-user, each of which changes the port.

use super::port::{Mapping, VhostPort};
use crate::model::{lock, Bell, Port};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard};
use vhost::vhost_user::message::*;
use vhost::vhost_user::{Error, GpuBackend, Result, VhostUserBackendReqHandler};
use virtio_net_wire::Features;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

const NOT_OFFERED: Error = Error::InvalidOperation("not offered");

/// What serves one client.
pub(super) struct Requests {
    port: Arc<Mutex<VhostPort>>,
    bell: Bell,
    epoll: Arc<Epoll>,
}

impl Requests {
    pub(super) fn new(port: Arc<Mutex<VhostPort>>, bell: Bell, epoll: Arc<Epoll>) -> Self {
        Self { port, bell, epoll }
    }

    fn port(&self) -> MutexGuard<'_, VhostPort> {
        lock(&self.port)
    }
}

impl VhostUserBackendReqHandler for Requests {
    fn set_owner(&self) -> Result<()> {
        Ok(())
    }

    fn reset_owner(&self) -> Result<()> {
        self.reset_device()
    }

    fn reset_device(&self) -> Result<()> {
        self.port().device_mut().reset();
        Ok(())
    }

    fn get_features(&self) -> Result<u64> {
        let [low, _] = self.port().offered().to_words();
        Ok(low | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits())
    }

    fn set_features(&self, features: u64) -> Result<()> {
        let transport =
            VhostUserVirtioFeatures::PROTOCOL_FEATURES | VhostUserVirtioFeatures::LOG_ALL;
        let features = Features::from_words([features & !transport.bits(), 0]);
        let mut port = self.port();
        if !port.offered().contains(features) {
            log::warn!("not offered, but accepted: {features}");
            return Err(Error::InvalidParam);
        }
        log::debug!("features: {features}");
        port.accept(features);
        Ok(())
    }

    fn set_mem_table(
        &self,
        regions: &[VhostUserMemoryRegion],
        files: Vec<File>,
        _postcopy: Option<bool>,
    ) -> Result<Option<Vec<vhost::VhostUserMemoryRegionBase>>> {
        let mut port = self.port();
        let memory = &mut port.device_mut().memory;
        memory.clear();
        let mut mappings = Vec::new();
        for (region, file) in regions.iter().zip(files) {
            let (guest, size) = (region.guest_phys_addr, region.memory_size);
            log::debug!("memory {guest:#x}+{size:#x}");
            memory
                .map(guest, size, Some((file, region.mmap_offset)), true)
                .map_err(Error::ReqHandlerError)?;
            mappings.push(Mapping {
                user: region.user_addr,
                guest,
                size,
            });
        }
        port.set_mappings(mappings);
        Ok(None)
    }

    fn set_vring_num(&self, index: u32, size: u32) -> Result<()> {
        let size = u16::try_from(size).map_err(|_| Error::InvalidParam)?;
        self.port().ring(index).ok_or(Error::InvalidParam)?.size = size;
        Ok(())
    }

    fn set_vring_addr(
        &self,
        index: u32,
        _flags: VhostUserVringAddrFlags,
        descriptor: u64,
        used: u64,
        available: u64,
        _log: u64,
    ) -> Result<()> {
        let mut port = self.port();
        let areas = [descriptor, available, used].map(|user| port.to_guest(user));
        let [Some(desc), Some(driver), Some(device)] = areas else {
            log::warn!("ring {index} is not in the guest's memory");
            return Err(Error::InvalidParam);
        };
        port.ring(index).ok_or(Error::InvalidParam)?.areas = Some([desc, driver, device]);
        Ok(())
    }

    fn set_vring_base(&self, index: u32, base: u32) -> Result<()> {
        let mut port = self.port();
        let packed = port.device().negotiated().contains(Features::RING_PACKED);
        let available = base as u16;
        let used = if packed {
            (base >> 16) as u16
        } else {
            available
        };
        port.ring(index).ok_or(Error::InvalidParam)?.base = (available, used);
        Ok(())
    }

    fn get_vring_base(&self, index: u32) -> Result<VhostUserVringState> {
        let mut port = self.port();
        port.ring(index).ok_or(Error::InvalidParam)?;
        let used = u32::from(port.stop(index as u16));
        let packed = port.device().negotiated().contains(Features::RING_PACKED);
        let base = if packed { (used << 16) | used } else { used };
        Ok(VhostUserVringState::new(index, base))
    }

    fn set_vring_kick(&self, index: u8, fd: Option<File>) -> Result<()> {
        let mut port = self.port();
        let ring = port.ring(index.into()).ok_or(Error::InvalidParam)?;
        if let Some(fd) = &fd {
            let event = EpollEvent::new(EventSet::IN, index.into());
            self.epoll
                .ctl(ControlOperation::Add, fd.as_raw_fd(), event)
                .map_err(Error::ReqHandlerError)?;
        }
        // The old one leaves the set of those waited for as it is closed.
        ring.kick = fd;
        port.start(index.into());
        drop(port);
        self.bell.ring();
        Ok(())
    }

    fn set_vring_call(&self, index: u8, fd: Option<File>) -> Result<()> {
        self.port()
            .ring(index.into())
            .ok_or(Error::InvalidParam)?
            .call = fd;
        Ok(())
    }

    fn set_vring_err(&self, index: u8, fd: Option<File>) -> Result<()> {
        self.port()
            .ring(index.into())
            .ok_or(Error::InvalidParam)?
            .error = fd;
        Ok(())
    }

    fn get_protocol_features(&self) -> Result<VhostUserProtocolFeatures> {
        // The crate adds REPLY_ACK.
        Ok(VhostUserProtocolFeatures::MQ | VhostUserProtocolFeatures::RESET_DEVICE)
    }

    fn set_protocol_features(&self, _features: u64) -> Result<()> {
        Ok(())
    }

    fn get_queue_num(&self) -> Result<u64> {
        // Of a network device this is the number of pairs.
        Ok(self.port().device().settings.pairs.into())
    }

    fn set_vring_enable(&self, index: u32, enable: bool) -> Result<()> {
        let mut port = self.port();
        port.ring(index).ok_or(Error::InvalidParam)?;
        log::debug!("ring {index} {}", if enable { "on" } else { "off" });
        port.enable(index as u16, enable);
        drop(port);
        self.bell.ring();
        Ok(())
    }

    fn get_config(&self, _: u32, _: u32, _: VhostUserConfigFlags) -> Result<Vec<u8>> {
        Err(NOT_OFFERED)
    }

    fn set_config(&self, _: u32, _: &[u8], _: VhostUserConfigFlags) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn set_gpu_socket(&self, _: GpuBackend) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn get_shared_object(&self, _: VhostUserSharedMsg) -> Result<File> {
        Err(NOT_OFFERED)
    }

    fn get_inflight_fd(&self, _: &VhostUserInflight) -> Result<(VhostUserInflight, File)> {
        Err(NOT_OFFERED)
    }

    fn set_inflight_fd(&self, _: &VhostUserInflight, _: File) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn get_max_mem_slots(&self) -> Result<u64> {
        Err(NOT_OFFERED)
    }

    fn add_mem_region(
        &self,
        _: &VhostUserSingleMemoryRegion,
        _: File,
        _: Option<bool>,
    ) -> Result<Option<vhost::VhostUserMemoryRegionBase>> {
        Err(NOT_OFFERED)
    }

    fn remove_mem_region(&self, _: &VhostUserSingleMemoryRegion) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn set_device_state_fd(
        &self,
        _: VhostTransferStateDirection,
        _: VhostTransferStatePhase,
        _: File,
    ) -> Result<Option<File>> {
        Err(NOT_OFFERED)
    }

    fn check_device_state(&self) -> Result<()> {
        Err(NOT_OFFERED)
    }

    fn get_shmem_config(&self) -> Result<VhostUserShMemConfig> {
        Err(NOT_OFFERED)
    }

    fn set_log_base(&self, _: &VhostUserLog, _: File) -> Result<()> {
        Err(NOT_OFFERED)
    }
}
