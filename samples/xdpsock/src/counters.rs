// SPDX-License-Identifier: GPL-2.0

//! What is counted of each socket.

use serde::Serialize;

/// Frames, and the chunks that they are in.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rings {
    /// Frames received.
    pub rx: u64,
    /// Chunks of those.
    pub rx_frags: u64,
    /// Frames given to the kernel to be sent.
    pub tx: u64,
    /// Chunks of those.
    pub tx_frags: u64,
}

/// System calls.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Calls {
    /// As nothing was there to receive.
    pub rx_empty_polls: u64,
    /// As the fill ring had no room.
    pub fill_fail_polls: u64,
    /// As the kernel copies only then.
    pub copy_tx_sendtos: u64,
    /// As the driver wanted to be woken.
    pub tx_wakeup_sendtos: u64,
    /// To wait.
    pub opt_polls: u64,
}

/// The kernel's.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Kernel {
    /// Received frames without a place to put them.
    pub rx_dropped: u64,
    /// Wrong addresses in the fill ring.
    pub rx_invalid: u64,
    /// Wrong descriptors in the transmit ring.
    pub tx_invalid: u64,
    /// Received frames that found the receive ring full.
    pub rx_full: u64,
    /// Times that the fill ring was empty.
    pub fill_empty: u64,
    /// Times that the transmit ring was empty.
    pub tx_empty: u64,
}

/// All of it, at some time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counters {
    /// Frames.
    #[serde(flatten)]
    pub rings: Rings,
    /// System calls.
    pub calls: Calls,
    /// The kernel's, if it tells.
    pub kernel: Option<Kernel>,
    /// Interrupts, if they are counted.
    pub interrupts: Option<u64>,
}
