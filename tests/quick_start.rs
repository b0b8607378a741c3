//! The first things that anybody does: register, schedule, start a monitor, read the log.

use serde_json::json;

use crate::support::Installation;
use crate::support::installation::{fixture, manifest};

/// Scenario RW-1.
#[test]
fn the_quick_start_works() {
    let place = Installation::new();
    let registered = place.rework(["register-operations"]).args([manifest("hello.toml")]).ok();
    assert_eq!(registered.stdout(), "registered 1 new operation (0 already known)\n");
    place.register([fixture()]);
    let hello = place.schedule("double", "hello");
    let hundred = place.schedule("double", 100);
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    assert_eq!(place.done(hello).output, json!("hellohello"));
    assert_eq!(place.done(hundred).output, json!(200));
    let log = place.rework(["log-task", &hello.to_string()]).ok().lines();
    assert_eq!(log.len(), 2, "{log:?}");
    for (line, said) in log.iter().zip(["I am running", "I am done"]) {
        assert!(line.starts_with("stdout:INFO: ") && line.ends_with(said), "{line}");
    }
}
