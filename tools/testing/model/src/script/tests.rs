// SPDX-License-Identifier: GPL-2.0

use super::serve::answer;
use super::*;
use crate::model::Port;
use crate::net::{Device, Settings};
use crate::traffic::Scene;
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};

struct Bare(Device);

impl Port for Bare {
    fn device(&self) -> &Device {
        &self.0
    }

    fn device_mut(&mut self) -> &mut Device {
        &mut self.0
    }

    fn raise(&mut self) {}
}

fn stage(ports: usize) -> Stage {
    let port = |_| -> SharedPort { Arc::new(Mutex::new(Bare(Device::new(Settings::default())))) };
    Stage {
        ports: (0..ports).map(port).collect(),
        scene: Arc::new(Mutex::new(Scene::new())),
        bell: Bell::default(),
    }
}

fn ask(stage: &Stage, request: Value) -> Value {
    answer(&request.to_string(), stage)
}

#[test]
fn lies_are_set_and_counted() {
    let stage = stage(2);
    let set = json!({"cmd": "lie", "port": 1, "lie": "num_buffers_zero", "next": 2});
    assert_eq!(ask(&stage, set), json!({"value": null}));
    for _ in 0..3 {
        let mut port = crate::model::lock(&stage.ports[1]);
        port.device_mut()
            .hostile
            .tells(crate::hostile::Lie::NumBuffersZero);
    }
    let told = ask(&stage, json!({"cmd": "told", "port": 1}));
    assert_eq!(told, json!({"value": {"num_buffers_zero": 2}}));
    assert_eq!(ask(&stage, json!({"cmd": "told"})), json!({"value": {}}));
    let names = ask(&stage, json!({"cmd": "lies"}));
    assert!(names["value"]
        .as_array()
        .unwrap()
        .contains(&json!("ctrl_reply_never")));
}

#[test]
fn what_is_wrong_is_said() {
    let stage = stage(1);
    for (request, word) in [
        (json!({"cmd": "nonsense"}), "nonsense"),
        (json!({"cmd": "lie", "lie": "x", "next": 1}), "x"),
        (json!({"cmd": "lie", "lie": "used_len_huge"}), "probability"),
        (
            json!({"cmd": "lie", "lie": "used_len_huge", "probability": 2}),
            "probability",
        ),
        (json!({"cmd": "port", "port": 1}), "port 1"),
        (json!({"cmd": "forward", "to": "heaven"}), "heaven"),
        (
            json!({"cmd": "generate", "port": 7, "source": {"bytes": "00"}}),
            "port 7",
        ),
    ] {
        let error = ask(&stage, request)["error"].as_str().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(answer("{", &stage)["error"].is_string());
}

#[test]
fn the_link_and_the_configuration_change() {
    let stage = stage(1);
    assert_eq!(
        ask(&stage, json!({"cmd": "port"}))["value"]["link"],
        json!(true)
    );
    ask(&stage, json!({"cmd": "link", "up": false}));
    assert_eq!(
        ask(&stage, json!({"cmd": "port"}))["value"]["link"],
        json!(false)
    );
    let changed = ask(&stage, json!({"cmd": "config", "speed": 25000, "times": 2}));
    assert_eq!(changed, json!({"value": null}));
    let removal = ask(&stage, json!({"cmd": "unplug"}));
    assert!(removal["error"].is_string());
}

#[test]
fn traffic_is_reported() {
    let stage = stage(2);
    ask(&stage, json!({"cmd": "forward", "to": "sink"}));
    let source = json!({"bytes": "ffffffffffff525400000001 0800"});
    let started = ask(
        &stage,
        json!({"cmd": "generate", "source": source, "count": 1}),
    );
    assert_eq!(started, json!({"value": 0}));
    let report = ask(&stage, json!({"cmd": "traffic"}));
    assert_eq!(report["value"]["forwarding"], json!("sink"));
    assert_eq!(report["value"]["ports"].as_array().unwrap().len(), 2);
    let one = ask(&stage, json!({"cmd": "traffic", "port": 1}));
    assert_eq!(one["value"]["seen"]["frames"], json!(0));
    let left = ask(&stage, json!({"cmd": "generators"}));
    assert_eq!(left["value"][0]["sent"], json!(0));
}
