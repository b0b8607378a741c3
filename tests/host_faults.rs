//! Faults of a host: a file is missing or is still being written, the folder for temporary files is gone. They are no
//! faults of the task: it stays queued, uses up no attempt, and runs as soon as the host is repaired. Meanwhile the
//! host runs the tasks of other operations, and `list-monitors` and `/health` show what it cannot start.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::Installation;
use crate::support::command::copy_program;
use crate::support::http;
use crate::support::installation::fixture_program;
use crate::support::monitor::Monitor;
use crate::support::task::Task;

/// A host with one worker, whose folder for temporary files the test can delete.
struct Host {
    setup: Installation,
    _monitor: Monitor,
    /// The address of `/health`.
    address: String,
    /// The folder for temporary files.
    temporary: PathBuf,
}

impl Host {
    /// Registers a manifest with this text, and starts the monitor. `files` are executable files beside the manifest.
    fn new(manifest: &str, files: &[(&str, &str)]) -> Host {
        let setup = Installation::new();
        for (name, text) in files {
            write_program(&setup.folder().join(name), text);
        }
        let path = setup.folder().join("manifest.toml");
        fs::write(&path, manifest).unwrap();
        setup.register([path]);
        let temporary = setup.folder().join("temporary");
        fs::create_dir(&temporary).unwrap();
        let mut command = setup.bare_command();
        command.env("REWORK_DSN", setup.dsn()).env("TMPDIR", &temporary);
        command.args(["monitor", "--domain", "default", "--maxworkers", "1"]);
        command.args(["--listen", "127.0.0.1:0"]);
        let mut monitor = Monitor::start(command, &setup.folder().join("monitor-1.stderr"));
        setup.wait_until("the monitor is registered", || {
            assert!(monitor.exit_status().is_none(), "the monitor ended:\n{}", monitor.output());
            setup.session().query_value("select count(*) = 1 from rework.monitor", &[])
        });
        let address = http::address(&monitor);
        Host { setup, _monitor: monitor, address, temporary }
    }

    /// Runs a task of an operation until it is done.
    #[track_caller]
    fn run(&self, operation: &str) -> Task {
        self.setup.wait_until_done(self.schedule(operation))
    }

    fn schedule(&self, operation: &str) -> i64 {
        self.setup.schedule_many(operation, &[Value::Null])[0]
    }

    /// Waits until a task is queued again because of a fault of the host whose description contains `fault`. Asserts
    /// that it has used up no attempt.
    #[track_caller]
    fn wait_until_queued_again(&self, task: i64, fault: &str) {
        self.setup.wait_until(&format!("task {task} is queued again: {fault}"), || {
            let task = self.setup.task(task);
            assert!(!task.state.is_end(), "it ended: {task:?}\n{}", self.setup.diagnostics());
            let is_queued = task.state == State::Queued && task.run > 0;
            assert!(!is_queued || task.attempt == 0, "an attempt is used up: {task:?}");
            is_queued
                && task.reason().starts_with("this host cannot start it now: ")
                && task.reason().contains(fault)
        });
    }

    /// Waits until `list-monitors` shows this text.
    #[track_caller]
    fn wait_until_listed(&self, text: &str) {
        self.setup.wait_until(&format!("list-monitors shows `{text}`"), || {
            self.setup.rework(["list-monitors"]).run_ok().stdout().contains(text)
        });
    }

    /// Waits until neither `list-monitors` nor `/health` shows a fault.
    #[track_caller]
    fn wait_until_repaired(&self) {
        self.setup.wait_until("no fault is shown any more", || {
            let listed = self.setup.rework(["list-monitors"]).run_ok().stdout();
            let healthy = (200, json!({"healthy": true, "neglected_seconds": {}}));
            !listed.contains("cannot start") && http::get(&self.address, "/health") == healthy
        });
    }
}

/// Writes an executable file. A process of its own writes it: see `copy_program`.
fn write_program(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, Permissions::from_mode(0o755)).unwrap();
    copy_program(&draft, path);
}

const SCRIPT: &str = "#!/bin/sh\necho a line\n";

/// An operation that executes `./script`, and another one.
const SCRIPT_AND_OTHER: &str = "[[operation]]\nname = \"script\"\ncommand = [\"./script\"]\n\
                                [[operation]]\nname = \"other\"\nshell = \"true\"\n";

#[test]
fn a_missing_file_blocks_only_its_operation() {
    let host = Host::new(SCRIPT_AND_OTHER, &[("script", SCRIPT)]);
    let worker = host.run("script").worker;
    let script = host.setup.folder().join("script");
    fs::remove_file(&script).unwrap();
    let task = host.schedule("script");
    host.wait_until_queued_again(task, "script`: No such file");
    host.wait_until_listed("[cannot start default/script, ");
    let (status, body) = http::get(&host.address, "/health");
    assert_eq!(status, 200, "a restart of the monitor would not help: {body}");
    let fault = &body["start_faults"][0];
    assert_eq!((&fault["domain"], &fault["operation"]), (&json!("default"), &json!("script")));
    assert!(fault["reason"].as_str().unwrap().contains("script`"), "{body}");
    assert_eq!(host.run("other").worker, worker, "the worker did not survive");

    write_program(&script, SCRIPT);
    let done = host.setup.wait_until_done(task);
    assert_eq!(done.attempt, 1, "the host's faults have used up attempts");
    host.wait_until_repaired();
    let outcomes = "select distinct outcome from rework.run where task = $1";
    let outcomes: Vec<String> = host.setup.session().query_values(outcomes, &[&task]);
    assert_eq!(outcomes, ["not_started"]);
}

#[test]
fn a_missing_manifest_or_program_is_no_fault_of_the_task() {
    let host = Host::new(SCRIPT_AND_OTHER, &[("script", SCRIPT)]);
    let manifest = host.setup.folder().join("manifest.toml");
    let other_name = manifest.with_extension("other");
    host.run("other");
    fs::rename(&manifest, &other_name).unwrap();
    let task = host.schedule("other");
    host.wait_until_queued_again(task, "manifest.toml");
    fs::rename(&other_name, &manifest).unwrap();
    assert_eq!(host.setup.wait_until_done(task).attempt, 1);

    let program = host.setup.folder().join("program");
    copy_program(fixture_program(), &program);
    host.setup.register([&program]);
    host.setup.wait_until_done(host.setup.schedule("double", 1));
    fs::remove_file(&program).unwrap();
    let task = host.schedule("noinput");
    host.wait_until_queued_again(task, "program");
    copy_program(fixture_program(), &program);
    assert_eq!(host.setup.wait_until_done(task).attempt, 1);
}

#[test]
fn a_folder_for_temporary_files_that_was_emptied_is_restored() {
    let host = Host::new(SCRIPT_AND_OTHER, &[("script", SCRIPT)]);
    let worker = host.run("other").worker;
    let entries: Vec<_> = fs::read_dir(&host.temporary).unwrap().map(Result::unwrap).collect();
    assert!(!entries.is_empty(), "the worker has no folder");
    for entry in entries {
        fs::remove_dir_all(entry.path()).unwrap();
    }
    let done = host.run("other");
    assert_eq!((done.run, done.attempt, done.worker), (1, 1, worker));
}

#[test]
fn tasks_stay_queued_while_a_host_can_start_nothing() {
    let host = Host::new(SCRIPT_AND_OTHER, &[("script", SCRIPT)]);
    host.run("other");
    fs::remove_dir_all(&host.temporary).unwrap();
    let task = host.schedule("other");
    let temporary = host.temporary.to_str().unwrap();
    host.wait_until_queued_again(task, temporary);
    host.wait_until_listed("[cannot start any task of default, ");
    host.wait_until_listed(temporary);
    let (status, body) = http::get(&host.address, "/health");
    assert_eq!((status, &body["healthy"]), (503, &json!(false)), "{body}");
    let fault = &body["start_faults"][0];
    assert_eq!((&fault["domain"], &fault["operation"]), (&json!("default"), &Value::Null));
    assert!(fault["reason"].as_str().unwrap().contains(temporary), "{body}");

    fs::create_dir(&host.temporary).unwrap();
    let done = host.setup.wait_until_done(task);
    assert_eq!((done.run, done.attempt), (2, 1), "it was claimed while nothing could be started");
    host.wait_until_repaired();
}

#[test]
fn a_file_that_is_being_written_is_tried_again() {
    let host = Host::new(SCRIPT_AND_OTHER, &[("script", SCRIPT)]);
    host.run("script");
    let script = host.setup.folder().join("script");
    let written = OpenOptions::new().append(true).open(&script).unwrap();
    match Command::new(&script).status() {
        Err(error) if error.raw_os_error() == Some(Errno::ETXTBSY as i32) => {}
        _ => return eprintln!("this kernel executes files that are being written"),
    }
    let task = host.schedule("script");
    host.wait_until_queued_again(task, "Text file busy");
    drop(written);
    assert_eq!(host.setup.wait_until_done(task).attempt, 1);
}

#[test]
fn a_script_that_cannot_be_interpreted_says_why() {
    let operation = |name| format!("[[operation]]\nname = \"{name}\"\ncommand = [\"./{name}\"]\n");
    let host = Host::new(
        &["cr_lf", "env_with_cr_lf", "no_interpreter"].map(operation).concat(),
        &[
            ("cr_lf", "#!/bin/sh\r\necho a line\r\n"),
            ("env_with_cr_lf", "#!/usr/bin/env sh\r\necho a line\r\n"),
            ("no_interpreter", "#!/no/such/interpreter\n"),
        ],
    );
    let missing = host.schedule("no_interpreter");
    for (operation, start) in [
        ("cr_lf", "the operation cannot be loaded: cannot execute `./cr_lf`: "),
        ("env_with_cr_lf", "exit code 127: "),
    ] {
        let failed = host.setup.wait_until_ended(host.schedule(operation));
        assert_eq!(failed.state, State::Failed, "{operation}");
        let reason = failed.reason();
        assert!(reason.starts_with(start), "{reason}");
        assert!(reason[start.len()..].starts_with("its lines end with CR LF"), "{reason}");
    }
    host.wait_until_queued_again(missing, "names the interpreter `/no/such/interpreter`");
}
