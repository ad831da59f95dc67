// SPDX-License-Identifier: GPL-2.0

//! What happens to the frames of all ports: one way of forwarding, any number of
//! generators beside it, captures, and counts of what was seen.

use super::capture::{self, Capture};
use super::generator::{self, Generator, Progress};
use super::observe::Observed;
use super::reflect::reflect;
use super::switch::{Lost, Switch};
use super::{Frame, Mode, Output, Refused};
use crate::model::lock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use virtio_net_wire::Features;

/// What becomes of a frame that a driver sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forwarding {
    /// All other ports receive it.
    #[default]
    Switch,
    /// Nobody does; it is counted and verified.
    Sink,
    /// It comes back with its addresses exchanged, as from another machine.
    Reflect,
    /// It comes back as it is, as through a plug that joins both ends of a cable.
    Loop,
}

impl Forwarding {
    /// Whether frames for a port without receive buffers wait.
    fn waits(self) -> bool {
        matches!(self, Self::Switch | Self::Loop)
    }
}

/// Frames that a port's driver was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Frames that it took.
    pub frames: u64,
    /// Their bytes, without virtio headers.
    pub bytes: u64,
    /// Attempts that found no receive buffer.
    pub no_buffers: u64,
    /// Frames refused for another reason.
    pub refused: u64,
}

/// One port's statistics, from the model's side.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PortReport {
    /// What its driver sent, verified.
    pub seen: Observed,
    /// Frames of that, by queue pair.
    pub seen_by_pair: BTreeMap<usize, u64>,
    /// What its driver was given.
    pub given: Given,
    /// Frames of that, by queue pair that was asked for.
    pub given_by_pair: BTreeMap<usize, u64>,
    /// Frames that the switch lost on their way to it.
    pub lost: Lost,
}

/// Everything that the script can ask of the traffic.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What becomes of frames now.
    pub forwarding: Forwarding,
    /// By port.
    pub ports: Vec<PortReport>,
    /// By generator, in the order in which they were started.
    pub generators: Vec<Progress>,
    /// Frames in each capture.
    pub captured: Vec<u64>,
}

/// A scene that the model plays and a script changes. Its lock is taken after the
/// model's and before any port's.
pub type SharedScene = Arc<Mutex<Scene>>;

/// The traffic of one model process.
pub struct Scene {
    forwarding: Forwarding,
    switch: Switch,
    generators: Vec<Generator>,
    watch: Watch,
    last: Instant,
}

/// How often generators are looked at.
const TICK: Duration = Duration::from_millis(1);

impl Default for Scene {
    fn default() -> Self {
        Self {
            forwarding: Forwarding::default(),
            switch: Switch::new(),
            generators: Vec::new(),
            watch: Watch::default(),
            last: Instant::now(),
        }
    }
}

/// What is noted of each frame.
#[derive(Default)]
struct Watch {
    ports: Vec<PortReport>,
    captures: Vec<Capture>,
}

impl Watch {
    fn port(&mut self, port: usize) -> &mut PortReport {
        if self.ports.len() <= port {
            self.ports.resize_with(port + 1, PortReport::default);
        }
        &mut self.ports[port]
    }

    fn seen(&mut self, port: usize, pair: usize, frame: &Frame) {
        let report = self.port(port);
        report.seen.look(frame);
        *report.seen_by_pair.entry(pair).or_default() += 1;
        self.capture(port, frame);
    }

    fn given(&mut self, port: usize, pair: usize, frame: &Frame, taken: Result<(), Refused>) {
        let report = self.port(port);
        match taken {
            Ok(()) => {}
            Err(Refused::NoBuffers) => return report.given.no_buffers += 1,
            Err(_) => return report.given.refused += 1,
        }
        report.given.frames += 1;
        report.given.bytes += frame.data.len() as u64;
        *report.given_by_pair.entry(pair).or_default() += 1;
        self.capture(port, frame);
    }

    fn capture(&mut self, port: usize, frame: &Frame) {
        for capture in &mut self.captures {
            capture.look(port, frame);
        }
    }
}

/// The ports, with a note of what goes to them.
struct Watched<'a> {
    out: &'a mut dyn Output,
    watch: &'a mut Watch,
}

impl Output for Watched<'_> {
    fn ports(&self) -> usize {
        self.out.ports()
    }

    fn offloads(&self, port: usize) -> Features {
        self.out.offloads(port)
    }

    fn send(&mut self, port: usize, pair: usize, frame: &Frame) -> Result<(), Refused> {
        let taken = self.out.send(port, pair, frame);
        self.watch.given(port, pair, frame, taken);
        taken
    }
}

impl Scene {
    /// A switch, without anything else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes what becomes of frames.
    pub fn forward(&mut self, forwarding: Forwarding) {
        self.forwarding = forwarding;
        self.switch = Switch::new();
    }

    /// Starts a generator; its number.
    ///
    /// # Errors
    ///
    /// What is wrong with the order, in words.
    pub fn generate(&mut self, order: generator::Order) -> Result<usize, String> {
        self.generators.push(Generator::new(order)?);
        Ok(self.generators.len() - 1)
    }

    /// Ends all generators and captures.
    pub fn stop(&mut self) {
        self.generators.clear();
        self.watch.captures.clear();
    }

    /// Starts a capture, in place of one into the same file.
    ///
    /// # Errors
    ///
    /// What is wrong with the order, in words.
    pub fn capture(&mut self, order: capture::Order) -> Result<(), String> {
        // Two would write over each other; the earlier one is closed first.
        let captures = &mut self.watch.captures;
        captures.retain(|capture| *capture.file() != order.file);
        captures.push(Capture::new(order)?);
        Ok(())
    }

    /// Forgets what was counted.
    pub fn clear(&mut self) {
        self.watch.ports.clear();
        if self.forwarding.waits() {
            self.switch = Switch::new();
        }
    }

    /// What was counted, for so many ports.
    pub fn report(&self, ports: usize) -> Report {
        let port = |index: usize| PortReport {
            lost: self.switch.lost(index),
            ..self.watch.ports.get(index).cloned().unwrap_or_default()
        };
        Report {
            forwarding: self.forwarding,
            ports: (0..ports).map(port).collect(),
            generators: self
                .generators
                .iter()
                .map(|g| g.progress().clone())
                .collect(),
            captured: self.watch.captures.iter().map(Capture::frames).collect(),
        }
    }

    /// Whether a generator has something left to do.
    pub fn is_busy(&self) -> bool {
        self.generators
            .iter()
            .any(|generator| !generator.progress().done)
    }
}

impl Mode for Scene {
    fn received(&mut self, port: usize, pair: usize, frame: Frame, out: &mut dyn Output) {
        self.watch.seen(port, pair, &frame);
        let watch = &mut self.watch;
        let mut out = Watched { out, watch };
        match self.forwarding {
            Forwarding::Switch => self.switch.received(port, pair, &frame, &mut out),
            Forwarding::Loop => self.switch.forward(port, pair, frame, &mut out),
            Forwarding::Reflect => {
                reflect(port, pair, &frame, &mut out);
            }
            Forwarding::Sink => {}
        }
    }

    fn tick(&mut self, now: Instant, out: &mut dyn Output) {
        self.last = now;
        let watch = &mut self.watch;
        let mut out = Watched { out, watch };
        if self.forwarding.waits() {
            self.switch.tick(&mut out);
        }
        for generator in &mut self.generators {
            generator.tick(now, &mut out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.is_busy().then(|| self.last + TICK)
    }
}

impl Mode for SharedScene {
    fn received(&mut self, port: usize, pair: usize, frame: Frame, out: &mut dyn Output) {
        lock(self).received(port, pair, frame, out);
    }

    fn tick(&mut self, now: Instant, out: &mut dyn Output) {
        lock(self).tick(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        lock(self).deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::generator::{Order, Source};
    use crate::traffic::template::{Protocol, Template};
    use crate::traffic::testing::Ports;

    fn frame() -> Frame {
        Template::example(Protocol::Udp, false).frame(0)
    }

    #[test]
    fn each_forwarding_does_its_own() {
        let wanted = [
            (Forwarding::Switch, vec![1]),
            (Forwarding::Sink, vec![]),
            (Forwarding::Reflect, vec![0]),
            (Forwarding::Loop, vec![0]),
        ];
        for (forwarding, to) in wanted {
            let (mut scene, mut out) = (Scene::new(), Ports::new(2));
            scene.forward(forwarding);
            scene.received(0, 3, frame(), &mut out);
            let got: Vec<_> = out.sent.iter().map(|(port, _, _)| *port).collect();
            assert_eq!(got, to, "{forwarding:?}");
            let report = scene.report(2);
            assert_eq!(report.ports[0].seen.frames, 1);
            assert_eq!(report.ports[0].seen_by_pair[&3], 1);
            let given: u64 = report.ports.iter().map(|port| port.given.frames).sum();
            assert_eq!(given, to.len() as u64);
        }
    }

    #[test]
    fn generators_run_beside() {
        let (mut scene, mut out) = (Scene::new(), Ports::new(2));
        let source = Source::Template(Template::example(Protocol::Udp, false));
        let order = Order {
            port: 1,
            pairs: vec![0],
            source,
            count: Some(5),
            rate: None,
        };
        assert_eq!(scene.generate(order), Ok(0));
        assert!(scene.is_busy());
        scene.tick(Instant::now(), &mut out);
        assert!(!scene.is_busy());
        let report = scene.report(2);
        assert_eq!(
            (report.generators[0].sent, report.ports[1].given.frames),
            (5, 5)
        );
        scene.stop();
        scene.clear();
        assert_eq!(scene.report(2).ports[1].given.frames, 0);
    }
}
