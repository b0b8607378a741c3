//! The first steps of a new user: register operations, schedule tasks, start a monitor and read the log.

use serde_json::json;

use crate::support::Installation;
use crate::support::installation::{fixture_program, manifest_path};

/// Scenario RW-1.
#[test]
fn registered_operations_are_scheduled_run_and_logged() {
    let setup = Installation::new();
    let registered =
        setup.rework(["register-operations"]).args([manifest_path("hello.toml")]).run_ok();
    assert_eq!(registered.stdout(), "registered 1 new operation (0 already known)\n");
    setup.register([fixture_program()]);
    let hello = setup.schedule("double", "hello");
    let hundred = setup.schedule("double", 100);
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    assert_eq!(setup.wait_until_done(hello).output, json!("hellohello"));
    assert_eq!(setup.wait_until_done(hundred).output, json!(200));
    let log = setup.rework(["log-task", &hello.to_string()]).run_ok().lines();
    assert_eq!(log.len(), 2, "{log:?}");
    for (line, message) in log.iter().zip(["I am running", "I am done"]) {
        assert!(line.starts_with("stdout:INFO: ") && line.ends_with(message), "{line}");
    }
}
