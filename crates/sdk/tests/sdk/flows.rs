//! Tests of the operations that `#[flow]`, `#[step]`, `#[revert]` and `#[controller]` declare.

use std::process::Command;

use rework_wire::operation::{DEFAULT_DOMAIN, Definition};
use rework_wire::runner::{FromRunner, RunRequest, ToRunner};
use serde_json::{Value, json};

use crate::support::{Runner, fixture, request};

fn definition<'a>(runner: &'a Runner, name: &str) -> &'a Definition {
    runner.operations.iter().find(|definition| definition.name == name).unwrap()
}

/// Runs an operation, and returns its output. `Err` with kind and message if it fails.
fn run(domain: &str, operation: &str, input: &Value) -> Result<Value, (String, String)> {
    let mut runner = Runner::start();
    let operation =
        RunRequest { domain: domain.to_owned(), has_input: true, ..request(7, operation) };
    runner.send(&ToRunner::Run(operation), input.to_string().as_bytes());
    match runner.receive_to_end().pop().unwrap() {
        (FromRunner::Done(_), output) => Ok(serde_json::from_slice(&output).unwrap()),
        (FromRunner::Failed(failure), _) => Err((failure.kind, failure.message)),
        (frame, _) => panic!("{frame:?}"),
    }
}

#[test]
fn only_a_flow_is_registered_as_one() {
    let runner = Runner::start();
    let flow = definition(&runner, "make_disk");
    assert_eq!((flow.domain.as_str(), flow.is_flow, flow.limits.attempts), ("cloud", true, 2));
    // The task returns something else than the description.
    assert_eq!(flow.output, None);
    assert_eq!(flow.input.as_ref().unwrap()["required"], json!(["gib"]));
    for other in ["make", "delete_disk", "pick", "echo"] {
        assert!(!definition(&runner, other).is_flow, "{other}");
    }
}

#[test]
fn operations_of_flows_are_queued_again_unless_they_say_not() {
    let runner = Runner::start();
    for (name, retry_lost) in [
        ("make_disk", true),
        ("make", true),
        ("delete_disk", true),
        ("pick", true),
        ("no_steps", false),
        ("tell", false),
        ("optional", false),
    ] {
        assert_eq!(definition(&runner, name).limits.retry_lost, retry_lost, "{name}");
    }
}

#[test]
fn a_flow_returns_its_description() {
    let expected = json!({"flow": {"pattern": "linear", "name": "disk",
        "retry": {"kind": "operation", "operation": "default/pick", "provides": "zone"},
        "items": [
            {"step": {"name": "disk", "operation": "cloud/make", "revert": "default/delete_disk",
                      "inject": {"gib": 3}, "provides": "disk"}},
            {"step": {"name": "tell", "operation": "default/tell"}}]},
        "returns": "disk"});
    assert_eq!(run("cloud", "make_disk", &json!({"gib": 3})), Ok(expected));
    let failure = ("size".to_owned(), "a disk of nothing".to_owned());
    assert_eq!(run("cloud", "make_disk", &json!({"gib": 0})), Err(failure));
    let empty = json!({"flow": {"pattern": "graph", "name": "nothing", "items": []}});
    assert_eq!(run("default", "no_steps", &Value::Null), Ok(empty));
}

#[test]
fn a_flow_is_described_on_the_command_line() {
    let output = Command::new(fixture()).args(["make_disk", "--gib", "3"]).output().unwrap();
    let description: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(description["flow"]["name"], "disk");
    let list = Command::new(fixture()).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("make_disk") && list.contains("Makes a disk."), "{list}");
}

#[test]
fn a_step_is_an_ordinary_operation() {
    let output = run("cloud", "make", &json!({"gib": 3}));
    assert_eq!(output, Ok(json!("disk of 3 GiB in run 1")));
}

#[test]
fn a_revert_gets_what_it_undoes() {
    let done = json!({"input": {"gib": 3}, "result": "disk 1", "error": null,
                      "failures": {"tell": "exit code 3"}});
    assert_eq!(run("default", "delete_disk", &done), Ok(json!(["disk 1", "tell"])));
    let failed = json!({"input": {"gib": 3}, "result": null,
                        "error": {"kind": "io", "message": "no space"},
                        "failures": {"disk": "no space"}});
    assert_eq!(run("default", "delete_disk", &failed), Ok(json!(["no space", "disk"])));
}

#[test]
fn a_controller_decides_by_its_history() {
    let round = json!({"value": ["north"], "failures": {"disk": "no space"}});
    let retry = json!({"decision": "retry", "value": ["north"]});
    assert_eq!(run("default", "pick", &json!({"history": []})), Ok(retry));
    let revert_all = json!({"decision": "revert_all"});
    assert_eq!(run("default", "pick", &json!({"history": [round]})), Ok(revert_all));
    let failure = ("error".to_owned(), "too many rounds".to_owned());
    assert_eq!(run("default", "pick", &json!({"history": [round, round]})), Err(failure));
}

#[test]
fn a_companion_knows_domain_and_name() {
    let of_default = |name: &str| format!("{DEFAULT_DOMAIN}/{name}");
    let expected = json!([
        "cloud/make_disk",
        "cloud/make",
        of_default("delete_disk"),
        of_default("pick"),
        of_default("no_steps"),
    ]);
    assert_eq!(run("default", "companion_names", &Value::Null), Ok(expected));
}
