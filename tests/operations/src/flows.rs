//! Flows whose steps append lines to a trace (`flow_steps.rs`).

use std::path::PathBuf;

use rework::{Depth, Flow, ForEach, ForEachOf, OnFailure, Step, Task, Times, flow};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::flow_steps::{
    Effects, append, joined, panics_after_failure, traced, two_zones, two_zones_or_nothing,
};
use crate::waits::wait_for;

/// The input of flows without arguments. The steps find both keys in the input of the flow.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the steps read the input, not the flow")]
struct Plain {
    trace: PathBuf,
    #[serde(default)]
    effects: Effects,
}

/// Makes a step whose name in the trace is its own.
fn step(name: &str) -> Step {
    traced::step(name).inject("name", name)
}

/// Runs three steps. The output is that of the first one, which the last one gets.
#[flow]
fn ok3(_input: Plain) -> Flow {
    Flow::linear("ok3")
        .add(step("a").provides("first"))
        .add(step("b"))
        .add(step("c").rebind("output", "first").provides("last"))
        .returns("last")
}

#[derive(Debug, Deserialize, JsonSchema)]
struct FailB {
    #[expect(dead_code, reason = "the steps read it")]
    trace: PathBuf,
    #[serde(default)]
    #[expect(dead_code, reason = "the steps read it")]
    effects: Effects,
    /// How many executions of `b` fail.
    k: usize,
    /// The number of rounds. 0 for no controller.
    n: u32,
    /// Whether there is no step `c`.
    #[serde(default)]
    is_short: bool,
}

/// Runs three steps, of which `b` fails `k` times.
#[flow]
fn failb(input: FailB) -> Flow {
    let mut flow = Flow::linear("f");
    if input.n > 0 {
        flow = flow.retry(Times(input.n));
    }
    flow = flow.add(step("a")).add(step("b").inject("fails", input.k));
    if input.is_short { flow } else { flow.add(step("c")) }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Graph {
    #[expect(dead_code, reason = "the steps read it")]
    trace: PathBuf,
    /// Whether there is no step `py`.
    #[serde(default)]
    without_py: bool,
}

/// Runs `px` and `py`, and then `need`, which is added first.
#[flow]
fn graph(input: Graph) -> Flow {
    let flow = Flow::graph("graph")
        .add(joined::step("need").inject("name", "need").provides("both"))
        .add(step("px").provides("x"));
    let flow = if input.without_py { flow } else { flow.add(step("py").provides("y")) };
    flow.returns("both")
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the steps read the input, not the flow")]
struct GraphWithY {
    trace: PathBuf,
    y: String,
}

/// Runs `px`, and then `need`. No step provides `y`, which is in the input.
#[flow]
fn graph_with_y(_input: GraphWithY) -> Flow {
    Flow::graph("graph")
        .add(joined::step("need").inject("name", "need").provides("both"))
        .add(step("px").provides("x"))
        .returns("both")
}

/// Runs `a`, and an inner flow whose step `s2` fails always. Both flows have two rounds.
#[flow]
fn nested(_input: Plain) -> Flow {
    let inner = Flow::linear("inner").retry(Times(2));
    Flow::linear("outer")
        .retry(Times(2))
        .add(step("a"))
        .add(inner.add(step("s1")).add(step("s2").inject("fails", 99)))
}

#[derive(Debug, Deserialize, JsonSchema)]
struct ManyInput {
    #[expect(dead_code, reason = "the steps read it")]
    trace: PathBuf,
    #[serde(default)]
    #[expect(dead_code, reason = "the steps read it")]
    effects: Effects,
    values: Vec<Value>,
}

/// Tries one value after the other. The output is the value that worked.
#[flow]
fn for_each(input: ManyInput) -> Flow {
    Flow::linear("for_each")
        .retry(ForEach(input.values).provides("value"))
        .add(step("try").rebind("output", "value").provides("result"))
        .returns("result")
}

/// Does the same as `for_each`. The plan does not have the values.
#[flow]
fn for_each_of(_input: ManyInput) -> Flow {
    Flow::linear("for_each_of")
        .retry(ForEachOf("values").provides("value"))
        .add(step("try").rebind("output", "value").provides("result"))
        .returns("result")
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Zones {
    #[expect(dead_code, reason = "the steps read it")]
    trace: PathBuf,
    #[serde(default)]
    #[expect(dead_code, reason = "the steps read it")]
    effects: Effects,
    /// The controller of the inner flow.
    controller: String,
}

/// Runs `a` in two rounds, and an inner flow with a controller of its own.
#[flow]
fn zones(input: Zones) -> Flow {
    let controller = match input.controller.as_str() {
        "two_zones" => two_zones::controller(),
        "two_zones_or_nothing" => two_zones_or_nothing::controller(),
        _ => panics_after_failure::controller(),
    };
    let inner = Flow::linear("inner").retry(controller.provides("zone"));
    Flow::linear("outer")
        .retry(Times(2))
        .add(step("a"))
        .add(inner.add(step("b").rebind("output", "zone").provides("zone_of_b")))
        .returns("zone_of_b")
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Conditional {
    #[expect(dead_code, reason = "the steps read it")]
    trace: PathBuf,
    /// The output of `a`, whose key `on` is the condition.
    switch: Value,
    #[schemars(with = "String")]
    depth: Depth,
}

/// Runs `a`, an inner flow of `b`, `c` and `d`, and `e`. `b` has a condition.
#[flow]
fn conditional(input: Conditional) -> Flow {
    let inner = Flow::linear("inner")
        .add(step("b").only_if("power.on").depth(input.depth))
        .add(step("c"))
        .add(step("d"));
    Flow::linear("conditional")
        .add(step("a").inject("output", &input.switch).provides("power"))
        .add(inner)
        .add(step("e"))
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Lenient {
    #[expect(dead_code, reason = "the steps read it")]
    trace: PathBuf,
    #[serde(default)]
    #[expect(dead_code, reason = "the steps read it")]
    effects: Effects,
    /// The consequence of a failure of `b`.
    #[schemars(with = "String")]
    on_failure: OnFailure,
}

/// Runs `a`, `b` and `c`. If `b` fails, nothing is undone.
#[flow]
fn lenient(input: Lenient) -> Flow {
    Flow::linear("lenient")
        .add(step("a"))
        .add(step("b").on_failure(input.on_failure))
        .add(step("c"))
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Messages {
    trace: PathBuf,
    #[expect(dead_code, reason = "the steps read it")]
    message: String,
    times: usize,
    /// The plan is not made before this file exists.
    #[serde(default)]
    gate: Option<PathBuf>,
}

/// Runs steps whose output is the message. Its own code appends a line to the trace, too.
#[flow]
fn messages(task: &Task, input: Messages) -> rework::Result<Flow> {
    append(&input.trace, "plan", "messages", task)?;
    if let Some(gate) = input.gate {
        wait_for(&gate);
    }
    let steps = (1..=input.times).map(|number| step(&format!("m{number}")));
    let steps = steps.map(|step| step.rebind("output", "message").provides("last"));
    Ok(steps.fold(Flow::linear("messages"), Flow::add).returns("last"))
}

/// Returns another plan at each call: `a` and `b`, then `b` and `d`.
#[flow]
fn changing(task: &Task, input: Plain) -> rework::Result<Flow> {
    let [first, second] = match append(&input.trace, "plan", "changing", task)? {
        1 => ["a", "b"],
        _ => ["b", "d"],
    };
    Ok(Flow::linear("changing").add(step(first)).add(step(second)))
}
