// SPDX-License-Identifier: GPL-2.0

//! AF_XDP sockets, in both modes.

use super::{about, Outcome};
use crate::bench::{measured, Bench};
use crate::frames::Plan;
use crate::programs::Action;
use crate::request::Request;
use crate::verdict::{Claim, Measured};
use crate::xsk::{Settings, Xsk};
use afxdp::bpf::Link;
use std::thread;
use std::time::Duration;

const ZERO_COPY: &str = "xsk-zerocopy";
/// Times that a socket comes and goes.
const TURNS: u32 = 8;
/// How long a socket may take to leave its queue.
const LEAVING: Duration = Duration::from_secs(1);
/// A while in which nothing comes.
const IDLE: Duration = Duration::from_millis(50);

/// A verdict on zero-copy, if the kernel can have the driver asked for it.
fn of_zero_copy(bench: &Bench, measured: Measured) -> Outcome {
    let settings = bench.settings(true);
    let (claim, measured) = about(bench, ZERO_COPY, measured)?;
    let segments = if settings.sg {
        bench.claims()?.zc_max_segs
    } else {
        1
    };
    let measured = match measured {
        Measured::Fails(_) if !bench.fits(settings.chunk, segments) => Measured::Unknown(format!(
            "frames of an MTU of {} are longer than what the device says it takes: {segments} chunks of {}",
            bench.interface.mtu, settings.chunk
        )),
        measured => measured,
    };
    Ok((claim, measured))
}

/// Opens a socket, and has the program give it the frames of its queue.
fn open(bench: &mut Bench, settings: Settings) -> Result<Xsk, String> {
    let xsk = Xsk::open(&bench.interface, settings)?;
    bench
        .actions
        .enter(settings.queue, xsk.raw())
        .map_err(|error| format!("entering a socket into the map: {error}"))?;
    Ok(xsk)
}

/// A socket that is bound so, and the program that gives it all frames of its queue.
fn receiver(bench: &mut Bench, settings: Settings) -> Result<(Link, Xsk), String> {
    let attached = if settings.sg {
        bench.attach_frags()?
    } else {
        bench.attach()?
    };
    let xsk = open(bench, settings)?;
    bench.tell(Action::Socket)?;
    Ok((attached, xsk))
}

/// Receives frames of a plan by a socket that is bound so.
fn receive_plan(bench: &mut Bench, settings: Settings, plan: &Plan) -> Result<u32, String> {
    let (_attached, mut xsk) = receiver(bench, settings)?;
    bench.send(plan)?;
    let tally = xsk
        .receive(plan.test, plan.count, bench.patience)
        .map_err(|error| error.to_string())?;
    bench.all_seen(plan.count)?;
    tally.judge(plan.count)?;
    xsk.ledger.judge()?;
    Ok(xsk.most_chunks)
}

/// Receives by a socket that is bound so; the most chunks that a frame was in.
pub(super) fn receive(bench: &mut Bench, settings: Settings) -> Result<u32, String> {
    let plan = bench.plan();
    receive_plan(bench, settings, &plan)
}

/// Sends by a socket that is bound so.
fn transmit(bench: &mut Bench, settings: Settings) -> Result<(), String> {
    let plan = bench.plan();
    let frames = bench.frames(&plan, None);
    let xsk = open(bench, settings)?;
    let room = xsk.room();
    send(bench, xsk, &frames, room, &plan)
}

/// Sends frames of a plan. The peer is asked when the socket has gone, as its answers may come by the
/// same queue, and not get past one.
fn send(
    bench: &mut Bench,
    mut xsk: Xsk,
    frames: &[(Vec<u8>, Option<Request>)],
    piece: usize,
    plan: &Plan,
) -> Result<(), String> {
    let sent = xsk.send(frames, piece, bench.patience);
    drop(xsk);
    let arrived = bench.far.wait(plan.test, plan.count)?.judge(plan.count);
    both(arrived, sent)
}

/// What is wrong of two things.
pub(super) fn both(one: Result<(), String>, other: Result<(), String>) -> Result<(), String> {
    match (one, other) {
        (Err(one), Err(other)) => Err(format!("{one}; {other}")),
        (one, other) => one.and(other),
    }
}

pub fn copy_rx(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(false);
    let result = receive(bench, settings).map(|_| ());
    about(
        bench,
        "redirect",
        measured(result, "all were received, unchanged"),
    )
}

pub fn copy_tx(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(false);
    let result = transmit(bench, settings);
    about(
        bench,
        "basic",
        measured(result, "the peer got all, and all were completed"),
    )
}

pub fn copy_accounting(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(false);
    let result = accounting(bench, settings);
    about(
        bench,
        "redirect",
        measured(result, "every chunk came back once"),
    )
}

pub fn zero_copy_rx(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(true);
    let result = receive(bench, settings).map(|_| ());
    of_zero_copy(bench, measured(result, "all were received, unchanged"))
}

pub fn zero_copy_tx(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(true);
    let result = transmit(bench, settings);
    of_zero_copy(
        bench,
        measured(result, "the peer got all, and all were completed"),
    )
}

pub fn need_wakeup(bench: &mut Bench) -> Outcome {
    let settings = Settings {
        need_wakeup: true,
        ..bench.settings(true)
    };
    let result =
        receive_by_calls(bench, settings).and_then(|()| transmit_by_calls(bench, settings));
    of_zero_copy(bench, measured(result, "all were received, and all sent"))
}

/// Receives until all chunks are used, has the kernel have them again when nothing comes, and receives on:
/// a driver that has none must say that it wants to be called, as nobody else does that.
fn receive_by_calls(bench: &mut Bench, settings: Settings) -> Result<(), String> {
    let settings = Settings {
        fill_late: true,
        ..settings
    };
    let (_attached, mut xsk) = receiver(bench, settings)?;
    let mut seen = 0;
    while seen < 3 * xsk.filled_at_first() {
        let plan = bench.plan();
        seen += plan.count;
        let is_dry = seen % xsk.filled_at_first() == 0;
        let (far, interface, patience) = (&mut bench.far, &bench.interface, bench.patience);
        thread::scope(|scope| {
            // Its answer may need a chunk as well.
            let sender = scope.spawn(|| far.send(interface.mac, &plan));
            let tally = xsk
                .receive(plan.test, plan.count, patience)
                .map_err(|error| error.to_string())?;
            if is_dry {
                thread::sleep(IDLE);
                xsk.refill();
            }
            while !sender.is_finished() {
                xsk.receive(0, u32::MAX, IDLE)
                    .map_err(|error| error.to_string())?;
            }
            let sent = sender
                .join()
                .unwrap_or(Err("the sender has panicked".into()));
            sent.and(tally.judge(plan.count))
        })?;
    }
    bench.all_seen(seen)?;
    xsk.ledger.judge()
}

/// Sends by turns, with a while between them in which the driver may come to rest.
fn transmit_by_calls(bench: &mut Bench, settings: Settings) -> Result<(), String> {
    let mut xsk = open(bench, settings)?;
    let room = xsk.room();
    let mut sent = Ok(());
    let plans: Vec<Plan> = (0..3).map(|_| bench.plan()).collect();
    for plan in &plans {
        let frames = bench.frames(plan, None);
        sent = sent.and(xsk.send(&frames, room, bench.patience));
        thread::sleep(IDLE);
    }
    drop(xsk);
    let arrived = plans.iter().try_for_each(|plan| {
        let tally = bench.far.wait(plan.test, plan.count)?;
        tally.judge(plan.count)
    });
    both(arrived, sent)
}

pub fn busy_poll_rx(bench: &mut Bench) -> Outcome {
    let settings = Settings {
        busy_poll: true,
        need_wakeup: true,
        ..bench.settings(true)
    };
    let result = receive(bench, settings).map(|_| ());
    of_zero_copy(bench, measured(result, "all were received, unchanged"))
}

pub fn busy_poll_tx(bench: &mut Bench) -> Outcome {
    let settings = Settings {
        busy_poll: true,
        need_wakeup: true,
        ..bench.settings(true)
    };
    let result = transmit(bench, settings);
    of_zero_copy(
        bench,
        measured(result, "the peer got all, and all were completed"),
    )
}

pub fn zero_copy_accounting(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(true);
    let result = accounting(bench, settings);
    of_zero_copy(bench, measured(result, "every chunk came back once"))
}

/// Receives and sends by turns, more frames than there are chunks.
fn accounting(bench: &mut Bench, settings: Settings) -> Result<(), String> {
    let _attached = bench.attach()?;
    let mut xsk = open(bench, settings)?;
    bench.tell(Action::Socket)?;
    let room = xsk.room();
    let mut seen = 0;
    for _ in 0..3 {
        // In all more than the kernel is lent.
        for _ in 0..3 {
            let plan = Plan {
                count: 128,
                ..bench.plan()
            };
            bench.send(&plan)?;
            xsk.receive(plan.test, plan.count, bench.patience)
                .map_err(|error| error.to_string())?
                .judge(plan.count)?;
            seen += plan.count;
        }
        let plan = Plan {
            count: 256,
            ..bench.plan()
        };
        let frames = bench.frames(&plan, None);
        xsk.send(&frames, room, bench.patience)?;
        bench.far.wait(plan.test, plan.count)?.judge(plan.count)?;
    }
    bench.all_seen(seen)?;
    xsk.ledger.judge()?;
    xsk.nothing_invalid()
}

pub fn stack(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(true);
    let result = beside(bench, settings);
    of_zero_copy(bench, measured(result, "the stack got all, unchanged"))
}

fn beside(bench: &mut Bench, settings: Settings) -> Result<(), String> {
    let _attached = bench.attach()?;
    let _xsk = open(bench, settings)?;
    let plan = bench.plan();
    let tally = bench.judge(Action::Pass, &plan, plan.count)?;
    bench.all_seen(plan.count)?;
    tally.judge(plan.count)
}

pub fn traffic(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(true);
    let result = without_program(bench, settings);
    of_zero_copy(
        bench,
        measured(
            result,
            "the stack got all, unchanged, and the peer's answers",
        ),
    )
}

/// Frames come by the queue of a socket, for which there is no program; the peer's answers, too, unless
/// it is reached by another way.
fn without_program(bench: &mut Bench, settings: Settings) -> Result<(), String> {
    let xsk = Xsk::open(&bench.interface, settings)?;
    let got = if bench.far.is_there() {
        let plan = bench.plan();
        Some(to_the_stack(bench, &plan))
    } else {
        None
    };
    drop(xsk);
    if let Some(result) = got {
        result
    } else if bench.far.is_there() {
        Err("the peer's answers get to the stack only when the socket has gone".into())
    } else {
        Err("the peer's answers do not get to the stack, nor when the socket has gone".into())
    }
}

fn to_the_stack(bench: &mut Bench, plan: &Plan) -> Result<(), String> {
    bench.send(plan)?;
    bench
        .listener
        .wait(plan.test, plan.count, bench.patience)
        .map_err(|error| error.to_string())?
        .judge(plan.count)
}

pub fn rebind(bench: &mut Bench) -> Outcome {
    let settings = bench.settings(true);
    let result = come_and_go(bench, settings);
    let how = format!("{TURNS} times, then all were received, and the stack got all");
    of_zero_copy(bench, measured(result, how))
}

fn come_and_go(bench: &mut Bench, settings: Settings) -> Result<(), String> {
    let attached = bench.attach()?;
    bench.tell(Action::Socket)?;
    let traffic = Plan {
        count: 1000,
        gap: 1000,
        ..bench.plan()
    };
    let (far, interface, actions) = (&mut bench.far, &bench.interface, &bench.actions);
    thread::scope(|scope| {
        let sender = scope.spawn(|| far.send(interface.mac, &traffic));
        let turns = (0..TURNS).try_for_each(|_| {
            let mut xsk = Xsk::open(interface, settings)?;
            actions
                .enter(settings.queue, xsk.raw())
                .map_err(|error| format!("entering a socket into the map: {error}"))?;
            xsk.receive(traffic.test, traffic.count, Duration::from_millis(100))
                .map_err(|error| error.to_string())?;
            xsk.ledger.judge()
        });
        let sent = sender
            .join()
            .unwrap_or(Err("the sender has panicked".into()));
        turns.and(sent)
    })?;
    drop(attached);
    receive(bench, settings)?;
    // A socket that was closed leaves its queue a little later, which costs what is in that.
    thread::sleep(LEAVING);
    let plan = bench.plan();
    bench.send(&plan)?;
    bench
        .listener
        .wait(plan.test, plan.count, bench.patience)
        .map_err(|error| error.to_string())?
        .judge(plan.count)
        .map_err(|why| format!("afterwards, at the stack: {why}"))
}

fn segments_claim(bench: &Bench) -> Result<(Claim, u32), String> {
    let claims = bench.claims()?;
    let most = claims.zc_max_segs;
    Ok((Claim::when(claims.has(ZERO_COPY) && most > 1), most))
}

pub fn segments_tx(bench: &mut Bench) -> Outcome {
    let (claim, most) = segments_claim(bench)?;
    let most = most.max(2);
    let settings = Settings {
        sg: true,
        ..bench.settings(true)
    };
    let result = in_segments(bench, settings, most);
    Ok((
        claim,
        measured(result, format!("the peer got frames of {most} chunks")),
    ))
}

fn in_segments(bench: &mut Bench, settings: Settings, most: u32) -> Result<(), String> {
    let mut plan = bench.plan();
    plan.shortest = plan.longest;
    let frames = bench.frames(&plan, None);
    let piece = plan.longest.div_ceil(most as usize);
    let xsk = open(bench, settings)?;
    send(bench, xsk, &frames, piece, &plan)
}

pub fn segments_rx(bench: &mut Bench) -> Outcome {
    let (claim, most) = segments_claim(bench)?;
    // Small chunks, if frames of the MTU fit into as many as there may be.
    let chunk = if bench.fits(2048, most.max(2)) {
        2048
    } else {
        4096
    };
    let settings = Settings {
        sg: true,
        chunk,
        ..bench.settings(true)
    };
    let longest = bench.longest();
    let plan = Plan {
        shortest: longest - 20,
        longest,
        count: 32,
        ..bench.plan()
    };
    let measured = match receive_plan(bench, settings, &plan) {
        Err(why) => Measured::Fails(why),
        Ok(1) => Measured::Unknown(format!("{longest} bytes have room in a chunk of {chunk}")),
        Ok(most) => Measured::Works(format!("all were received, in {most} chunks at most")),
    };
    Ok((claim, measured))
}
