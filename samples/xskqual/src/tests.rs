// SPDX-License-Identifier: GPL-2.0

//! The tests: what each claim means, measured.

mod actions;
mod hints;
mod multibuffer;
mod redirect;
mod sockets;
mod transmit;
mod whole;

use crate::bench::Bench;
use crate::verdict::{Claim, Measured};
use afxdp::claims::Claims;

/// What a test ends with: a verdict's two halves, or why nothing was measured.
pub type Outcome = Result<(Claim, Measured), String>;

/// A test.
pub struct Test {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// Carries it out.
    pub run: fn(&mut Bench) -> Outcome,
}

/// All of them, in the order in which they run.
pub const ALL: &[Test] = &[
    Test {
        name: "basic.pass",
        what: "what a program passes gets to the stack unchanged",
        run: actions::pass,
    },
    Test {
        name: "basic.drop",
        what: "what it drops does not",
        run: actions::drop,
    },
    Test {
        name: "basic.aborted",
        what: "nor what it aborts",
        run: actions::aborted,
    },
    Test {
        name: "basic.tx",
        what: "what it sends back gets to the peer unchanged",
        run: actions::tx,
    },
    Test {
        name: "redirect.cpumap",
        what: "the stack gets what goes to another processor",
        run: redirect::processor,
    },
    Test {
        name: "redirect.xskmap",
        what: "a socket gets what goes to it",
        run: redirect::socket,
    },
    Test {
        name: "redirect.device",
        what: "frames received leave by the same device (ndo_xdp_xmit)",
        run: redirect::device,
    },
    Test {
        name: "ndo_xmit.without_program",
        what: "frames of elsewhere leave by a device without a program",
        run: redirect::xmit_without,
    },
    Test {
        name: "ndo_xmit.with_program",
        what: "and by a device with one",
        run: redirect::xmit_with,
    },
    Test {
        name: "multibuffer.pass",
        what: "a program sees frames over several buffers whole, and they get to the stack",
        run: multibuffer::pass,
    },
    Test {
        name: "multibuffer.tx",
        what: "such frames get back to the peer",
        run: multibuffer::tx,
    },
    Test {
        name: "multibuffer.ndo_xmit",
        what: "and leave by ndo_xdp_xmit",
        run: multibuffer::xmit,
    },
    Test {
        name: "copy.rx",
        what: "AF_XDP in copy mode receives (claimed by redirect)",
        run: sockets::copy_rx,
    },
    Test {
        name: "copy.tx",
        what: "and sends",
        run: sockets::copy_tx,
    },
    Test {
        name: "copy.accounting",
        what: "each chunk of memory has one owner",
        run: sockets::copy_accounting,
    },
    Test {
        name: "zerocopy.rx",
        what: "AF_XDP in zero-copy mode receives",
        run: sockets::zero_copy_rx,
    },
    Test {
        name: "zerocopy.tx",
        what: "and sends",
        run: sockets::zero_copy_tx,
    },
    Test {
        name: "zerocopy.need_wakeup",
        what: "woken only when it says so, it moves all frames",
        run: sockets::need_wakeup,
    },
    Test {
        name: "zerocopy.busy_poll_rx",
        what: "it receives for a process that polls",
        run: sockets::busy_poll_rx,
    },
    Test {
        name: "zerocopy.busy_poll_tx",
        what: "and sends for it",
        run: sockets::busy_poll_tx,
    },
    Test {
        name: "zerocopy.accounting",
        what: "each chunk of memory has one owner",
        run: sockets::zero_copy_accounting,
    },
    Test {
        name: "zerocopy.stack",
        what: "the stack gets what a program passes beside a socket",
        run: sockets::stack,
    },
    Test {
        name: "zerocopy.traffic",
        what: "the stack's own traffic goes on beside a socket, where there is no program",
        run: sockets::traffic,
    },
    Test {
        name: "zerocopy.rebind",
        what: "sockets come and go under traffic",
        run: sockets::rebind,
    },
    Test {
        name: "zerocopy.segs_tx",
        what: "frames of xdp-zc-max-segs chunks are sent",
        run: sockets::segments_tx,
    },
    Test {
        name: "zerocopy.segs_rx",
        what: "frames over several chunks are received",
        run: sockets::segments_rx,
    },
    Test {
        name: "metadata.timestamp",
        what: "programs are told when frames came",
        run: hints::timestamp,
    },
    Test {
        name: "metadata.hash",
        what: "programs are told the hash, also after they have moved the frame",
        run: hints::hash,
    },
    Test {
        name: "metadata.vlan_tag",
        what: "programs are told the VLAN tag",
        run: hints::vlan,
    },
    Test {
        name: "transmit.checksum",
        what: "the device completes checksums of sockets' frames",
        run: transmit::checksum,
    },
    Test {
        name: "transmit.timestamp",
        what: "sockets are told when frames were sent",
        run: transmit::timestamp,
    },
    Test {
        name: "transmit.launch_time",
        what: "frames are sent when sockets want them to be",
        run: transmit::launch_time,
    },
    Test {
        name: "offload",
        what: "a program runs on the device itself",
        run: whole::offload,
    },
    Test {
        name: "restored",
        what: "afterwards the interface and its claims are as they were",
        run: whole::restored,
    },
];

/// A verdict's halves, of a claim by name as it is now.
fn about(bench: &Bench, name: &str, measured: Measured) -> Outcome {
    let claims: Claims = bench.claims()?;
    Ok((Claim::when(claims.has(name)), measured))
}
