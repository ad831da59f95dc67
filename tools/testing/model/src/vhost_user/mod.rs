// SPDX-License-Identifier: GPL-2.0

//! The front end for QEMU's `-netdev vhost-user`: memory, rings and event
//! descriptors arrive as messages on a socket.
//!
//! The machine keeps the PCI function, the configuration space and the control
//! queue to itself. It takes from the device the features that are about frames and
//! rings ([`VhostPort::OFFERED`]), and tells it of what a driver asked for only which
//! queues are enabled.

mod port;
mod requests;

pub use port::VhostPort;

use crate::model::{lock, Bell};
use requests::Requests;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use vhost::vhost_user::message::FrontendReq;
use vhost::vhost_user::{BackendListener, BackendReqHandler, Error, Listener};
use vmm_sys_util::epoll::{Epoll, EpollEvent};

/// Listens at `path` and serves one client after the other, for ever; each finds
/// the device as after a reset.
///
/// # Errors
///
/// If it cannot listen, accept, or wait for notifications.
pub fn serve(path: &Path, port: Arc<Mutex<VhostPort>>, bell: Bell) -> io::Result<()> {
    let mut listener = Listener::new(path, true).map_err(io::Error::other)?;
    let epoll = Arc::new(Epoll::new()?);
    let kicks = (port.clone(), bell.clone(), epoll.clone());
    std::thread::spawn(move || pass_kicks_on(&kicks.0, &kicks.1, &kicks.2));
    loop {
        let requests = Arc::new(Requests::new(port.clone(), bell.clone(), epoll.clone()));
        let client = BackendListener::new(&mut listener, requests)
            .and_then(|mut listener| listener.accept())
            .map_err(io::Error::other)?;
        let Some(mut client) = client else {
            continue;
        };
        let error = loop {
            match client.handle_request() {
                Ok(()) => {}
                // QEMU enables rings before it has set the features that let it, and
                // once more when it starts them. The crate refuses the former, the
                // only request that this error is for, and answers nothing.
                Err(Error::InactiveFeature(_)) => {
                    if let Err(error) = answer_enable(&client) {
                        break Error::SocketError(error);
                    }
                }
                Err(error @ (Error::InvalidParam | Error::InvalidOperation(_))) => {
                    log::warn!("{}: {error}", path.display());
                }
                Err(error) => break error,
            }
        };
        match error {
            Error::Disconnected | Error::PartialMessage => {
                log::info!("{}: client gone", path.display());
            }
            error => log::warn!("{}: client lost: {error}", path.display()),
        }
        lock(&port).disconnect();
    }
}

/// Tells the client, which waits for it, that a ring is enabled.
fn answer_enable(client: &BackendReqHandler<Requests>) -> io::Result<()> {
    const VERSION_AND_REPLY: u32 = 1 | (1 << 2);
    let header = [
        FrontendReq::SET_VRING_ENABLE.into(),
        VERSION_AND_REPLY,
        size_of::<u64>() as u32,
    ];
    let done = 0u64.to_ne_bytes();
    let message: Vec<u8> = header
        .iter()
        .flat_map(|word: &u32| word.to_ne_bytes())
        .chain(done)
        .collect();
    client.try_clone_connection()?.write_all(&message)
}

/// Waits for notifications of all queues, for ever.
fn pass_kicks_on(port: &Mutex<VhostPort>, bell: &Bell, epoll: &Epoll) {
    let mut events = vec![EpollEvent::default(); 64];
    loop {
        let count = match epoll.wait(-1, &mut events) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                log::error!("no more notifications: {error}");
                return;
            }
        };
        let mut port = lock(port);
        for event in &events[..count] {
            port.take_kick(event.data() as u16);
        }
        drop(port);
        bell.ring();
    }
}
