// SPDX-License-Identifier: GPL-2.0

//! What a test can ask of the model: one JSON object a line over a Unix socket, one
//! answer a line, `{"value": …}` or `{"error": "…"}`.
//!
//! ```json
//! {"cmd": "forward", "to": "sink"}
//! {"cmd": "generate", "port": 0, "count": 1000, "source": {"template": {…}}}
//! {"cmd": "lie", "port": 0, "lie": "used_len_huge", "next": 3}
//! {"cmd": "told", "port": 0}
//! ```

mod run;
mod serve;

pub use run::run;
pub use serve::serve;

use crate::model::{Bell, SharedPort};
use crate::traffic::{capture, generator, Forwarding, SharedScene};
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case")]
pub enum Request {
    /// Changes what becomes of frames that drivers send.
    Forward {
        /// What they are for.
        to: Forwarding,
    },
    /// Starts a generator; the answer is its number.
    Generate(generator::Order),
    /// Starts a capture.
    Capture(capture::Order),
    /// Ends all generators and captures.
    Stop,
    /// Sets the traffic's counters to zero.
    Clear,
    /// The traffic's counters, of all ports or of one.
    Traffic {
        /// The one.
        #[serde(default)]
        port: Option<usize>,
    },
    /// How far the generators are.
    Generators,
    /// What a port is like now: features, link, what the driver asked for on the
    /// control queue, the device's counters, lies told.
    Port {
        /// Its number.
        #[serde(default)]
        port: usize,
    },
    /// Plugs the cable in or out.
    Link {
        /// Whose.
        #[serde(default)]
        port: usize,
        /// In.
        up: bool,
    },
    /// Asks the driver to announce itself.
    Announce {
        /// Which one.
        #[serde(default)]
        port: usize,
    },
    /// Changes the configuration space, with an interrupt.
    Config {
        /// Whose.
        #[serde(default)]
        port: usize,
        /// Link speed in Mbit/s.
        #[serde(default)]
        speed: Option<u32>,
        /// 0 half, 1 full, 255 unknown.
        #[serde(default)]
        duplex: Option<u8>,
        /// MTU in bytes, which a device should not change.
        #[serde(default)]
        mtu: Option<u16>,
        /// Queue pairs, which a device should not change.
        #[serde(default)]
        pairs: Option<u16>,
        /// How often the change is announced.
        #[serde(default = "once")]
        times: u32,
    },
    /// Has a port lie from now on: `next` so many times, or with a `probability` at
    /// each occasion. Zero ends it.
    Lie {
        /// Which port.
        #[serde(default)]
        port: usize,
        /// The lie's name, or `all`.
        lie: String,
        /// So many times.
        #[serde(default)]
        next: Option<u64>,
        /// From 0 to 1.
        #[serde(default)]
        probability: Option<f64>,
        /// The only queue, of lies about queues.
        #[serde(default)]
        queue: Option<u16>,
    },
    /// Starts a port's random numbers anew.
    Seed {
        /// Which port.
        #[serde(default)]
        port: usize,
        /// Any number.
        seed: u64,
    },
    /// What a device makes of frames that are said to be where there is no memory: zeros, or,
    /// as from the beginning, a reason to need a reset.
    Holes {
        /// Which port.
        #[serde(default)]
        port: usize,
        /// Zeros.
        zeros: bool,
    },
    /// Ends all lies of a port, and what it makes of holes. Their counters stay.
    Honest {
        /// Which port.
        #[serde(default)]
        port: usize,
    },
    /// How often each lie was told.
    Told {
        /// By which port.
        #[serde(default)]
        port: usize,
    },
    /// The names of all lies.
    Lies,
    /// Asks for the removal of the device from the machine.
    Unplug {
        /// Which port.
        #[serde(default)]
        port: usize,
    },
}

fn once() -> u32 {
    1
}

/// What requests are carried out on.
#[derive(Clone)]
pub struct Stage {
    /// The ports.
    pub ports: Vec<SharedPort>,
    /// What happens to frames.
    pub scene: SharedScene,
    /// Wakes the loop that moves them.
    pub bell: Bell,
}

#[cfg(test)]
mod tests;
