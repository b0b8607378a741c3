//! Checks `docs/runner-protocol.md`: each of its examples is a valid message, and each message type has an example.

use std::collections::BTreeSet;

use rework_wire::runner::{FromRunner, ToRunner};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../../docs/runner-protocol.md");

/// Returns the examples of a section of the document. Each is one line.
fn examples(section: &str) -> Vec<Value> {
    let start = DOCUMENT.find(&format!("\n## {section}\n")).unwrap();
    let section = &DOCUMENT[start + 1..];
    let section = &section[..section.find("\n## ").unwrap()];
    let lines = section.lines().filter(|line| line.starts_with("{\"type\""));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(examples: &[Value]) -> BTreeSet<&str> {
    examples.iter().map(|example| example["type"].as_str().unwrap()).collect()
}

/// Asserts that each key of an example is in the message that was read from it, with the same value.
fn assert_within(example: &Value, message: &Value) {
    for (key, value) in example.as_object().unwrap() {
        let same = match (value.as_f64(), message[key].as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() < f64::EPSILON,
            _ => *value == message[key],
        };
        assert!(same, "`{key}` of {example} is {}", message[key]);
    }
}

#[test]
fn every_message_to_the_runner_has_an_example() {
    let examples = examples("To the runner");
    for example in &examples {
        let message = match example["type"].as_str() {
            // It has metadata, so it cannot be read as a `ToRunner`.
            Some("run") => ToRunner::Run(serde_json::from_value(example.clone()).unwrap()),
            _ => serde_json::from_value(example.clone()).unwrap(),
        };
        assert_within(example, &serde_json::to_value(message).unwrap());
    }
    let known = ["abort", "check", "exit", "hello", "revoke", "run", "scheduled"];
    assert_eq!(types(&examples), BTreeSet::from(known));
}

#[test]
fn every_message_from_the_runner_has_an_example() {
    let examples = examples("From the runner");
    for example in &examples {
        let message: FromRunner = serde_json::from_value(example.clone()).unwrap();
        assert_within(example, &serde_json::to_value(message).unwrap());
    }
    let known =
        ["checked", "done", "failed", "hello", "log", "output", "progress", "revoked", "schedule"];
    assert_eq!(types(&examples), BTreeSet::from(known));
}
