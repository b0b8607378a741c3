//! Inputs and outputs that are bytes instead of JSON.

use crate::support::Installation;

/// Scenario RW-21 of the original rework in Python.
#[test]
fn bytes_are_input_and_output() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.rework(["schedule", "raw", "--raw", "Hello Babar"]).run_ok().id();
    assert_eq!(setup.wait_until_done(task).output_bytes.unwrap(), b"Hello Babar and Celeste");
    let id = task.to_string();
    let output = setup.rework(["show-task", &id, "--raw-output"]).run_ok();
    assert_eq!(output.bytes(), b"Hello Babar and Celeste");
    let json = setup.rework(["show-task", &id, "-o", "json"]).run_ok().json();
    assert_eq!(json["input"]["base64"], "SGVsbG8gQmFiYXI=");
    assert_eq!(json["output"]["base64"], "SGVsbG8gQmFiYXIgYW5kIENlbGVzdGU=");
    assert_eq!(setup.rework(["list-tasks"]).run_ok().lines().len(), 1);
}

/// Scenario RW-21 of the original rework in Python.
#[test]
fn bytes_of_any_value_are_read_from_a_file() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    std::fs::write(setup.folder().join("input"), &bytes).unwrap();
    let task = setup.rework(["schedule", "raw", "--raw", "@input"]).run_ok().id();
    // Not `assert_eq!`, which would print a megabyte.
    let expected = [&bytes[..], b" and Celeste"].concat();
    assert!(setup.wait_until_done(task).output_bytes.unwrap() == expected);
}

/// Scenario RW-21 of the original rework in Python.
#[test]
fn bytes_are_refused_by_an_operation_that_takes_json() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let sql = "select rework.schedule('sleep', input_bytes => '\\x00ff')";
    let task = setup.wait_until_ended(setup.session().query_value(sql, &[]));
    assert!(task.reason().starts_with("invalid input"), "{}", task.reason());
}
