//! `export-scheduled` writes all schedules to a file, and `import-scheduled` reads them.

use std::fs;

use serde_json::{Value, json};

use crate::schedules::list_schedules;
use crate::support::Installation;

/// Scenario RW-32.
#[test]
fn schedules_are_exported_and_imported() {
    let setup = Installation::with_fixture();
    let prepare = |args: &[&str]| setup.rework(["prepare"]).args(args).run_ok().id();
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
    let paused = prepare(&["other_domain", "--rule", "1 2 3 4 *", "--input", "1"]);
    setup.rework(["pause-scheduled", &paused.to_string()]).run_ok();
    let file = setup.folder().join("rework.sched");
    assert_eq!(
        setup.rework(["export-scheduled"]).run_ok().stdout(),
        "saved 5 entries into rework.sched\n"
    );
    // A file with two equal schedules, as the original rework in Python could write it.
    let mut saved: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    saved[4] = saved[0].clone();
    let twice = setup.folder().join("twice.sched");
    fs::write(&twice, serde_json::to_vec(&saved).unwrap()).unwrap();

    let before = without_changed_fields(list_schedules(&setup));
    setup.session().execute("delete from rework.schedule");
    let import = |path: &str| setup.rework(["import-scheduled", "--path", path]);
    assert_eq!(import("rework.sched").run_ok().stdout(), "loaded 5 entries from rework.sched\n");
    assert_eq!(without_changed_fields(list_schedules(&setup)), before);
    setup.session().execute("delete from rework.schedule");
    assert_eq!(import("twice.sched").run_ok().stdout(), "loaded 5 entries from twice.sched\n");
    assert_eq!(list_schedules(&setup).len(), 4, "equal schedules are imported once");
}

/// Removes the fields that differ after an import.
fn without_changed_fields(mut schedules: Vec<Value>) -> Vec<Value> {
    for schedule in &mut schedules {
        for key in ["id", "prepared_at", "next_at"] {
            assert!(schedule.as_object_mut().unwrap().remove(key).is_some(), "{key}");
        }
    }
    schedules
}

#[test]
fn an_invalid_file_imports_no_schedule() {
    let setup = Installation::with_fixture();
    setup.rework(["prepare", "sleep", "--input", "1", "--rule", "1 2 3 4 *"]).run_ok();
    setup.rework(["export-scheduled"]).run_ok();
    let file = setup.folder().join("rework.sched");
    let good: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    setup.session().execute("delete from rework.schedule");
    let with = |key: &str, value: Value| {
        let mut bad = good[0].clone();
        bad[key] = value;
        serde_json::to_string(&[good[0].clone(), bad]).unwrap()
    };
    for (text, error) in [
        ("{}".to_owned(), "is not a file of schedules"),
        (with("operation", json!("nosuch")), "entry 2 of `rework.sched`, `nosuch`"),
        (with("rule", json!("1 2 3")), "it has 3 fields"),
        (with("zone", json!("Mars/Olympus")), "there is no time zone `Mars/Olympus`"),
        (with("input", json!("no number")), "does not match the schema of operation `sleep`"),
        (with("surprise", json!(1)), "unknown field `surprise`"),
    ] {
        fs::write(&file, text).unwrap();
        let stderr = setup.rework(["import-scheduled"]).run_expecting(1).stderr();
        assert!(stderr.contains(error), "{stderr}");
        assert!(list_schedules(&setup).is_empty(), "{error}");
    }
    fs::remove_file(&file).unwrap();
    let stderr = setup.rework(["import-scheduled"]).run_expecting(1).stderr();
    assert!(stderr.contains("cannot read `rework.sched`") && stderr.contains("hint: "), "{stderr}");
    setup.rework(["export-scheduled", "--path", "/no/such/folder/x"]).run_expecting(1);
}
