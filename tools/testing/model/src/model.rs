// SPDX-License-Identifier: GPL-2.0

//! The model: several ports, one mode, and the loop that moves frames.
//!
//! Front ends run in threads of their own. They change the state of their port
//! under its lock and ring the [`Bell`]; the loop does all that takes longer.
//! Locks are taken in the order model, port; never two ports at once.

use crate::net::{Device, Frame, Refused};
use crate::traffic::{Mode, Output};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use virtio_net_wire::Features;

/// The longest pause between two turns.
const PAUSE: Duration = Duration::from_millis(100);

/// A device with the transport that it is behind.
pub trait Port: Send {
    /// The device.
    fn device(&self) -> &Device;

    /// The device, to change it.
    fn device_mut(&mut self) -> &mut Device;

    /// Passes the device's pending interrupts on to the driver.
    fn raise(&mut self);

    /// Asks for the removal of the device from the machine; `false` if the
    /// transport cannot.
    fn request_removal(&mut self) -> bool {
        false
    }
}

/// A port that a front end and the model share.
pub type SharedPort = Arc<Mutex<dyn Port>>;

/// Takes a lock; one that a panic left behind is still good, since no panic is
/// expected and a test should go on to say what happened.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What wakes the loop up.
#[derive(Clone, Default)]
pub struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    /// Has the loop take a turn.
    pub fn ring(&self) {
        let (rung, condition) = &*self.0;
        *lock(rung) = true;
        condition.notify_one();
    }

    /// Waits until it rings, or until `deadline`.
    pub fn wait(&self, deadline: Instant) {
        let (rung, condition) = &*self.0;
        let left = deadline.saturating_duration_since(Instant::now());
        let guard = lock(rung);
        let (mut guard, _) = condition
            .wait_timeout_while(guard, left, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *guard = false;
    }
}

/// Ports and what joins them.
pub struct Model {
    ports: Vec<SharedPort>,
    mode: Box<dyn Mode>,
    bell: Bell,
}

struct Outputs<'a> {
    ports: &'a [SharedPort],
    now: Instant,
}

impl Output for Outputs<'_> {
    fn send(&mut self, port: usize, pair: usize, frame: &Frame) -> Result<(), Refused> {
        let mut port = lock(self.ports.get(port).ok_or(Refused::Down)?);
        port.device_mut()
            .receive(pair as u16, frame.clone(), self.now)
    }

    fn offloads(&self, port: usize) -> Features {
        let port = self.ports.get(port);
        port.map_or_else(Features::empty, |port| {
            lock(port).device().accepted_offloads()
        })
    }

    fn ports(&self) -> usize {
        self.ports.len()
    }
}

impl Model {
    /// A model without ports.
    pub fn new(mode: Box<dyn Mode>, bell: Bell) -> Self {
        Self {
            ports: Vec::new(),
            mode,
            bell,
        }
    }

    /// Adds a port and returns its number.
    pub fn add_port(&mut self, port: SharedPort) -> usize {
        self.ports.push(port);
        self.ports.len() - 1
    }

    /// The ports.
    pub fn ports(&self) -> &[SharedPort] {
        &self.ports
    }

    /// From now on, this is what happens to frames.
    pub fn set_mode(&mut self, mode: Box<dyn Mode>) {
        self.mode = mode;
        self.bell.ring();
    }

    /// The mode, to ask it for what it found.
    pub fn mode_mut(&mut self) -> &mut dyn Mode {
        self.mode.as_mut()
    }

    /// What wakes the loop.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// One turn over all ports. Returns when the next one is due at the latest.
    pub fn turn(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = now + PAUSE;
        let mut out = Outputs {
            ports: &self.ports,
            now,
        };
        for (number, port) in self.ports.iter().enumerate() {
            let pairs = lock(port).device().settings.pairs;
            for pair in 0..pairs {
                // The port is not locked while its frames go to other ports.
                let frames = lock(port).device_mut().drain(pair, now);
                for frame in frames {
                    self.mode.received(number, pair.into(), frame, &mut out);
                }
            }
        }
        self.mode.tick(now, &mut out);
        for port in &self.ports {
            let mut port = lock(port);
            port.device_mut().turn(now);
            port.raise();
            if port.device().has_work() {
                next = now;
            }
            if let Some(deadline) = port.device().deadline() {
                next = next.min(deadline);
            }
        }
        self.mode
            .deadline()
            .map_or(next, |deadline| deadline.min(next))
    }
}

/// Takes turns for ever.
pub fn run(model: &Mutex<Model>) -> ! {
    let bell = lock(model).bell().clone();
    loop {
        let next = lock(model).turn();
        if next > Instant::now() {
            bell.wait(next);
        } else {
            std::thread::yield_now();
        }
    }
}
