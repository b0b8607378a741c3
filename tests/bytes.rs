//! Inputs and outputs that are bytes and no JSON.

use crate::support::Installation;

/// Scenario RW-21.
#[test]
fn bytes_go_in_and_come_out() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.rework(["schedule", "raw", "--raw", "Hello Babar"]).ok().id();
    assert_eq!(place.done(task).output_bytes.unwrap(), b"Hello Babar and Celeste");
    let id = task.to_string();
    let output = place.rework(["show-task", &id, "--raw-output"]).ok();
    assert_eq!(output.bytes(), b"Hello Babar and Celeste");
    let json = place.rework(["show-task", &id, "-o", "json"]).ok().json();
    assert_eq!(json["input"]["base64"], "SGVsbG8gQmFiYXI=");
    assert_eq!(json["output"]["base64"], "SGVsbG8gQmFiYXIgYW5kIENlbGVzdGU=");
    assert_eq!(place.rework(["list-tasks"]).ok().lines().len(), 1);
}

/// Scenario RW-21.
#[test]
fn bytes_of_any_value_come_through_a_file() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    std::fs::write(place.folder().join("input"), &bytes).unwrap();
    let task = place.rework(["schedule", "raw", "--raw", "@input"]).ok().id();
    let expected = [&bytes[..], b" and Celeste"].concat();
    assert!(place.done(task).output_bytes.unwrap() == expected);
}

/// Scenario RW-21.
#[test]
fn bytes_are_refused_where_json_is_expected() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let sql = "select rework.schedule('sleep', input_bytes => '\\x00ff')";
    let task = place.ended(place.session().one(sql, &[]));
    assert!(task.reason().starts_with("the input does not fit"), "{}", task.reason());
}
