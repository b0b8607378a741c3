//! The availability of an operation: its own check answers whether a host can run it now. Tasks of an operation that is
//! not available stay queued, use up no attempt, and run on another host, or as soon as the operation is available.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::{Installation, fixture_program};
use crate::support::monitor::Monitor;
use crate::support::{processes, wait};

/// How soon a waiting task starts after its operation has become available, on a busy machine. A check is made once a
/// second.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// A host with an operation `scan` that is available while the file `gate` exists.
struct Host {
    name: String,
    gate: PathBuf,
    /// The file to which each check appends a line.
    calls: PathBuf,
}

impl Host {
    /// Registers `scan` on a host, where it is not available.
    fn register(setup: &Installation, name: &str) -> Host {
        let file = |suffix: &str| setup.folder().join(format!("{name}.{suffix}"));
        let host = Host { name: name.to_owned(), gate: file("gate"), calls: file("calls") };
        let check = format!(
            "echo call >> \"{calls}\"; test -e \"{gate}\" || {{ echo no display; exit 1; }}",
            calls = host.calls.display(),
            gate = host.gate.display()
        );
        let manifest = file("toml");
        let available = format!("'{check}'");
        write_manifest(&manifest, &[("scan", "echo scanned", available.as_str())]);
        setup.rework(["register-operations", "--host", name]).args([manifest]).run_ok();
        host
    }

    fn start_monitor(&self, setup: &Installation) -> Monitor {
        setup.spawn_monitor_on(&self.name, &["--domain", "default", "--maxworkers", "1"])
    }

    fn open(&self) {
        fs::write(&self.gate, "").unwrap();
    }

    fn close(&self) {
        fs::remove_file(&self.gate).unwrap();
    }

    /// Returns how many checks were made.
    fn checks(&self) -> usize {
        lines(&self.calls)
    }
}

/// Writes a manifest. Each operation has a name, a script, and the value of `available` in TOML.
fn write_manifest(path: &Path, operations: &[(&str, &str, &str)]) {
    let text = |(name, shell, available): &(&str, &str, &str)| {
        format!("[[operation]]\nname = \"{name}\"\nshell = '{shell}'\navailable = {available}\n")
    };
    fs::write(path, operations.iter().map(text).collect::<String>()).unwrap();
}

/// Returns the number of lines of a file; 0 if it does not exist.
fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// Schedules a task and returns its id.
fn schedule(setup: &Installation, operation: &str) -> i64 {
    setup.schedule_many(operation, &[Value::Null])[0]
}

/// Waits until a task is queued again for a reason that contains `reason`. Asserts that it has used up no attempt.
#[track_caller]
fn wait_until_queued_again(setup: &Installation, task: i64, reason: &str) {
    setup.wait_until(&format!("task {task} is queued again: {reason}"), || {
        let task = setup.task(task);
        assert!(!task.state.is_end(), "it ended: {task:?}\n{}", setup.diagnostics());
        let is_queued = task.state == State::Queued && task.run > 0;
        assert!(!is_queued || task.attempt == 0, "an attempt is used up: {task:?}");
        is_queued && task.reason().contains(reason)
    });
}

fn ran_on(setup: &Installation, task: i64) -> String {
    setup.session().query_value("select ran_on from rework.task where id = $1", &[&task])
}

/// Scenario JR-22: a host on which a check is false never runs the task.
#[test]
fn tasks_run_on_the_host_where_their_operation_is_available() {
    let setup = Installation::new();
    let alpha = Host::register(&setup, setup.host());
    let beta = Host::register(&setup, &format!("{}-b", setup.host()));
    let _alpha_monitor = alpha.start_monitor(&setup);
    let task = schedule(&setup, "scan");
    wait_until_queued_again(&setup, task, "not available on this host: no display");
    let shown = format!("\nnot available on {}: no display\n", alpha.name);
    let id = task.to_string();
    setup.wait_until("show-task says where the operation is not available", || {
        setup.rework(["show-task", &id]).run_ok().stdout().contains(&shown)
    });
    let listed = setup.rework(["list-monitors"]).run_ok().stdout();
    assert!(listed.contains("[default/scan is not available] no display"), "{listed}");
    // Further checks claim no task.
    setup.wait_until("the check is repeated", || alpha.checks() >= 3);
    assert_eq!(setup.task(task).run, 1);

    beta.open();
    let _beta_monitor = beta.start_monitor(&setup);
    let done = setup.wait_until_done(task);
    assert_eq!((ran_on(&setup, task), done.attempt), (beta.name.clone(), 1));

    alpha.open();
    beta.close();
    // The answer of the last check on the second host is valid for a second.
    setup.wait_until("the first host runs a task", || {
        let task = schedule(&setup, "scan");
        let done = setup.wait_until_done(task);
        assert_eq!(done.attempt, 1);
        ran_on(&setup, task) == alpha.name
    });
    let sql = "select count(*) from rework.run where outcome <> 'not_started'";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 0);
}

#[test]
fn a_waiting_task_starts_soon_after_its_operation_has_become_available() {
    let setup = Installation::new();
    let host = Host::register(&setup, setup.host());
    let _monitor = host.start_monitor(&setup);
    let tasks: Vec<i64> = (0..3).map(|_| schedule(&setup, "scan")).collect();
    wait_until_queued_again(&setup, tasks[0], "no display");
    host.open();
    let opened = Instant::now();
    for task in &tasks {
        assert_eq!(setup.wait_until_done(*task).attempt, 1);
    }
    assert!(opened.elapsed() < MAX_DELAY, "after {:?}", opened.elapsed());
    assert_eq!(setup.log_lines(tasks[0]), ["scanned"], "what a check prints is not in the log");
    setup.wait_until("nothing is shown as unavailable", || {
        !setup.rework(["list-monitors"]).run_ok().stdout().contains("not available")
    });
}

#[test]
fn nothing_is_checked_while_no_task_waits() {
    let setup = Installation::new();
    let host = Host::register(&setup, setup.host());
    let _monitor = host.start_monitor(&setup);
    host.open();
    setup.wait_until_done(schedule(&setup, "scan"));
    assert_eq!(host.checks(), 1);
    wait::assert_stays_true("an idle host runs no check", wait::OBSERVATION_TIME, || {
        host.checks() == 1
    });
    host.close();
    let task = schedule(&setup, "scan");
    wait_until_queued_again(&setup, task, "no display");
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    assert_eq!(setup.task(task).state, State::Aborted);
    // One that runs now may still write its line. If checks went on, there would be three more.
    let checks = host.checks();
    wait::assert_stays_true("checks do not go on", wait::OBSERVATION_TIME * 2, || {
        host.checks() <= checks + 1
    });
}

#[test]
fn a_check_says_why_an_operation_is_not_available() {
    let setup = Installation::new();
    let folder = setup.folder().to_owned();
    write_manifest(
        &folder.join("checks.toml"),
        &[
            ("last_line", "true", "'echo asking; echo no licence >&2; exit 1'"),
            ("exit_code", "true", "[\"sh\", \"-c\", \"exit 3\"]"),
            ("killed", "true", "'kill -9 $$'"),
            ("missing", "true", "[\"./no-such-check\"]"),
            ("other", "true", "'true'"),
        ],
    );
    setup.register([folder.join("checks.toml")]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let waiting = [
        ("last_line", "no licence"),
        ("exit_code", "exit code 3"),
        ("killed", "signal 9 (killed)"),
        ("missing", "its check cannot be started: cannot execute `./no-such-check`: No such file"),
    ];
    for (operation, reason) in waiting {
        let task = schedule(&setup, operation);
        wait_until_queued_again(&setup, task, &format!("not available on this host: {reason}"));
    }
    setup.wait_until_done(schedule(&setup, "other"));
    let listed = setup.rework(["list-operations", "-o", "json"]).run_ok().stdout();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let named = |name: &str| {
        let found = listed.as_array().unwrap().iter().find(|found| found["name"] == json!(name));
        found.unwrap()["available"].clone()
    };
    assert_eq!((named("exit_code"), named("other")), (json!("sh -c exit 3"), json!("true")));
}

#[test]
fn a_check_that_hangs_is_killed_and_the_task_stays_queued() {
    let setup = Installation::new();
    let pid_file = setup.folder().join("pid");
    let check = format!("'echo $$ > \"{}\"; exec sleep 3600'", pid_file.display());
    let manifest = setup.folder().join("hangs.toml");
    write_manifest(&manifest, &[("hangs", "true", check.as_str()), ("other", "true", "'true'")]);
    setup.register([manifest]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = schedule(&setup, "hangs");
    wait_until_queued_again(&setup, task, "its check took longer than 5 s");
    // The check may run again now.
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    assert_eq!(setup.wait_until_ended(task).state, State::Aborted);
    setup.wait_until_done(schedule(&setup, "other"));
    let pid = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    setup.wait_until("the process of the check is killed", || !processes::is_alive(pid));
}

/// Scenario JR-26: a second web server for the same port waits as long as the port is taken. Here a folder is the port.
#[test]
fn a_task_waits_while_another_has_what_it_needs() {
    let setup = Installation::new();
    let path = |name: &str| setup.folder().join(name).display().to_string();
    let (port, stop, manifest) = (path("port"), path("stop"), path("serve.toml"));
    let serve = format!(
        "mkdir \"{port}\" || exit 7; echo serving; \
         until [ -e \"{stop}\" ]; do sleep 0.05; done; rmdir \"{port}\""
    );
    let check = format!("'[ ! -e \"{port}\" ] || {{ echo the port is taken; exit 1; }}'");
    write_manifest(Path::new(&manifest), &[("serve", serve.as_str(), check.as_str())]);
    setup.register([manifest]);
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let first = schedule(&setup, "serve");
    setup.wait_until_logged(first, "serving");
    let second = schedule(&setup, "serve");
    wait_until_queued_again(&setup, second, "the port is taken");
    assert_eq!(setup.task(first).state, State::Running, "its own check is false now");
    fs::write(&stop, "").unwrap();
    for task in [first, second] {
        let done = setup.wait_until_done(task);
        assert_eq!(done.attempt, 1, "{}", done.reason());
    }
}

#[test]
fn a_function_in_rust_is_checked_at_most_once_a_second() {
    let setup = Installation::new();
    setup.register([fixture_program()]);
    let (gate, calls) = (setup.folder().join("gate"), setup.folder().join("calls"));
    let mut command = setup.bare_command();
    command.env("REWORK_DSN", setup.dsn()).env("SCARCE_GATE", &gate).env("SCARCE_CALLS", &calls);
    command.args(["monitor", "--domain", "default", "--maxworkers", "1"]);
    let _monitor = setup.spawn_prepared_monitor(command);
    let waiting = setup.schedule_many("scarce", &[json!(1)])[0];
    let reason = format!("not available on this host: there is no `{}`", gate.display());
    wait_until_queued_again(&setup, waiting, &reason);
    setup.wait_until("the check is repeated", || lines(&calls) >= 3);
    assert_eq!(setup.task(waiting).run, 1, "a check has claimed a task");
    fs::write(&gate, "").unwrap();
    let opened = Instant::now();
    setup.wait_until_done(waiting);
    assert!(opened.elapsed() < MAX_DELAY, "after {:?}", opened.elapsed());
    assert_eq!(setup.log_lines(waiting), ["number 1"], "what a check prints is in the log");

    let (before, started) = (lines(&calls), Instant::now());
    let inputs: Vec<Value> = (0..500).map(|number| json!(number)).collect();
    for task in setup.schedule_many("scarce", &inputs) {
        setup.wait_until_done(task);
    }
    let checks = lines(&calls) - before;
    let seconds = started.elapsed().as_secs() as usize;
    assert!(checks <= seconds + 2, "{checks} checks in {seconds} s");
}
