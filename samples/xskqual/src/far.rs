// SPDX-License-Identifier: GPL-2.0

//! The far end, asked by this one.

use crate::frames::{Mac, Plan};
use crate::protocol::{Answer, Found, Hello, Question, What, LONGEST, VERSION};
use crate::tally::Tally;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A way to the far end.
pub struct Far {
    socket: UdpSocket,
    patience: Duration,
    next: u64,
    /// Who it is.
    pub hello: Hello,
}

impl Far {
    /// Asks who is there.
    pub fn find(address: SocketAddr, patience: Duration) -> Result<Self, String> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any)
            .and_then(|socket| socket.connect(address).map(|()| socket))
            .map_err(|error| format!("{address}: {error}"))?;
        // Numbers that no run before has had.
        let next = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |time| time.as_nanos() as u64);
        let mut far = Self {
            socket,
            patience,
            next,
            hello: Hello {
                version: 0,
                interface: String::new(),
                mac: [0; 6],
                mtu: 0,
            },
        };
        match far.ask(What::Hello)? {
            Found::Hello(hello) if hello.version == VERSION => far.hello = hello,
            Found::Hello(hello) => {
                return Err(format!(
                    "the peer speaks version {}, not {VERSION}",
                    hello.version
                ))
            }
            other => return Err(format!("the peer says {other:?}")),
        }
        Ok(far)
    }

    fn ask(&mut self, what: What) -> Result<Found, String> {
        // What it does takes its time.
        let work = match &what {
            What::Send { plan, .. } => {
                Duration::from_micros(u64::from(plan.count) * (plan.gap + 1000))
            }
            _ => Duration::ZERO,
        };
        let question = Question {
            id: self.next,
            what,
        };
        self.next += 1;
        let bytes = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        let end = Instant::now() + work + self.patience;
        let mut buffer = [0; LONGEST];
        let mut last = "it says nothing".to_string();
        let mut pause = Duration::from_millis(100);
        while Instant::now() < end {
            if let Err(error) = self.socket.send(&bytes) {
                last = error.to_string();
                thread::sleep(pause);
            }
            let again = Instant::now() + pause;
            pause = (pause * 2).min(Duration::from_secs(1));
            while let Some(left) = again.checked_duration_since(Instant::now()) {
                let left = left.max(Duration::from_millis(1));
                self.socket
                    .set_read_timeout(Some(left))
                    .map_err(|error| error.to_string())?;
                let len = match self.socket.recv(&mut buffer) {
                    Ok(len) => len,
                    Err(error) => {
                        if error.kind() != std::io::ErrorKind::WouldBlock {
                            // Nobody listens there.
                            last = error.to_string();
                            thread::sleep(left);
                        }
                        break;
                    }
                };
                match serde_json::from_slice::<Answer>(&buffer[..len]) {
                    Ok(answer) if answer.id == question.id => return answer.result,
                    _ => {}
                }
            }
        }
        Err(format!("no answer of the peer: {last}"))
    }

    /// Whether it still answers.
    pub fn is_there(&mut self) -> bool {
        self.ask(What::Hello).is_ok()
    }

    /// Has it send frames.
    pub fn send(&mut self, to: Mac, plan: &Plan) -> Result<(), String> {
        let plan = plan.clone();
        let count = plan.count;
        match self.ask(What::Send { to, plan })? {
            Found::Sent(sent) if sent == count => Ok(()),
            Found::Sent(sent) => Err(format!("the peer has sent {sent} of {count} frames")),
            other => Err(format!("the peer says {other:?}")),
        }
    }

    /// What has arrived there of a test.
    pub fn tally(&mut self, test: u32) -> Result<Tally, String> {
        match self.ask(What::Report { test })? {
            Found::Tally(tally) => Ok(tally),
            other => Err(format!("the peer says {other:?}")),
        }
    }

    /// Waits there until all frames of a test have come, and a little longer.
    pub fn wait(&mut self, test: u32, count: u32) -> Result<Tally, String> {
        let end = Instant::now() + self.patience;
        while self.tally(test)?.intact < count && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
        thread::sleep(Duration::from_millis(20));
        self.tally(test)
    }
}
