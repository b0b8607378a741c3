//! Runs that follow one another in a runner without a pause: every byte, every process and every end
//! is still its own run's.

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::batches::Batches;
use crate::support::processes;
use crate::support::scale::count;

/// So many tasks of a number, among which every so many'th does something besides.
fn mixed(total: usize, each: usize, besides: &str) -> Vec<Value> {
    let plain = |number: usize| number % each != each / 2;
    let task = |number| if plain(number) { json!({}) } else { json!({"besides": besides}) };
    (0..total).map(task).collect()
}

#[test]
fn every_byte_is_the_own_runs() {
    let batches = Batches::with_workers("1");
    let besides = mixed(count(400, 20_000), 2, "prints");
    let tasks = batches.schedule(&besides);
    for (number, task) in batches.ended(&tasks).iter().enumerate() {
        assert_eq!((task.state, task.run), (State::Done, 1), "{}", task.reason());
        let mut log = batches.place.log(task.id);
        log.sort();
        let mut expected = Vec::new();
        if number % 2 == 1 {
            expected =
                ["kernel", "logger", "stderr", "stdout"].map(|w| format!("{w} {number}")).to_vec();
        }
        assert_eq!(log, expected, "task {} of {number}", task.id);
    }
    let sql = "select count(*) from rework.log where not whole";
    let unfinished: i64 = batches.place.session().one(sql, &[]);
    assert_eq!(unfinished, tasks.len() as i64 / 2, "no newline followed");
}

#[test]
fn a_runner_that_dies_takes_along_the_run_in_hand_alone() {
    let batches = Batches::with_workers("1");
    let besides = mixed(200, 50, "dies");
    let tasks = batches.schedule(&besides);
    for (number, task) in batches.ended(&tasks).iter().enumerate() {
        if number % 50 == 25 {
            assert_eq!(task.state, State::Failed);
            assert!(task.reason().contains("signal 6"), "{}", task.reason());
            assert_eq!(batches.place.log(task.id), ["my last words"]);
        } else {
            assert_eq!((task.state, task.attempt), (State::Done, 1), "{number}: {}", task.reason());
            assert_eq!(task.output, json!(number));
        }
    }
    assert!(batches.noted().values().all(|times| *times == 1), "each ran once");
}

#[test]
fn what_fails_does_not_hold_up_the_others() {
    let batches = Batches::with_workers("1");
    let tasks = batches.schedule(&mixed(100, 10, "panics"));
    for (number, task) in batches.ended(&tasks).iter().enumerate() {
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
fn what_a_run_leaves_is_gone_before_its_end_is_recorded() {
    for leaves in ["leaves_a_child", "leaves_an_orphan"] {
        let batches = Batches::with_workers("1");
        let tasks = batches.schedule(&mixed(60, 20, leaves));
        for (number, task) in tasks.iter().enumerate() {
            let task = batches.place.ended(*task);
            assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
            if number % 20 == 10 {
                let log = batches.place.log(task.id);
                let pid: i32 = log[0].parse().unwrap();
                assert!(
                    !processes::is_alive(pid),
                    "{leaves}: {pid} of task {} is still there",
                    task.id
                );
            }
        }
        assert!(batches.noted().values().all(|times| *times == 1), "each ran once");
    }
}

#[test]
fn a_drain_takes_back_what_was_sent_ahead() {
    let mut batches = Batches::with_workers("2");
    let mut tasks = Vec::new();
    for _ in 0..count(5, 40) {
        let queue = batches.schedule(&vec![json!({"milliseconds": 0}); 1_000]);
        batches.place.until("some are done", || {
            let sql =
                "select count(*) > 100 from rework.task where state = 'done' and id = any ($1)";
            batches.place.session().one::<bool>(sql, &[&queue])
        });
        batches.restart();
        tasks.extend(queue);
    }
    for task in batches.ended(&tasks) {
        assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
    }
    let sql = "select count(*) from rework.log where stream <> 'stdout'";
    assert_eq!(batches.place.session().one::<i64>(sql, &[]), 0);
}
