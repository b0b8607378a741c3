//! What lists look like: the facts that people know, in the order that they know.

use serde_json::Value;

use crate::support::Installation;

/// With `<X>` for each row of digits, one blank between words, and the test's host as `<host>`.
fn shape(place: &Installation, line: &str) -> String {
    let mut shape = String::new();
    for c in line.replace(place.host(), "<host>").chars() {
        match c {
            '0'..='9' if shape.ends_with("<X>") => {}
            '0'..='9' => shape.push_str("<X>"),
            ' ' if shape.ends_with(' ') => {}
            c => shape.push(c),
        }
    }
    shape.trim().to_owned()
}

const MOMENT: &str = "[<X>-<X>-<X> <X>:<X>:<X>.<X>+<X>:<X>]";

/// Scenario RW-31.
#[test]
fn list_tasks_shows_the_facts_of_each_task() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let done = place.done(place.schedule("double", 1)).id;
    let forever = place.schedule_plain("forever");
    place.writes(forever, "for ever");
    place.schedule_plain("noinput");
    place.rework(["abort-task", &forever.to_string(), "--wait"]).ok();
    let queued = place.schedule("other_dom", 1);
    place.done(queued - 1);
    let shapes = |args: &[&str]| -> Vec<String> {
        let said = place.rework(["list-tasks"]).args(args).ok();
        said.lines().iter().map(|line| shape(&place, line)).collect()
    };
    let life = [MOMENT; 3].join(" → ");
    assert_eq!(
        shapes(&[]),
        [
            format!("<X> double done domain=default {life}"),
            format!("<X> forever aborted domain=default {life} aborted from the command line"),
            format!("<X> noinput done domain=default {life}"),
            format!("<X> other_dom queued domain=nondefault {MOMENT}"),
        ]
    );
    assert_eq!(shapes(&["--domain", "nosuch"]), Vec::<String>::new());
    assert_eq!(shapes(&["--domain", "nondefault"]).len(), 1);
    let counted = place.rework(["list-tasks", "--logcount", "--limit", "100"]).ok().lines();
    assert!(counted[0].contains(" 2 log lines "), "{counted:?}");
    let ids = place.rework(["list-tasks", "-q", "--state", "done,queued"]).ok().lines();
    assert_eq!(ids, [done, queued - 1, queued].map(|id| id.to_string()));
}

/// Scenario RW-31.
#[test]
fn list_tasks_shows_the_last_ones_and_how_many_more() {
    let place = Installation::with_fixture();
    place.schedule_many("double", &vec![Value::from(1); 130]);
    let said = place.rework(["list-tasks"]).ok();
    assert_eq!(said.lines().len(), 100);
    assert!(said.lines()[99].starts_with("130 "), "the newest is at the prompt");
    assert!(said.stderr().contains("30 older tasks"), "{said}");
}

/// Scenario RW-31.
#[test]
fn list_workers_and_list_monitors_show_the_facts_of_each() {
    let place = Installation::with_fixture();
    let monitor = place.monitor(&["--maxworkers", "1"]);
    let line = |command: &str| shape(&place, &place.rework([command]).ok().stdout());
    let process = "<X> <X>@<host> <X> Mb <X>%";
    let idle = format!("{process} [running (idle)] {MOMENT} → {MOMENT}");
    place.until("a worker is idle", || line("list-workers") == idle);
    let task = place.schedule_plain("forever");
    place.writes(task, "for ever");
    assert_eq!(line("list-workers"), format!("{process} [running #<X>] {MOMENT} → {MOMENT}"));
    let listed = line("list-monitors");
    let expected = format!("<X> {} default options(", &MOMENT[1..MOMENT.len() - 1]);
    assert!(listed.starts_with(&expected), "{listed}");
    for option in ["maxmem=<X>", "maxruns=<X>", "maxworkers=<X>", "minworkers=<X>"] {
        assert!(listed.contains(option), "no `{option}` in {listed}");
    }
    assert!(listed.contains("containment=") && listed.contains("memory="), "{listed}");
    drop(monitor);
}

/// Scenario RW-31.
#[test]
fn a_task_in_json_has_its_keys() {
    let place = Installation::with_fixture();
    let task = place.schedule("double", 1).to_string();
    let keys = "id, operation, domain, host, state, priority, attempt, attempts, \
                run, worker, queued_at, delayed_until, started_at, finished_at, input, output, \
                error, reason, progress, unique_key, metadata, revision";
    let mut keys: Vec<&str> = keys.split(", ").collect();
    keys.sort_unstable();
    let shown = place.rework(["show-task", &task, "-o", "json"]).ok().json();
    let listed = place.rework(["list-tasks", "-o", "json"]).ok().json();
    let line = place.rework(["list-tasks", "-o", "jsonl"]).ok().json();
    for task in [&shown, &listed[0], &line] {
        let mut found: Vec<&str> = task.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, keys);
    }
    assert!(shown["queued_at"].as_str().unwrap().ends_with('Z'), "UTC: {shown}");
}
