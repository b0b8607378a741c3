//! Flows that return what the SDK does not let a flow return: any JSON, and things that are none.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rework::__private::FlowReturn;
use rework::{Error, Output, flow};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::flow_steps::Effects;

/// The largest number of steps of a flow.
const MAX_STEPS: usize = 20_000;

/// The largest size of a description.
const MAX_BYTES: usize = 64 << 20;

/// The value that the function of a flow returns, without any check.
struct Unchecked(Result<Option<Output>, Error>);

impl FlowReturn for Unchecked {
    fn outcome(self) -> Result<Option<Output>, Error> {
        self.0
    }
}

fn json_text(bytes: Vec<u8>) -> Unchecked {
    Unchecked(Ok(Some(Output { bytes, raw: false })))
}

/// The input of `described`. All keys but the first one are for the steps.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the steps read the input, not the flow")]
struct Described {
    description: Value,
    trace: PathBuf,
    #[serde(default)]
    effects: Effects,
    #[serde(default)]
    yes: Value,
    #[serde(default)]
    no: Value,
}

/// Returns the description in its input.
#[flow(retry(attempts = 40, backoff = "fixed", first = "10ms", jitter = 0))]
fn described(input: &Described) -> Unchecked {
    json_text(input.description.to_string().into_bytes())
}

/// The action of the code of `faulty`, instead of returning a description.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Fault {
    Panics,
    Exits,
    Fails,
    ReturnsNothing,
    ReturnsBytes,
    ReturnsNoJson,
    ReturnsTooManySteps,
    ReturnsTooMuch,
}

/// Does not return a plan.
#[flow]
#[expect(clippy::exit, reason = "the exit is what this operation is for")]
#[expect(clippy::panic, reason = "the panic is what this operation is for")]
fn faulty(fault: Fault) -> Unchecked {
    match fault {
        Fault::Panics => panic!("no plan"),
        Fault::Exits => std::process::exit(3),
        Fault::Fails => Unchecked(Err(Error::new("quota", "there is no quota"))),
        Fault::ReturnsNothing => Unchecked(Ok(None)),
        Fault::ReturnsBytes => Unchecked(Ok(Some(Output { bytes: vec![0, 1, 2], raw: true }))),
        Fault::ReturnsNoJson => json_text(b"{\"flow\": ".to_vec()),
        Fault::ReturnsTooManySteps => {
            let step =
                |number| json!({"step": {"name": format!("s{number}"), "operation": "traced"}});
            let items: Vec<Value> = (0..=MAX_STEPS).map(step).collect();
            json_text(description(&items).into_bytes())
        }
        Fault::ReturnsTooMuch => {
            let mut text = description(&[]);
            text.push_str(&" ".repeat(MAX_BYTES));
            json_text(text.into_bytes())
        }
    }
}

fn description(items: &[Value]) -> String {
    json!({"flow": {"pattern": "unordered", "name": "f", "items": items}}).to_string()
}

/// Waits until a file exists, and then returns a flow without steps.
#[flow]
fn plans_slowly(gate: PathBuf) -> Unchecked {
    println!("planning");
    crate::waits::wait_for(&gate);
    json_text(description(&[]).into_bytes())
}

/// Exceeds its timeout.
#[flow(timeout = "500ms", grace = "0s")]
fn plans_too_slowly() -> Unchecked {
    loop {
        sleep(Duration::from_secs(3600));
    }
}
