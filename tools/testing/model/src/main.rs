// SPDX-License-Identifier: GPL-2.0

//! The model as a program: ports at vfio-user or vhost-user sockets, joined by a
//! switch.

#![forbid(unsafe_code)]

use clap::Parser;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use virtio_net_model::model::{self, lock, Bell, Model};
use virtio_net_model::net::{Device, Settings};
use virtio_net_model::pci::Function;
use virtio_net_model::script::{self, Stage};
use virtio_net_model::traffic::SharedScene;
use virtio_net_model::vfio_user;
use virtio_net_model::vhost_user::{self, VhostPort};

/// A virtio-net device for tests, behind QEMU's vfio-user-pci.
#[derive(Parser)]
struct Options {
    /// A port: the socket's path, then settings, such as
    /// `/run/a.sock,mac=52:54:00:00:00:01,pairs=4,packed=on,mtu=9000`. With
    /// `frontend=vhost-user` it is for QEMU's `-netdev vhost-user`, otherwise for
    /// `-device vfio-user-pci`.
    #[arg(long = "port", required = true, value_parser = PortOption::parse)]
    ports: Vec<PortOption>,

    /// The socket for scripts.
    #[arg(long)]
    script: Option<PathBuf>,

    /// What is logged to standard error: error, warn, info, debug, trace.
    #[arg(long, default_value = "info")]
    log: log::LevelFilter,
}

#[derive(Clone)]
struct PortOption {
    socket: PathBuf,
    settings: Settings,
    vhost_user: bool,
}

impl PortOption {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let socket = parts.next().unwrap_or_default().into();
        let (mut settings, mut vhost_user) = (Settings::default(), false);
        for part in parts.filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or(format!("{part}: no value"))?;
            match (key, value) {
                ("frontend", "vfio-user") => vhost_user = false,
                ("frontend", "vhost-user") => vhost_user = true,
                _ => settings.set(key, value)?,
            }
        }
        Ok(Self {
            socket,
            settings,
            vhost_user,
        })
    }
}

struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        eprintln!("{} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Serves a port in a thread of its own; without a port the model is of no use.
fn serve<E: Display>(
    socket: PathBuf,
    server: impl FnOnce(&Path) -> Result<(), E> + Send + 'static,
) {
    std::thread::spawn(move || {
        if let Err(error) = server(&socket) {
            log::error!("{}: {error}", socket.display());
            std::process::exit(1);
        }
    });
}

fn main() {
    let options = Options::parse();
    log::set_max_level(options.log);
    // It fails only if there is one already.
    let _ = log::set_logger(&Stderr);

    let bell = Bell::default();
    let scene = SharedScene::default();
    let mut model = Model::new(Box::new(scene.clone()), bell.clone());
    for port in options.ports {
        let (socket, bell) = (port.socket, bell.clone());
        let device = Device::new(port.settings);
        if port.vhost_user {
            let port = Arc::new(Mutex::new(VhostPort::new(device)));
            model.add_port(port.clone());
            serve(socket, move |path| vhost_user::serve(path, port, bell));
        } else {
            let function = Arc::new(Mutex::new(Function::new(device)));
            model.add_port(function.clone());
            serve(socket, move |path| vfio_user::serve(path, function, bell));
        }
    }
    if let Some(path) = &options.script {
        let ports = model.ports().to_vec();
        if let Err(error) = script::serve(path, Stage { ports, scene, bell }) {
            log::error!("{}: {error}", path.display());
            std::process::exit(1);
        }
    }
    let model = Arc::new(Mutex::new(model));
    log::info!("{} ports", lock(&model).ports().len());
    model::run(&model)
}
