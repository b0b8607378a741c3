//! Deployments of a new program or manifest while tasks run: running tasks end with the old code, the next task runs
//! the new code, and each task records the revision of its code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::support::Installation;
use crate::support::installation::fixture_program;

/// Replaces the file at `path` by a copy of the program of `tests/operations`. Its last bytes are `edition`, which the
/// program reads from its own file and returns.
fn deploy(path: &Path, edition: &str) {
    let new = path.with_extension("next");
    let mut program = fs::read(fixture_program()).unwrap();
    program.extend_from_slice(format!("#{edition}").as_bytes());
    fs::write(&new, program).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    // Linux does not permit writing to a program that runs, so the new file gets the name of the old one.
    fs::rename(&new, path).unwrap();
}

#[test]
fn the_next_task_runs_the_new_program() {
    let setup = Installation::new();
    let program = setup.folder().join("operations");
    deploy(&program, "one");
    setup.register([&program]);
    let _monitor = setup.start_monitor(&["--maxworkers", "3"]);
    let gate = setup.folder().join("gate");
    let old = setup.schedule("hold", json!(gate));
    setup.wait_until_logged(old, "holding");
    let counting = setup.schedule("counts_until_file", json!(gate));
    setup.wait_until_logged(counting, "20");
    let before = setup.wait_until_done(setup.schedule_without_input("edition"));
    assert_eq!(before.output, "one");

    deploy(&program, "two");
    let unregistered = setup.wait_until_done(setup.schedule_without_input("edition"));
    assert_eq!(unregistered.output, "two", "the new program need not be registered");
    setup.register([&program]);
    let new = setup.wait_until_done(setup.schedule_without_input("edition"));
    assert_eq!(new.output, "two");
    setup.wait_until_logged(counting, "100");
    setup.assert_keeps_running(counting);
    fs::write(&gate, "").unwrap();
    let old = setup.wait_until_done(old);
    assert_eq!(old.output, "one", "a running task ends with the old code");
    assert_eq!((old.run, old.attempt), (1, 1));
    assert_eq!(setup.log_lines(old.id), ["holding", "released"]);
    assert_eq!(setup.wait_until_count_complete(counting).revision, old.revision);
    assert_ne!(old.revision, new.revision);
    for task in [&old, &new] {
        let revision = task.revision.as_deref().expect("the revision is recorded");
        let stdout = setup.rework(["show-task", &task.id.to_string()]).run_ok().stdout();
        assert!(stdout.contains(revision), "no `{revision}` in\n{stdout}");
    }
}

#[test]
fn the_next_task_runs_the_command_of_the_new_manifest() {
    let setup = Installation::new();
    let manifest = setup.folder().join("operations.toml");
    let gate = setup.folder().join("gate");
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
    setup.register([&manifest]);
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let old = setup.schedule("speak", json!({"gate": gate}));
    setup.wait_until_logged(old, "waiting");
    write("two");
    setup.register([&manifest]);
    let new = setup.wait_until_done(setup.schedule("speak", json!({})));
    assert_eq!(new.output, "two");
    fs::write(&gate, "").unwrap();
    let old = setup.wait_until_done(old);
    assert_eq!(old.output, "one");
    assert_ne!(old.revision, new.revision);
    assert!(old.revision.unwrap().starts_with("1.") && new.revision.unwrap().starts_with("2."));
}

#[test]
fn a_registered_path_through_a_symlink_follows_the_symlink() {
    let setup = Installation::new();
    for edition in ["one", "two"] {
        fs::create_dir(setup.folder().join(edition)).unwrap();
        deploy(&setup.folder().join(edition).join("operations"), edition);
    }
    let current = setup.folder().join("current");
    std::os::unix::fs::symlink("one", &current).unwrap();
    setup.register([current.join("operations")]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    assert_eq!(setup.wait_until_done(setup.schedule_without_input("edition")).output, "one");
    std::os::unix::fs::symlink("two", setup.folder().join("next")).unwrap();
    fs::rename(setup.folder().join("next"), &current).unwrap();
    assert_eq!(setup.wait_until_done(setup.schedule_without_input("edition")).output, "two");
}

#[test]
fn registering_and_unregistering_keeps_tasks_and_logs() {
    let setup = Installation::with_fixture();
    let monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule("double", 1));
    let again = setup.rework(["register-operations"]).args([fixture_program()]).run_ok().stdout();
    assert!(again.starts_with("registered 0 new operations ("), "{again}");
    assert_eq!(setup.task(task.id).output, 2);
    drop(monitor);
    setup.rework(["unregister-operation", "double", "--no-confirm"]).run_ok();
    assert_eq!(setup.task(task.id).output, 2);
    assert_eq!(setup.rework(["log-task", &task.id.to_string()]).run_ok().lines().len(), 2);
    let output = setup.rework(["schedule", "double", "--input", "1"]).run_expecting(1);
    assert!(output.stderr().contains("operation `double` is not registered"), "{output}");
}
