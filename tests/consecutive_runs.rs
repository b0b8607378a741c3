//! Many runs that a runner executes one after the other without waiting for its worker: output, processes and results
//! are attributed to the run that they belong to.

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::batches::Batches;
use crate::support::processes;
use crate::support::scale::count;

/// Returns inputs for `total` tasks of `Batches`. One task of every `interval` has the given effect, the others only
/// return their number.
fn inputs_with_effect(total: usize, interval: usize, effect: &str) -> Vec<Value> {
    let has_effect = |number: usize| number % interval == interval / 2;
    let input = |number| if has_effect(number) { json!({"effect": effect}) } else { json!({}) };
    (0..total).map(input).collect()
}

#[test]
fn output_is_logged_for_the_run_that_wrote_it() {
    let batches = Batches::with_workers("1");
    let inputs = inputs_with_effect(count(400, 20_000), 2, "prints_number");
    let tasks = batches.schedule(&inputs);
    for (number, task) in batches.wait_until_ended(&tasks).iter().enumerate() {
        assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
        let mut log = batches.setup.log_lines(task.id);
        log.sort();
        let mut expected = Vec::new();
        if number % 2 == 1 {
            expected =
                ["kernel", "logger", "stderr", "stdout"].map(|w| format!("{w} {number}")).to_vec();
        }
        assert_eq!(log, expected, "task {} with number {number}", task.id);
    }
    let sql = "select count(*) from rework.log where not whole";
    let partial_lines: i64 = batches.setup.session().query_value(sql, &[]);
    assert_eq!(
        partial_lines,
        tasks.len() as i64 / 2,
        "one line without a newline for each run that prints"
    );
}

#[test]
fn a_runner_that_dies_fails_only_its_current_run() {
    let batches = Batches::with_workers("1");
    let tasks = batches.schedule(&inputs_with_effect(200, 50, "kills_itself"));
    for (number, task) in batches.wait_until_ended(&tasks).iter().enumerate() {
        if number % 50 == 25 {
            assert_eq!(task.state, State::Failed);
            assert!(task.reason().contains("signal 6"), "{}", task.reason());
            assert_eq!(batches.setup.log_lines(task.id), ["my last line"]);
        } else {
            assert_eq!((task.state, task.attempt), (State::Done, 1), "{number}: {}", task.reason());
            assert_eq!(task.output, json!(number));
        }
    }
    assert!(batches.run_counts().values().all(|count| *count == 1), "a task ran twice");
}

#[test]
fn a_run_that_fails_does_not_disturb_the_other_runs() {
    let batches = Batches::with_workers("1");
    let tasks = batches.schedule(&inputs_with_effect(100, 10, "panics"));
    for (number, task) in batches.wait_until_ended(&tasks).iter().enumerate() {
        let (state, reason) = match number % 10 {
            5 => (State::Failed, format!("panic: at number {number}")),
            _ => (State::Done, String::new()),
        };
        assert_eq!((task.state, task.run), (state, 1));
        assert!(task.reason().starts_with(&reason), "{}", task.reason());
        assert!(task.started_at <= task.finished_at);
    }
}

#[test]
fn processes_that_a_run_leaves_are_killed_before_its_end_is_recorded() {
    for effect in ["leaves_a_child", "leaves_an_orphan"] {
        let batches = Batches::with_workers("1");
        let tasks = batches.schedule(&inputs_with_effect(60, 20, effect));
        for (number, task) in tasks.iter().enumerate() {
            let task = batches.setup.wait_until_ended(*task);
            assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
            if number % 20 == 10 {
                let log = batches.setup.log_lines(task.id);
                let pid: i32 = log[0].parse().unwrap();
                assert!(
                    !processes::is_alive(pid),
                    "{effect}: process {pid} of task {} still runs",
                    task.id
                );
            }
        }
        assert!(batches.run_counts().values().all(|count| *count == 1), "a task ran twice");
    }
}

#[test]
fn a_drain_requeues_runs_that_were_sent_but_not_started() {
    let mut batches = Batches::with_workers("2");
    let mut tasks = Vec::new();
    for _ in 0..count(5, 40) {
        let scheduled = batches.schedule(&vec![json!({"milliseconds": 0}); 1_000]);
        batches.setup.wait_until("some tasks are done", || {
            let sql =
                "select count(*) > 100 from rework.task where state = 'done' and id = any ($1)";
            batches.setup.session().query_value::<bool>(sql, &[&scheduled])
        });
        batches.restart();
        tasks.extend(scheduled);
    }
    for task in batches.wait_until_ended(&tasks) {
        assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
    }
    let sql = "select count(*) from rework.log where stream <> 'stdout'";
    assert_eq!(batches.setup.session().query_value::<i64>(sql, &[]), 0);
}
