// SPDX-License-Identifier: GPL-2.0

//! The front end for QEMU's `vfio-user-pci`: region accesses, DMA regions and
//! interrupts arrive as messages on a socket.

use crate::model::{lock, Bell, Port};
use crate::pci::{config, layout, Function};
use ::vfio_user::{
    DmaMapFlags, DmaUnmapFlags, Error, IrqInfo, Server, ServerBackend, ServerRegion,
};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use vfio_bindings::bindings::vfio::*;

/// Serves one port.
pub struct Frontend {
    function: Arc<Mutex<Function>>,
    bell: Bell,
}

/// Listens at `path` and serves one client after the other, for ever; each finds
/// the device as after a reset.
///
/// # Errors
///
/// If it cannot listen, or accept.
pub fn serve(path: &Path, function: Arc<Mutex<Function>>, bell: Bell) -> Result<(), Error> {
    let server = Server::new(path, true, irqs(&function), regions())?;
    let mut frontend = Frontend { function, bell };
    loop {
        match server.run(&mut frontend) {
            Ok(()) => log::info!("{}: client gone", path.display()),
            Err(error @ Error::SocketAccept(_)) => return Err(error),
            Err(error) => log::warn!("{}: client lost: {error}", path.display()),
        }
        lock(&frontend.function).disconnect();
    }
}

fn regions() -> Vec<ServerRegion> {
    (0..VFIO_PCI_NUM_REGIONS)
        .map(|index| {
            let size = match index {
                VFIO_PCI_BAR0_REGION_INDEX => layout::BAR0_LEN,
                VFIO_PCI_BAR1_REGION_INDEX => layout::BAR1_LEN,
                VFIO_PCI_CONFIG_REGION_INDEX => config::LEN,
                _ => 0,
            };
            let flags = match size {
                0 => 0,
                _ => VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
            };
            ServerRegion {
                region_info: vfio_region_info {
                    argsz: size_of::<vfio_region_info>() as u32,
                    flags,
                    index,
                    size,
                    ..Default::default()
                },
                sparse_areas: Vec::new(),
                mmap_fd: None,
            }
        })
        .collect()
}

fn irqs(function: &Mutex<Function>) -> Vec<IrqInfo> {
    let vectors = lock(function).vector_count() as u32;
    let line = lock(function).has_line();
    (0..VFIO_PCI_NUM_IRQS)
        .map(|index| IrqInfo {
            index,
            flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE,
            count: match index {
                VFIO_PCI_INTX_IRQ_INDEX => line.into(),
                VFIO_PCI_MSIX_IRQ_INDEX => vectors,
                VFIO_PCI_ERR_IRQ_INDEX | VFIO_PCI_REQ_IRQ_INDEX => 1,
                _ => 0,
            },
        })
        .collect()
}

fn bar_of(region: u32) -> Option<u8> {
    (region <= VFIO_PCI_BAR5_REGION_INDEX).then_some(region as u8)
}

impl ServerBackend for Frontend {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        let mut function = lock(&self.function);
        match bar_of(region) {
            Some(bar) => function.bar_read(bar, offset, data),
            None if region == VFIO_PCI_CONFIG_REGION_INDEX => function.config_read(offset, data),
            None => return Err(io::ErrorKind::InvalidInput.into()),
        }
        log::trace!("read {region}:{offset:#x} = {data:02x?}");
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        log::trace!("write {region}:{offset:#x} = {data:02x?}");
        let mut function = lock(&self.function);
        let rang = match bar_of(region) {
            Some(bar) => function.bar_write(bar, offset, data),
            None if region == VFIO_PCI_CONFIG_REGION_INDEX => function.config_write(offset, data),
            None => return Err(io::ErrorKind::InvalidInput.into()),
        };
        if rang {
            self.bell.ring();
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        log::debug!("map {address:#x}+{size:#x}, file {}", fd.is_some());
        let writable = flags.contains(DmaMapFlags::WRITE);
        let file = fd.map(|file| (file, offset));
        let mut function = lock(&self.function);
        function
            .device_mut()
            .memory
            .map(address, size, file, writable)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        log::debug!("unmap {address:#x}+{size:#x}");
        let mut function = lock(&self.function);
        let memory = &mut function.device_mut().memory;
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            memory.clear();
        } else {
            memory.unmap(address, size);
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        log::debug!("reset");
        lock(&self.function).reset();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        log::debug!(
            "irqs {index}: {flags:#x} {start}+{count}, {} files",
            fds.len()
        );
        let mut function = lock(&self.function);
        // Masking is done by the machine, but it has to hear of what came meanwhile.
        if flags & VFIO_IRQ_SET_ACTION_TRIGGER == 0 {
            if index == VFIO_PCI_INTX_IRQ_INDEX && flags & VFIO_IRQ_SET_ACTION_UNMASK != 0 {
                function.assert_line();
            }
            return Ok(());
        }
        let mut fds = fds.into_iter();
        let all = flags & VFIO_IRQ_SET_DATA_NONE != 0 && count == 0;
        match index {
            VFIO_PCI_MSIX_IRQ_INDEX if all => {
                (0..function.vector_count()).for_each(|vector| function.set_vector(vector, None));
            }
            VFIO_PCI_MSIX_IRQ_INDEX if flags & VFIO_IRQ_SET_DATA_EVENTFD != 0 => {
                let end = (u64::from(start) + u64::from(count)) as usize;
                for vector in start as usize..end.min(function.vector_count()) {
                    function.set_vector(vector, fds.next());
                }
            }
            VFIO_PCI_INTX_IRQ_INDEX => function.set_line(fds.next()),
            VFIO_PCI_REQ_IRQ_INDEX => function.set_request(fds.next()),
            _ => {}
        }
        Ok(())
    }
}
