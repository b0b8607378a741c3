//! Schedules are exported to a file and imported from it.

use std::fs;

use serde_json::{Value, json};

use crate::schedules::listed;
use crate::support::Installation;

/// Scenario RW-32.
#[test]
fn schedules_are_exported_and_imported() {
    let place = Installation::with_fixture();
    let prepare = |args: &[&str]| place.rework(["prepare"]).args(args).ok().id();
    prepare(&["double", "--rule", "0 8 * * mon-fri", "--input", "{\"b\": 1, \"a\": [2]}"]);
    prepare(&["double", "--rule", "0 8 * * mon-fri", "--input", "3", "--host", "beta"]);
    prepare(&[
        "noinput",
        "--rule",
        "* * * * * *",
        "--every-second",
        "--metadata",
        "{\"user\": \"x\"}",
    ]);
    prepare(&[
        "raw",
        "--rule",
        "5 4 * * *",
        "--raw",
        "Hello Babar",
        "--zone",
        "Europe/Vienna",
        "--missed",
        "last",
        "--overlap",
        "skip",
        "--priority",
        "-3",
        "--capability",
        "gpu",
    ]);
    let paused = prepare(&["other_dom", "--rule", "1 2 3 4 *", "--input", "1"]);
    place.rework(["pause-scheduled", &paused.to_string()]).ok();
    let file = place.folder().join("rework.sched");
    assert_eq!(
        place.rework(["export-scheduled"]).ok().stdout(),
        "saved 5 entries into rework.sched\n"
    );
    // Two identical ones, as the original could save.
    let mut saved: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    saved[4] = saved[0].clone();
    let twice = place.folder().join("twice.sched");
    fs::write(&twice, serde_json::to_vec(&saved).unwrap()).unwrap();

    let before = without_what_is_new(listed(&place));
    place.session().run("delete from rework.schedule");
    let import = |path: &str| place.rework(["import-scheduled", "--path", path]);
    assert_eq!(import("rework.sched").ok().stdout(), "loaded 5 entries from rework.sched\n");
    assert_eq!(without_what_is_new(listed(&place)), before);
    place.session().run("delete from rework.schedule");
    assert_eq!(import("twice.sched").ok().stdout(), "loaded 5 entries from twice.sched\n");
    assert_eq!(listed(&place).len(), 4, "equal ones are one");
}

fn without_what_is_new(mut listed: Vec<Value>) -> Vec<Value> {
    for one in &mut listed {
        for key in ["id", "prepared_at", "next_at"] {
            assert!(one.as_object_mut().unwrap().remove(key).is_some(), "{key}");
        }
    }
    listed
}

#[test]
fn what_cannot_be_imported_changes_nothing() {
    let place = Installation::with_fixture();
    place.rework(["prepare", "sleep", "--input", "1", "--rule", "1 2 3 4 *"]).ok();
    place.rework(["export-scheduled"]).ok();
    let file = place.folder().join("rework.sched");
    let good: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    place.session().run("delete from rework.schedule");
    let with = |key: &str, value: Value| {
        let mut bad = good[0].clone();
        bad[key] = value;
        serde_json::to_string(&[good[0].clone(), bad]).unwrap()
    };
    for (text, why) in [
        ("{}".to_owned(), "holds no schedules"),
        (with("operation", json!("nosuch")), "entry 2 of `rework.sched`, `nosuch`"),
        (with("rule", json!("1 2 3")), "it has 3 fields"),
        (with("zone", json!("Mars/Olympus")), "there is no time zone `Mars/Olympus`"),
        (with("input", json!("no number")), "does not fit operation `sleep`"),
        (with("surprise", json!(1)), "unknown field `surprise`"),
    ] {
        fs::write(&file, text).unwrap();
        let said = place.rework(["import-scheduled"]).exits(1).stderr();
        assert!(said.contains(why), "{said}");
        assert!(listed(&place).is_empty(), "{why}");
    }
    fs::remove_file(&file).unwrap();
    let said = place.rework(["import-scheduled"]).exits(1).stderr();
    assert!(said.contains("cannot read `rework.sched`") && said.contains("hint: "), "{said}");
    place.rework(["export-scheduled", "--path", "/no/such/folder/x"]).exits(1);
}
