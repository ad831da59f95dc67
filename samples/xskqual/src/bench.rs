// SPDX-License-Identifier: GPL-2.0

//! What tests work with: the interface, its claims, the programs, and the far end.

use crate::far::Far;
use crate::frames::{Plan, Way, FLOWS};
use crate::interface::Interface;
use crate::listener::Listener;
use crate::programs::{Action, Actions};
use crate::request::Request;
use crate::run;
use crate::tally::Tally;
use crate::verdict::Measured;
use crate::xsk::Settings;
use afxdp::bpf::Link;
use afxdp::claims::Claims;
use afxdp::netdev;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Frames of most tests.
pub const COUNT: u32 = 64;
/// The longest frame that surely is in one buffer.
const ONE_BUFFER: usize = 1514;

/// All that a test needs.
pub struct Bench {
    /// The interface under test.
    pub interface: Interface,
    /// The far end.
    pub far: Far,
    /// What the stack here gets.
    pub listener: Listener,
    /// The programs.
    pub actions: Actions,
    /// How long frames may be on their way.
    pub patience: Duration,
    /// The queue of sockets.
    pub queue: u32,
    /// The flows that come to it.
    pub flows: Vec<u16>,
    /// What was claimed at first.
    pub first: Claims,
    next: u32,
}

impl Bench {
    /// Of all that.
    pub fn new(
        interface: Interface,
        far: Far,
        patience: Duration,
        first: Claims,
    ) -> Result<Self, String> {
        let listener = Listener::new(interface.ifindex, interface.mac)
            .map_err(|error| format!("{}: {error}", interface.name))?;
        let actions =
            Actions::load().map_err(|error| format!("the programs cannot be loaded: {error}"))?;
        // Numbers that no run before has had, as each takes more milliseconds than it has tests.
        let first_test = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |time| time.as_millis() as u32);
        Ok(Self {
            interface,
            far,
            listener,
            actions,
            patience,
            queue: 0,
            flows: (0..FLOWS).collect(),
            first,
            next: first_test,
        })
    }

    /// A test's number that no test before has had.
    pub fn test(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// What is claimed now.
    pub fn claims(&self) -> Result<Claims, String> {
        netdev::claims_of(self.interface.ifindex)
    }

    /// The longest frame that both ends take.
    pub fn longest(&self) -> usize {
        self.interface.mtu.min(self.far.hello.mtu) as usize + 14
    }

    /// Frames for a test that are in one buffer each.
    pub fn plan(&mut self) -> Plan {
        let longest = self.longest().min(ONE_BUFFER);
        let test = self.test();
        Plan {
            flows: self.flows.clone(),
            ..Plan::new(test, COUNT, longest)
        }
    }

    /// Frames for a test that are as long as can be, or None if those are in one buffer.
    pub fn long_plan(&mut self) -> Option<Plan> {
        // Drivers put what a page has no room for into a second buffer.
        let shortest = 4000;
        let longest = self.longest();
        let test = self.test();
        (longest > shortest).then(|| Plan {
            flows: self.flows.clone(),
            shortest,
            count: 24,
            ..Plan::new(test, COUNT, longest)
        })
    }

    /// Attaches the program: for one buffer, or, where the MTU wants that, for several.
    pub fn attach(&self) -> Result<Link, String> {
        let ifindex = self.interface.ifindex;
        self.actions
            .attach(ifindex, false)
            .or_else(|error| {
                if self.interface.mtu as usize + 14 > ONE_BUFFER {
                    self.actions.attach(ifindex, true)
                } else {
                    Err(error)
                }
            })
            .map_err(|error| format!("attaching a program: {error}"))
            .and_then(|link| self.settled(link))
    }

    /// What is attached, when the interface has its carrier again: some devices start anew for it.
    fn settled(&self, link: Link) -> Result<Link, String> {
        run::find(&self.interface.name, self.patience)?;
        Ok(link)
    }

    /// Attaches the program for frames over several buffers.
    pub fn attach_frags(&self) -> Result<Link, String> {
        self.actions
            .attach(self.interface.ifindex, true)
            .map_err(|error| {
                format!("attaching a program for frames over several buffers: {error}")
            })
            .and_then(|link| self.settled(link))
    }

    /// Has the far end send.
    pub fn send(&mut self, plan: &Plan) -> Result<(), String> {
        self.far.send(self.interface.mac, plan)
    }

    /// Tells the program, and has the far end send; what the stack has got of that.
    pub fn judge(&mut self, action: Action, plan: &Plan, wanted: u32) -> Result<Tally, String> {
        self.tell(action)?;
        self.send(plan)?;
        // Where nobody should get anything, the program's count says when all have come.
        if wanted == 0 {
            self.wait_seen(plan.count)?;
        }
        self.listener
            .wait(plan.test, wanted, self.patience)
            .map_err(|error| error.to_string())
    }

    /// Tells the program.
    pub fn tell(&self, action: Action) -> Result<(), String> {
        self.actions
            .tell(action)
            .map_err(|error| format!("telling the program: {error}"))
    }

    /// Waits until the program has seen so many frames.
    pub fn wait_seen(&self, count: u32) -> Result<(), String> {
        let end = std::time::Instant::now() + self.patience;
        while self.seen()? < count && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// How many frames the program has seen.
    pub fn seen(&self) -> Result<u32, String> {
        self.actions
            .seen()
            .map(|seen| seen.frames as u32)
            .map_err(|error| format!("asking the program: {error}"))
    }

    /// What is wrong with the number of frames that the program has seen.
    pub fn all_seen(&self, count: u32) -> Result<(), String> {
        match self.seen()? {
            0 => Err(format!("the program has seen none of {count} frames")),
            seen if seen != count => Err(format!("the program has seen {seen} of {count} frames")),
            _ => Ok(()),
        }
    }

    /// Whether the kernel takes chunks of so many bytes for zero-copy: frames of the MTU must fit, with
    /// what may be around them (`xp_assign_dev`).
    pub fn fits(&self, chunk: u32, segments: u32) -> bool {
        let tailroom = if segments > 1 { 320 } else { 0 };
        let room = (chunk - 256 - tailroom) & !127;
        self.interface.mtu + 26 <= room * segments
    }

    /// How most sockets are bound.
    pub fn settings(&self, zero_copy: bool) -> Settings {
        Settings {
            queue: self.queue,
            zero_copy,
            sg: zero_copy && !self.fits(4096, 1),
            need_wakeup: false,
            busy_poll: false,
            chunk: 4096,
            requests: false,
            fill_late: false,
        }
    }

    /// Frames of this end, with what is asked for each.
    pub fn frames(&self, plan: &Plan, request: Option<Request>) -> Vec<(Vec<u8>, Option<Request>)> {
        (0..plan.count)
            .map(|number| {
                let frame = plan.frame(number, self.far.hello.mac, self.interface.mac, Way::Out);
                (frame, request)
            })
            .collect()
    }

    /// Finds the queue that the far end's frames come to, and their flows.
    pub fn find_queue(&mut self, wanted: Option<u32>) -> Result<(), String> {
        let attached = self.attach()?;
        let test = self.test();
        let plan = Plan {
            flows: (0..FLOWS).collect(),
            ..Plan::new(test, u32::from(FLOWS), 100)
        };
        self.judge(Action::Pass, &plan, plan.count)?;
        drop(attached);
        let queues = self
            .actions
            .queues()
            .map_err(|error| format!("asking the program: {error}"))?;
        let on = |queue: u32| -> Vec<u16> {
            (0..FLOWS)
                .filter(|flow| queues[usize::from(*flow)] == Some(queue))
                .collect()
        };
        let most = queues
            .iter()
            .flatten()
            .max_by_key(|queue| on(**queue).len());
        if let Some(queue) = wanted.or(most.copied()) {
            self.queue = queue;
            self.flows = on(queue);
        }
        if let (true, Some(most)) = (self.flows.is_empty(), most) {
            return Err(format!(
                "none of the peer's flows comes to queue {}: take --queue {most}, or have the device \
                 spread flows by ports (`ethtool -N {} rx-flow-hash udp4 sdfn`)",
                self.queue, self.interface.name
            ));
        }
        if self.flows.is_empty() {
            self.flows = (0..FLOWS).collect();
        }
        Ok(())
    }
}

/// What is wrong, or how it works.
pub fn measured(result: Result<(), String>, how: impl Into<String>) -> Measured {
    Measured::of(result.map(|()| how.into()))
}
