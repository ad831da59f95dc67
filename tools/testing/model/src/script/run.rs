// SPDX-License-Identifier: GPL-2.0

//! Carries requests out.

use super::{Request, Stage};
use crate::hostile::{Lie, When};
use crate::model::lock;
use crate::net::Device;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use virtio_net_wire::Features;

/// Does what is asked; the answer's value.
///
/// # Errors
///
/// What is wrong with the request, in words.
pub fn run(request: Request, stage: &Stage) -> Result<Value, String> {
    let value = match request {
        Request::Forward { to } => {
            lock(&stage.scene).forward(to);
            Value::Null
        }
        Request::Generate(order) => {
            check_port(stage, order.port)?;
            json!(lock(&stage.scene).generate(order)?)
        }
        Request::Capture(order) => {
            lock(&stage.scene).capture(order)?;
            Value::Null
        }
        Request::Stop => {
            lock(&stage.scene).stop();
            Value::Null
        }
        Request::Clear => {
            lock(&stage.scene).clear();
            Value::Null
        }
        Request::Traffic { port } => {
            let report = lock(&stage.scene).report(stage.ports.len());
            match port {
                None => json!(report),
                Some(port) => json!(report.ports.get(port).ok_or(no_port(port))?),
            }
        }
        Request::Generators => json!(lock(&stage.scene).report(0).generators),
        Request::Port { port } => on(stage, port, |device| Ok(describe(device)))?,
        Request::Link { port, up } => on(stage, port, |device| {
            device.set_link(up);
            Ok(Value::Null)
        })?,
        Request::Announce { port } => on(stage, port, |device| {
            device.announce();
            Ok(Value::Null)
        })?,
        Request::Config {
            port,
            speed,
            duplex,
            mtu,
            pairs,
            times,
        } => {
            for _ in 0..times {
                on(stage, port, |device| {
                    device.change_config(|config| {
                        config.speed = speed.map_or(config.speed, Into::into);
                        config.duplex = duplex.unwrap_or(config.duplex);
                        config.mtu = mtu.map_or(config.mtu, Into::into);
                        let pairs = pairs.map(Into::into);
                        config.max_virtqueue_pairs = pairs.unwrap_or(config.max_virtqueue_pairs);
                    });
                    Ok(Value::Null)
                })?;
                stage.bell.ring();
                if times > 1 {
                    // Each change is to be an interrupt of its own.
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            }
            Value::Null
        }
        Request::Lie {
            port,
            lie,
            next,
            probability,
            queue,
        } => on(stage, port, |device| {
            let when = match (next, probability) {
                (Some(next), None) => When::Next(next),
                (None, Some(p)) if (0.0..=1.0).contains(&p) => When::Probability(p),
                _ => return Err("either next or a probability from 0 to 1 is meant".into()),
            };
            device
                .hostile
                .set_by_name(&lie, when, queue)
                .map_err(|error| error.to_string())?;
            Ok(Value::Null)
        })?,
        Request::Seed { port, seed } => on(stage, port, |device| {
            device.hostile.seed(seed);
            Ok(Value::Null)
        })?,
        Request::Honest { port } => on(stage, port, |device| {
            device.hostile.honest();
            device.memory.holes_are_zeros = false;
            Ok(Value::Null)
        })?,
        Request::Holes { port, zeros } => on(stage, port, |device| {
            device.memory.holes_are_zeros = zeros;
            Ok(Value::Null)
        })?,
        Request::Told { port } => on(stage, port, |device| Ok(json!(told(device))))?,
        Request::Lies => json!(Lie::ALL.iter().map(|lie| lie.name()).collect::<Vec<_>>()),
        Request::Unplug { port } => {
            let shared = stage.ports.get(port).ok_or(no_port(port))?;
            if !lock(shared).request_removal() {
                return Err("this transport cannot ask for the device's removal".into());
            }
            Value::Null
        }
    };
    stage.bell.ring();
    Ok(value)
}

fn no_port(port: usize) -> String {
    format!("there is no port {port}")
}

fn check_port(stage: &Stage, port: usize) -> Result<(), String> {
    stage.ports.get(port).map(|_| ()).ok_or(no_port(port))
}

fn on(
    stage: &Stage,
    port: usize,
    action: impl FnOnce(&mut Device) -> Result<Value, String>,
) -> Result<Value, String> {
    let shared = stage.ports.get(port).ok_or(no_port(port))?;
    action(lock(shared).device_mut())
}

fn told(device: &Device) -> BTreeMap<&'static str, u64> {
    device.hostile.told().collect()
}

fn names(features: Features) -> Vec<String> {
    features.iter_names().map(|(name, _)| name.into()).collect()
}

fn describe(device: &Device) -> Value {
    json!({
        "offered": names(device.offered()),
        "negotiated": names(device.negotiated()),
        "running": device.is_running(),
        "needs_reset": device.needs_reset(),
        "link": device.link_is_up(),
        "control": device.control(),
        "stats": device.stats,
        "holes": device.memory.holes,
        "told": told(device),
        "queues": (0..device.queue_count()).filter_map(|index| {
            let queue = device.queue(index)?;
            Some(json!({
                "index": index,
                "running": queue.is_running(),
                "size": queue.layout().size,
                "coalescing": queue.coalescing,
                "interrupts": queue.interrupts,
                "error": queue.error().map(|error| error.to_string()),
            }))
        }).collect::<Vec<_>>(),
    })
}
