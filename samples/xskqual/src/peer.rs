// SPDX-License-Identifier: GPL-2.0

//! The far end: sends frames when asked to, and counts what arrives.

use crate::frames::{Mac, Plan, Way};
use crate::interface::Interface;
use crate::listener::Listener;
use crate::packet;
use crate::programs::{self, Actions};
use crate::protocol::{self, Answer, Found, Hello, Question, What, LONGEST, VERSION};
use afxdp::bpf::Link;
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Answers that are kept for questions that are repeated.
const KEPT: usize = 64;

struct Peer {
    interface: Interface,
    listener: Listener,
    answers: VecDeque<Answer>,
}

/// Answers until nobody has asked for so long.
pub fn serve(
    interface: Interface,
    address: SocketAddr,
    idle: Duration,
    with_program: bool,
) -> Result<(), String> {
    let actions = if with_program {
        Some(pass_all(&interface)?)
    } else {
        None
    };
    let listener = Listener::new(interface.ifindex, interface.mac)
        .map_err(|error| format!("{}: {error}", interface.name))?;
    let socket = UdpSocket::bind(address).map_err(|error| format!("{address}: {error}"))?;
    socket
        .set_nonblocking(true)
        .map_err(|error| error.to_string())?;
    let mut peer = Peer {
        interface,
        listener,
        answers: VecDeque::new(),
    };
    println!("# {} answers at {address}", peer.interface.name);
    let mut buffer = [0; LONGEST];
    let mut last = Instant::now();
    while last.elapsed() < idle {
        let files = [socket.as_raw_fd(), peer.listener.packet.raw()];
        packet::wait(&files, libc::POLLIN, 1000).map_err(|error| error.to_string())?;
        peer.listener.drain().map_err(|error| error.to_string())?;
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let Ok(question) = serde_json::from_slice::<Question>(&buffer[..len]) else {
                continue;
            };
            last = Instant::now();
            let answer = peer.answer(question);
            if let Ok(bytes) = serde_json::to_vec(&answer) {
                // If it is lost, the question comes again.
                let _ = socket.send_to(&bytes, from);
            }
        }
    }
    println!("# nobody has asked for {} s", idle.as_secs());
    drop(actions);
    Ok(())
}

/// A program on the interface that passes all.
fn pass_all(interface: &Interface) -> Result<(Actions, Link), String> {
    let actions =
        Actions::load().map_err(|error| format!("the programs cannot be loaded: {error}"))?;
    let frags = interface.mtu > 1500;
    let attached = actions
        .attach(interface.ifindex, frags)
        .map_err(|error| format!("{}: attaching a program: {error}", interface.name))?;
    Ok((actions, attached))
}

impl Peer {
    fn answer(&mut self, question: Question) -> Answer {
        if let Some(known) = self.answers.iter().find(|known| known.id == question.id) {
            return known.clone();
        }
        let answer = Answer {
            id: question.id,
            result: self.work(question.what),
        };
        if self.answers.len() >= KEPT {
            self.answers.pop_front();
        }
        self.answers.push_back(answer.clone());
        answer
    }

    fn work(&mut self, what: What) -> Result<Found, String> {
        match what {
            What::Hello => Ok(Found::Hello(Hello {
                version: VERSION,
                interface: self.interface.name.clone(),
                mac: self.interface.mac,
                mtu: self.interface.mtu,
            })),
            What::Send { to, plan } => {
                protocol::check(&plan, self.interface.mtu)?;
                self.send(to, &plan).map(Found::Sent)
            }
            What::Report { test } => self
                .listener
                .tally(test)
                .map(Found::Tally)
                .map_err(|error| error.to_string()),
        }
    }

    fn send(&mut self, to: Mac, plan: &Plan) -> Result<u32, String> {
        // Tags beside the frames, if this kernel can; a device that hands them on is to get them so.
        let mut plan = plan.clone();
        let tag = plan.tagged.then(|| programs::tag(self.interface.ifindex));
        if let Some(Ok(_)) = tag {
            plan.tagged = false;
        }
        for number in 0..plan.count {
            let frame = plan.frame(number, to, self.interface.mac, Way::In);
            self.listener
                .packet
                .send(&frame)
                .map_err(|error| format!("the peer cannot send: {error}"))?;
            if plan.gap > 0 {
                std::thread::sleep(Duration::from_micros(plan.gap));
            }
        }
        Ok(plan.count)
    }
}
