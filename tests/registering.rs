//! Registering operations, giving them their input, and taking them off again.

use rework_core::task::state::State;
use serde_json::json;

use crate::support::Installation;
use crate::support::installation::{fixture, manifest};

#[test]
fn a_check_needs_no_database_and_registers_nothing() {
    let place = Installation::new();
    let check = ["register-operations", "--check"];
    let said = place.rework(check).args([manifest("resize.toml")]).without_env("REWORK_DSN").ok();
    assert!(said.stdout().contains("resize"), "{said}");
    assert_eq!(place.session().one::<i64>("select count(*) from rework.operation", &[]), 0);
}

#[test]
fn registering_counts_what_is_new() {
    let place = Installation::new();
    let register = || place.rework(["register-operations"]).args([manifest("resize.toml")]).ok();
    assert_eq!(register().stdout(), "registered 2 new operation (0 already known)\n");
    assert_eq!(register().stdout(), "registered 0 new operation (2 already known)\n");
    let sql = "select revision from rework.placement";
    assert_eq!(place.session().all::<i32>(sql, &[]), [2, 2]);
    let listed = place.rework(["list-operations"]).ok().stdout();
    for fact in ["resize", "images", place.host(), "resize.toml"] {
        assert!(listed.contains(fact), "no `{fact}` in\n{listed}");
    }
}

#[test]
fn unregistering_asks_first() {
    let place = Installation::with_fixture();
    let task = place.schedule("double", 1);
    let placed = || place.rework(["list-operations"]).ok().stdout().contains(" double ");
    let unregister = || place.rework(["unregister-operation", "double"]);
    let said = unregister().stdin("n\n").ok().stdout();
    assert!(said.starts_with("preparing de-registration of:\ndelete double default "), "{said}");
    assert!(said.contains("really remove those [y/n]?"), "{said}");
    assert!(said.ends_with("Ok, nothing has been done.\n"), "{said}");
    assert!(placed());
    unregister().stdin("").ok();
    assert!(placed(), "no answer is no");
    unregister().stdin("y\n").ok();
    assert!(!placed());
    assert_eq!(place.task(task).state, State::Queued, "its tasks stay");
    assert_eq!(unregister().exits(1).stdout(), "Nothing to unregister\n");
    place.register([fixture()]);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    assert_eq!(place.done(task).output, 2, "they run when it is there again");
}

#[test]
fn inputs_are_given_by_their_names_and_help_shows_them() {
    let place = Installation::new();
    place.register([manifest("resize.toml")]);
    let help = place.rework(["schedule", "resize", "--help"]).ok().stdout();
    assert!(help.contains("--width") && help.contains("--input.priority"), "{help}");
    let named = ["--width", "300", "--input.priority", "soon", "--priority", "3"];
    let task = place.rework(["schedule", "resize"]).args(named).ok().id();
    let input = "select input from rework.task where id = $1";
    let given: serde_json::Value = place.session().one(input, &[&task]);
    assert_eq!(given, json!({"width": 300, "priority": "soon"}));
    let said = place.rework(["schedule", "resize", "--width", "wide"]).exits(1);
    assert!(said.stderr().contains("width"), "{said}");
    let said = place.rework(["schedule", "resize"]).exits(1);
    assert!(said.stderr().contains("width"), "what is missing is named: {said}");
    assert_eq!(place.session().one::<i64>("select count(*) from rework.task", &[]), 1);
}

#[test]
fn an_input_comes_from_standard_input_or_a_file() {
    let place = Installation::new();
    place.register([manifest("resize.toml")]);
    let _monitor = place.awaited_monitor(&["--maxworkers", "1"]);
    let piped = place.rework(["schedule", "echo", "--input", "-"]).stdin("{\"a\": [1, 2]}").ok();
    assert_eq!(place.done(piped.id()).output, json!({"a": [1, 2]}));
    std::fs::write(place.folder().join("input.json"), "[3]").unwrap();
    let filed = place.rework(["schedule", "echo", "--input", "@input.json"]).ok();
    assert_eq!(place.done(filed.id()).output, json!([3]));
}

#[test]
fn the_database_is_named_in_several_ways() {
    let place = Installation::with_fixture();
    let list = ["list-operations", "-q"];
    let expected = place.rework(list).ok().stdout();
    assert!(!expected.is_empty());
    let dsn = place.dsn();
    let without = || place.rework(Vec::<String>::new()).without_env("REWORK_DSN");
    assert_eq!(without().env("DATABASE_URL", dsn).args(list).ok().stdout(), expected);
    assert_eq!(without().args(list).args(["--db", dsn]).ok().stdout(), expected);
    assert_eq!(without().args([list[0], dsn, list[1]]).ok().stdout(), expected);
    std::fs::write(place.folder().join("dsn"), dsn).unwrap();
    assert_eq!(without().args(list).args(["--dsn-file", "dsn"]).ok().stdout(), expected);
}
