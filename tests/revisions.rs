//! New code while old code runs: what runs ends on the old one, what comes next runs the new one,
//! and both are named.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::support::Installation;
use crate::support::installation::fixture;

/// Puts a copy of the program in place, with a mark at its end that it can read.
fn deploy(path: &Path, edition: &str) {
    let next = path.with_extension("next");
    let mut program = fs::read(fixture()).unwrap();
    program.extend_from_slice(format!("#{edition}").as_bytes());
    fs::write(&next, program).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&next, path).unwrap();
}

#[test]
fn a_new_executable_is_run_by_the_next_task() {
    let place = Installation::new();
    let program = place.folder().join("operations");
    deploy(&program, "one");
    place.register([&program]);
    let _monitor = place.monitor(&["--maxworkers", "3"]);
    let gate = place.folder().join("gate");
    let old = place.schedule("hold", json!(gate));
    place.writes(old, "holding");
    let counting = place.schedule("counts", json!(gate));
    place.writes(counting, "20");
    let warm = place.done(place.schedule_plain("edition"));
    assert_eq!(warm.output, "one");

    deploy(&program, "two");
    let unregistered = place.done(place.schedule_plain("edition"));
    assert_eq!(unregistered.output, "two", "nobody has to register it again");
    place.register([&program]);
    let new = place.done(place.schedule_plain("edition"));
    assert_eq!(new.output, "two");
    place.writes(counting, "100");
    place.goes_on(counting);
    fs::write(&gate, "").unwrap();
    let old = place.done(old);
    assert_eq!(old.output, "one", "what ran ended on the old code");
    assert_eq!((old.run, old.attempt), (1, 1));
    assert_eq!(place.log(old.id), ["holding", "released"]);
    assert_eq!(place.counted(counting).revision, old.revision);
    assert_ne!(old.revision, new.revision);
    for task in [&old, &new] {
        let revision = task.revision.as_deref().expect("it is recorded");
        let shown = place.rework(["show-task", &task.id.to_string()]).ok().stdout();
        assert!(shown.contains(revision), "no `{revision}` in\n{shown}");
    }
}

#[test]
fn a_new_manifest_is_run_by_the_next_task() {
    let place = Installation::new();
    let manifest = place.folder().join("operations.toml");
    let gate = place.folder().join("gate");
    let write = |edition: &str| {
        let shell = format!(
            "echo waiting; while [ -n \"$INPUT_GATE\" ] && [ ! -e \"$INPUT_GATE\" ]; do sleep 0.02; \
             done; echo '\"{edition}\"' > $REWORK_OUTPUT"
        );
        let text = format!("[[operation]]\nname = \"speak\"\nshell = '''{shell}'''\n");
        fs::write(manifest.with_extension("next"), text).unwrap();
        fs::rename(manifest.with_extension("next"), &manifest).unwrap();
    };
    write("one");
    place.register([&manifest]);
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    let old = place.schedule("speak", json!({"gate": gate}));
    place.writes(old, "waiting");
    write("two");
    place.register([&manifest]);
    let new = place.done(place.schedule("speak", json!({})));
    assert_eq!(new.output, "two");
    fs::write(&gate, "").unwrap();
    let old = place.done(old);
    assert_eq!(old.output, "one");
    assert_ne!(old.revision, new.revision);
    assert!(old.revision.unwrap().starts_with("1.") && new.revision.unwrap().starts_with("2."));
}

#[test]
fn a_path_through_a_symlink_follows_the_release() {
    let place = Installation::new();
    for edition in ["one", "two"] {
        fs::create_dir(place.folder().join(edition)).unwrap();
        deploy(&place.folder().join(edition).join("operations"), edition);
    }
    let current = place.folder().join("current");
    std::os::unix::fs::symlink("one", &current).unwrap();
    place.register([current.join("operations")]);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    assert_eq!(place.done(place.schedule_plain("edition")).output, "one");
    std::os::unix::fs::symlink("two", place.folder().join("next")).unwrap();
    fs::rename(place.folder().join("next"), &current).unwrap();
    assert_eq!(place.done(place.schedule_plain("edition")).output, "two");
}

#[test]
fn registering_again_loses_no_history() {
    let place = Installation::with_fixture();
    let monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule("double", 1));
    let again = place.rework(["register-operations"]).args([fixture()]).ok().stdout();
    assert!(again.starts_with("registered 0 new operation ("), "{again}");
    assert_eq!(place.task(task.id).output, 2);
    drop(monitor);
    place.rework(["unregister-operation", "double", "--no-confirm"]).ok();
    assert_eq!(place.task(task.id).output, 2);
    assert_eq!(place.rework(["log-task", &task.id.to_string()]).ok().lines().len(), 2);
    let said = place.rework(["schedule", "double", "--input", "1"]).exits(1);
    assert!(said.stderr().contains("operation `double` is not registered"), "{said}");
}
