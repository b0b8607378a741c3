//! Random flows: nested patterns, controllers, conditions, and steps that fail. They follow from a seed alone.

use std::path::Path;

use fastrand::Rng;
use serde_json::{Value, json};

/// The most levels of nested patterns.
const MAX_LEVELS: usize = 3;

/// The longest time that a step takes, in milliseconds.
const MAX_MILLISECONDS: u64 = 120;

/// A number of failures that no controller survives.
const ALWAYS: u64 = 1_000;

/// Makes random flows.
pub(crate) struct Shapes {
    random: Rng,
    /// The number of names that the present flow has.
    names: usize,
    /// The additional actions of the steps of the present flow.
    effects: Value,
}

impl Shapes {
    pub(crate) fn new(seed: u64) -> Shapes {
        Shapes { random: Rng::with_seed(seed), names: 0, effects: json!({}) }
    }

    /// Returns the input of the next flow, which runs as `described`.
    pub(crate) fn next(&mut self, trace: &Path) -> Value {
        self.names = 0;
        self.effects = json!({});
        let flow = self.pattern(1);
        json!({"description": {"flow": flow}, "trace": trace, "effects": self.effects, "yes": 1,
               "no": []})
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    fn is_one_in(&mut self, count: u32) -> bool {
        self.random.u32(..count) == 0
    }

    fn pattern(&mut self, level: usize) -> Value {
        let kind = self.random.choice(["linear", "unordered", "graph"]).unwrap_or("linear");
        let count = self.random.usize(if level == 1 { 2..6 } else { 1..4 });
        let mut items: Vec<Value> = Vec::new();
        for _ in 0..count {
            let follows = (kind == "graph").then(|| self.random.choice(&items).map(name_of));
            let item = if level < MAX_LEVELS && self.is_one_in(4) {
                json!({"flow": self.pattern(level + 1)})
            } else {
                json!({"step": self.step(follows.flatten())})
            };
            items.push(item);
        }
        let mut pattern = json!({"pattern": kind, "name": self.name("p"), "items": items});
        if self.is_one_in(2) {
            pattern["retry"] = self.controller();
        }
        pattern
    }

    fn step(&mut self, follows: Option<String>) -> Value {
        let name = self.name("s");
        let fails = match self.random.u32(..100) {
            0..80 => 0,
            80..95 => self.random.u64(1..4),
            _ => ALWAYS,
        };
        let milliseconds = self.random.u64(..MAX_MILLISECONDS);
        self.effects[&name] = json!({"fails": fails, "milliseconds": milliseconds});
        let mut step = json!({"name": name, "operation": "traced", "inject": {"name": name}});
        if !self.is_one_in(8) {
            step["revert"] = json!("undo_persistently");
        }
        if let Some(follows) = follows {
            step["after"] = json!([follows]);
        }
        if self.is_one_in(8) {
            step["only_if"] = json!(self.random.choice(["yes", "no"]));
            step["depth"] = json!(self.random.choice(["all", "flow", "neighbors", "atom"]));
        }
        match self.random.u32(..40) {
            0..3 => step["on_failure"] = json!("continue"),
            3 => step["on_failure"] = json!("stop"),
            _ => {}
        }
        step
    }

    fn controller(&mut self) -> Value {
        let revert_all = self.is_one_in(10);
        match self.random.u32(..20) {
            0..10 => {
                let attempts = self.random.u32(1..4);
                json!({"kind": "times", "attempts": attempts, "revert_all": revert_all})
            }
            10..14 => json!({"kind": "for_each", "values": ["x", "y"], "revert_all": revert_all}),
            14..16 => json!({"kind": "always_revert"}),
            16 => json!({"kind": "always_revert_all"}),
            _ => {
                let operation = self.random.choice(["two_zones", "two_zones_or_nothing"]);
                json!({"kind": "operation", "operation": operation})
            }
        }
    }
}

/// Returns the name of an item.
fn name_of(item: &Value) -> String {
    let named = item.get("step").or_else(|| item.get("flow"));
    named.and_then(|named| named["name"].as_str()).unwrap_or_default().to_owned()
}

/// Whether a flow has a step whose failure stops it.
pub(crate) fn may_stop(input: &Value) -> bool {
    input["description"].to_string().contains("\"stop\"")
}

#[test]
fn shapes_follow_from_their_seed_and_have_everything() {
    let trace = Path::new("trace");
    let texts = |seed: u64| {
        let mut shapes = Shapes::new(seed);
        (0..60).map(|_| shapes.next(trace).to_string()).collect::<Vec<_>>()
    };
    assert_eq!(texts(7), texts(7));
    assert_ne!(texts(7), texts(8));
    let all = texts(super::USUAL_SEED).join("\n");
    for word in [
        "linear",
        "unordered",
        "graph",
        "\"times\"",
        "for_each",
        "always_revert",
        "two_zones",
        "only_if",
        "continue",
        "stop",
        "after",
        "revert_all",
    ] {
        assert!(all.contains(word), "no `{word}`");
    }
}
