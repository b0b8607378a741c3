//! Who gets which task: each once, in order, and only of the worker's own domain.

use std::collections::BTreeSet;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::scale::count;
use crate::support::{Installation, wait};

/// Scenario RW-3.
#[test]
fn each_task_is_executed_exactly_once() {
    let place = Installation::with_fixture();
    let inputs: Vec<Value> = (1..=count(100, 1000)).map(|number| json!(number)).collect();
    let tasks = place.schedule_many("double", &inputs);
    let _monitor = place.monitor(&["--maxworkers", "4"]);
    for (task, input) in tasks.iter().zip(&inputs) {
        let task = place.done(*task);
        assert_eq!(task.run, 1, "claimed once");
        assert_eq!(task.output, json!(input.as_i64().unwrap() * 2));
        assert_eq!(place.log(task.id), ["I am running", "I am done"], "executed once");
    }
    let workers: i64 = place.session().one("select count(distinct worker) from rework.task", &[]);
    assert!(workers > 1, "they were shared out");
}

/// Scenario RW-3.
#[test]
fn one_worker_takes_tasks_in_order() {
    let place = Installation::with_fixture();
    let inputs: Vec<Value> = (1..=30).map(|number| json!(number)).collect();
    let tasks = place.schedule_many("double", &inputs);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    for task in &tasks {
        place.done(*task);
    }
    assert_eq!(in_the_order_of_their_starts(&place), tasks);
    let session = place.session();
    let by_their_lines: Vec<i64> =
        session.all("select task from rework.log group by task order by min(id)", &[]);
    assert_eq!(by_their_lines, tasks);
}

fn in_the_order_of_their_starts(place: &Installation) -> Vec<i64> {
    place.session().all("select id from rework.task order by started_at", &[])
}

#[test]
fn a_higher_priority_goes_first() {
    let place = Installation::with_fixture();
    let [low, usual, high] = ["-5", "0", "7"].map(|priority| {
        place.rework(["schedule", "double", "--input", "1", "--priority", priority]).ok().id()
    });
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    for task in [low, usual, high] {
        place.done(task);
    }
    assert_eq!(in_the_order_of_their_starts(&place), [high, usual, low]);
}

/// Scenario RW-4.
#[test]
fn a_monitor_runs_only_tasks_of_its_domain() {
    let place = Installation::with_fixture();
    let elsewhere = place.schedule("other_dom", 1);
    let here = place.schedule("double", 1);
    let monitor = place.monitor(&["--maxworkers", "1"]);
    place.done(here);
    wait::stays("the task of another domain is queued", wait::A_WHILE, || {
        place.task(elsewhere).state == State::Queued
    });
    drop(monitor);
    let late = place.schedule("double", 2);
    let _monitor = place.awaited_monitor(&["--domain", "nondefault", "--maxworkers", "1"]);
    place.done(elsewhere);
    wait::stays("the task of the default domain is queued", wait::A_WHILE, || {
        place.task(late).state == State::Queued
    });
}

#[test]
fn without_a_domain_a_monitor_serves_all_that_are_placed_here() {
    let place = Installation::with_fixture();
    let tasks = [place.schedule("double", 1), place.schedule("other_dom", 1)];
    let _monitor = place.awaited_monitor(&["--maxworkers", "1"]);
    for task in tasks {
        place.done(task);
    }
    let domains: Vec<String> = place.session().one("select domains from rework.monitor", &[]);
    let domains: BTreeSet<&str> = domains.iter().map(String::as_str).collect();
    assert_eq!(domains, BTreeSet::from(["default", "nondefault"]));
}

/// Scenario RW-4.
#[test]
fn a_pinned_task_waits_for_its_host() {
    let place = Installation::with_fixture();
    let pinned = place.rework(["schedule", "noinput", "--host", "elsewhere"]).ok();
    assert!(pinned.stderr().contains("elsewhere"), "a warning: {pinned}");
    let free = place.schedule_plain("noinput");
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    place.done(free);
    assert_eq!(place.task(pinned.id()).state, State::Queued);
}
