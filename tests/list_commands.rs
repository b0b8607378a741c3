//! The output of `list-tasks`, `list-workers` and `list-monitors`: the same facts in the same order as in the original
//! rework in Python, and the keys of the JSON output.

use serde_json::Value;

use crate::support::Installation;

/// Replaces the parts of a line that differ between test runs: a sequence of digits becomes `<X>`, the name of the host
/// `<host>`, and several spaces become one.
fn normalized(setup: &Installation, line: &str) -> String {
    let mut result = String::new();
    for c in line.replace(setup.host(), "<host>").chars() {
        match c {
            '0'..='9' if result.ends_with("<X>") => {}
            '0'..='9' => result.push_str("<X>"),
            ' ' if result.ends_with(' ') => {}
            c => result.push(c),
        }
    }
    result.trim().to_owned()
}

/// A time in a normalized line.
const TIME: &str = "[<X>-<X>-<X> <X>:<X>:<X>.<X>+<X>:<X>]";

/// Scenario RW-31 of the original rework in Python.
#[test]
fn list_tasks_shows_the_facts_of_each_task() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let done = setup.wait_until_done(setup.schedule("double", 1)).id;
    let forever = setup.schedule_without_input("forever");
    setup.wait_until_logged(forever, "for ever");
    setup.schedule_without_input("noinput");
    setup.rework(["abort-task", &forever.to_string(), "--wait"]).run_ok();
    let queued = setup.schedule("other_domain", 1);
    setup.wait_until_done(queued - 1);
    let list = |args: &[&str]| -> Vec<String> {
        let output = setup.rework(["list-tasks"]).args(args).run_ok();
        output.lines().iter().map(|line| normalized(&setup, line)).collect()
    };
    let times = [TIME; 3].join(" → ");
    assert_eq!(
        list(&[]),
        [
            format!("<X> double done domain=default {times}"),
            format!("<X> forever aborted domain=default {times} aborted from the command line"),
            format!("<X> noinput done domain=default {times}"),
            format!("<X> other_domain queued domain=nondefault {TIME}"),
        ]
    );
    assert_eq!(list(&["--domain", "nosuch"]), Vec::<String>::new());
    assert_eq!(list(&["--domain", "nondefault"]).len(), 1);
    let with_log_counts =
        setup.rework(["list-tasks", "--logcount", "--limit", "100"]).run_ok().lines();
    assert!(with_log_counts[0].contains(" 2 log lines "), "{with_log_counts:?}");
    let ids = setup.rework(["list-tasks", "-q", "--state", "done,queued"]).run_ok().lines();
    assert_eq!(ids, [done, queued - 1, queued].map(|id| id.to_string()));
}

/// Scenario RW-31 of the original rework in Python.
#[test]
fn list_tasks_shows_the_newest_100_and_the_number_of_older_ones() {
    let setup = Installation::with_fixture();
    setup.schedule_many("double", &vec![Value::from(1); 130]);
    let output = setup.rework(["list-tasks"]).run_ok();
    assert_eq!(output.lines().len(), 100);
    assert!(output.lines()[99].starts_with("130 "), "the newest task is not the last line");
    assert!(output.stderr().contains("30 older tasks"), "{output}");
}

/// Scenario RW-31 of the original rework in Python.
#[test]
fn list_workers_and_list_monitors_show_the_facts_of_each() {
    let setup = Installation::with_fixture();
    let monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let line = |command: &str| normalized(&setup, &setup.rework([command]).run_ok().stdout());
    let process = "<X> <X>@<host> <X> Mb <X>%";
    let idle = format!("{process} [running (idle)] {TIME} → {TIME}");
    setup.wait_until("a worker is idle", || line("list-workers") == idle);
    let task = setup.schedule_without_input("forever");
    setup.wait_until_logged(task, "for ever");
    assert_eq!(line("list-workers"), format!("{process} [running #<X>] {TIME} → {TIME}"));
    let listed = line("list-monitors");
    let expected = format!("<X> {} default options(", &TIME[1..TIME.len() - 1]);
    assert!(listed.starts_with(&expected), "{listed}");
    for option in ["maxmem=<X>", "maxruns=<X>", "maxworkers=<X>", "minworkers=<X>"] {
        assert!(listed.contains(option), "no `{option}` in {listed}");
    }
    assert!(listed.contains("containment=") && listed.contains("memory="), "{listed}");
    drop(monitor);
}

/// Scenario RW-31 of the original rework in Python.
#[test]
fn the_json_of_a_task_has_the_documented_keys() {
    let setup = Installation::with_fixture();
    let task = setup.schedule("double", 1).to_string();
    let keys = "id, operation, domain, host, state, priority, attempt, attempts, \
                run, worker, queued_at, delayed_until, started_at, finished_at, input, output, \
                error, reason, progress, unique_key, metadata, revision, retry, pause, flow, step";
    let mut keys: Vec<&str> = keys.split(", ").collect();
    keys.sort_unstable();
    let shown = setup.rework(["show-task", &task, "-o", "json"]).run_ok().json();
    let listed = setup.rework(["list-tasks", "-o", "json"]).run_ok().json();
    let line = setup.rework(["list-tasks", "-o", "jsonl"]).run_ok().json();
    for task in [&shown, &listed[0], &line] {
        let mut actual_keys: Vec<&str> =
            task.as_object().unwrap().keys().map(String::as_str).collect();
        actual_keys.sort_unstable();
        assert_eq!(actual_keys, keys);
    }
    assert!(shown["queued_at"].as_str().unwrap().ends_with('Z'), "the time is not in UTC: {shown}");
}
