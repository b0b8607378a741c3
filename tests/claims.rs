//! Claims: each task is claimed once, in order of priority, and only by workers of its domain and host.

use std::collections::BTreeSet;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::scale::count;
use crate::support::{Installation, wait};

/// Scenario RW-3 of the original rework in Python.
#[test]
fn each_task_is_executed_exactly_once() {
    let setup = Installation::with_fixture();
    let inputs: Vec<Value> = (1..=count(100, 1000)).map(|number| json!(number)).collect();
    let tasks = setup.schedule_many("double", &inputs);
    let _monitor = setup.start_monitor(&["--maxworkers", "4"]);
    for (task, input) in tasks.iter().zip(&inputs) {
        let task = setup.wait_until_done(*task);
        assert_eq!(task.attempt, 1, "the task was started twice");
        assert_eq!(task.output, json!(input.as_i64().unwrap() * 2));
        assert_eq!(
            setup.log_lines(task.id),
            ["I am running", "I am done"],
            "the code did not run exactly once"
        );
    }
    let workers: i64 =
        setup.session().query_value("select count(distinct worker) from rework.task", &[]);
    assert!(workers > 1, "one worker ran all tasks");
}

/// Scenario RW-3 of the original rework in Python.
#[test]
fn one_worker_runs_tasks_in_order() {
    let setup = Installation::with_fixture();
    let inputs: Vec<Value> = (1..=30).map(|number| json!(number)).collect();
    let tasks = setup.schedule_many("double", &inputs);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    for task in &tasks {
        setup.wait_until_done(*task);
    }
    assert_eq!(task_ids_by_start(&setup), tasks);
    let session = setup.session();
    let task_ids_by_log: Vec<i64> =
        session.query_values("select task from rework.log group by task order by min(id)", &[]);
    assert_eq!(task_ids_by_log, tasks);
}

fn task_ids_by_start(setup: &Installation) -> Vec<i64> {
    setup.session().query_values("select id from rework.task order by started_at", &[])
}

#[test]
fn a_task_with_higher_priority_runs_first() {
    let setup = Installation::with_fixture();
    let [low, normal, high] = ["-5", "0", "7"].map(|priority| {
        setup.rework(["schedule", "double", "--input", "1", "--priority", priority]).run_ok().id()
    });
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    for task in [low, normal, high] {
        setup.wait_until_done(task);
    }
    assert_eq!(task_ids_by_start(&setup), [high, normal, low]);
}

/// Scenario RW-4 of the original rework in Python.
#[test]
fn a_monitor_runs_only_tasks_of_its_domain() {
    let setup = Installation::with_fixture();
    let other_domain = setup.schedule("other_domain", 1);
    let own_domain = setup.schedule("double", 1);
    let monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(own_domain);
    wait::assert_stays_true("the task of another domain is queued", wait::OBSERVATION_TIME, || {
        setup.task(other_domain).state == State::Queued
    });
    drop(monitor);
    let second = setup.schedule("double", 2);
    let _monitor = setup.start_monitor_with_args(&["--domain", "nondefault", "--maxworkers", "1"]);
    setup.wait_until_done(other_domain);
    wait::assert_stays_true(
        "the task of the default domain is queued",
        wait::OBSERVATION_TIME,
        || setup.task(second).state == State::Queued,
    );
}

#[test]
fn a_monitor_without_domains_serves_all_domains_of_its_host() {
    let setup = Installation::with_fixture();
    let tasks = [setup.schedule("double", 1), setup.schedule("other_domain", 1)];
    let _monitor = setup.start_monitor_with_args(&["--maxworkers", "1"]);
    for task in tasks {
        setup.wait_until_done(task);
    }
    let domains: Vec<String> =
        setup.session().query_value("select domains from rework.monitor", &[]);
    let domains: BTreeSet<&str> = domains.iter().map(String::as_str).collect();
    assert_eq!(domains, BTreeSet::from(["default", "nondefault"]));
}

/// Scenario RW-4 of the original rework in Python.
#[test]
fn a_pinned_task_waits_for_its_host() {
    let setup = Installation::with_fixture();
    let pinned = setup.rework(["schedule", "noinput", "--host", "elsewhere"]).run_ok();
    assert!(pinned.stderr().contains("elsewhere"), "no warning: {pinned}");
    let not_pinned = setup.schedule_without_input("noinput");
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(not_pinned);
    assert_eq!(setup.task(pinned.id()).state, State::Queued);
}
