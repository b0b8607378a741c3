//! Batches: a worker that has observed that the tasks of an operation are short claims several at once.
//!
//! Each task of a batch must end as if it had been claimed alone, whatever happens to the other tasks, to the runner or
//! to the worker. The struct `Batches` is also used by `consecutive_runs.rs` and `scan_start.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::Installation;
use crate::support::monitor::Monitor;
use crate::support::scale::count;
use crate::support::session::Session;
use crate::support::task::Task;

/// An installation whose workers have observed that tasks of `appends_number` are short, and so claim batches of them.
pub(crate) struct Batches {
    pub(crate) setup: Installation,
    /// The file to which each run appends its number.
    numbers_file: PathBuf,
    /// The number of workers, as an argument of the monitor.
    workers: String,
    monitor: Monitor,
}

impl Batches {
    /// Starts a monitor with a fixed number of workers and runs 100 tasks, so that the workers measure their duration.
    pub(crate) fn with_workers(workers: &str) -> Batches {
        let setup = Installation::with_fixture();
        let monitor = setup.start_monitor(&["--minworkers", workers, "--maxworkers", workers]);
        let numbers_file = setup.folder().join("numbers");
        let batches = Batches { setup, numbers_file, workers: workers.to_owned(), monitor };
        for task in batches.schedule(&vec![json!({}); 100]) {
            batches.setup.wait_until_done(task);
        }
        fs::remove_file(&batches.numbers_file).unwrap();
        batches
    }

    /// Schedules one task for each element. The index of the element is the number of the task. The element has the
    /// other fields of the input, for example `effect`.
    pub(crate) fn schedule(&self, options: &[Value]) -> Vec<i64> {
        let input = |(number, options): (usize, &Value)| {
            let mut input = options.clone();
            input["path"] = json!(self.numbers_file);
            input["number"] = json!(number);
            input
        };
        let inputs: Vec<Value> = options.iter().enumerate().map(input).collect();
        self.setup.schedule_many("appends_number", &inputs)
    }

    /// Drains the monitor, asserts that it exits with code 0, and starts another one.
    pub(crate) fn restart(&mut self) {
        self.monitor.signal(Signal::SIGTERM);
        assert_eq!(self.monitor.wait_for_exit_code(), Some(0));
        let workers = ["--minworkers", &self.workers, "--maxworkers", &self.workers];
        self.monitor = self.setup.start_monitor_with_args(&workers);
    }

    /// Returns the input of a task that appends its number to another file, so that `run_counts` does not include it.
    pub(crate) fn uncounted_input(&self) -> Value {
        json!({"path": self.setup.folder().join("uncounted"), "number": 0})
    }

    /// Returns how many times each task has run, by the number of the task. Tasks that have not run are missing.
    pub(crate) fn run_counts(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for line in fs::read_to_string(&self.numbers_file).unwrap_or_default().lines() {
            *counts.entry(line.parse().unwrap()).or_default() += 1;
        }
        counts
    }

    /// Waits until all tasks have ended and returns their rows.
    pub(crate) fn wait_until_ended(&self, tasks: &[i64]) -> Vec<Task> {
        tasks.iter().map(|task| self.setup.wait_until_ended(*task)).collect()
    }

    /// Returns how many claims were returned to the queue before the code of their run started.
    fn requeued_claims(&self) -> i64 {
        self.setup
            .session()
            .query_value("select count(*) from rework.run where outcome = 'not_started'", &[])
    }
}

#[test]
fn the_tasks_of_a_batch_run_once_and_in_order() {
    let batches = Batches::with_workers("1");
    let tasks = batches.schedule(&vec![json!({}); count(500, 20_000)]);
    let ended = batches.wait_until_ended(&tasks);
    for (number, task) in ended.iter().enumerate() {
        assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
        assert_eq!(task.output, json!(number));
        assert!(task.started_at <= task.finished_at);
    }
    assert!(batches.run_counts().values().all(|count| *count == 1), "a task ran twice");
    let order = fs::read_to_string(&batches.numbers_file).unwrap();
    assert!(
        order.lines().map(|line| line.parse::<usize>().unwrap()).is_sorted(),
        "tasks ran in another order"
    );
    // `xmin` is the transaction that wrote the row last: the one that recorded the end.
    let transactions: i64 = batches.setup.session().query_value(
        "select count(distinct xmin::text) from rework.task where id = any ($1)",
        &[&tasks],
    );
    assert!(
        transactions < tasks.len() as i64,
        "each end was recorded alone: {transactions} transactions"
    );
}

#[test]
fn no_task_waits_for_a_long_task_of_its_batch() {
    let batches = Batches::with_workers("2");
    let mut options = vec![json!({}); 200];
    options[20] = json!({"milliseconds": 3000});
    let tasks = batches.schedule(&options);
    let ended = batches.wait_until_ended(&tasks);
    let long = &ended[20];
    for task in &ended {
        assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
        assert!(task.finished_at <= long.finished_at, "task {} waited for the long one", task.id);
    }
    assert_eq!(long.run, 1);
    assert!(batches.requeued_claims() > 0, "no task was claimed together with the long one");
    assert!(batches.run_counts().values().all(|count| *count == 1), "a task ran twice");
}

#[test]
fn a_worker_that_dies_in_a_batch_loses_only_started_runs() {
    let batches = Batches::with_workers("1");
    let mut options = vec![json!({}); 60];
    options[30] = json!({"effect": "kills_worker"});
    let tasks = batches.schedule(&options);
    let ended = batches.wait_until_ended(&tasks);
    for (number, task) in ended.iter().enumerate() {
        let as_expected = match number {
            // The run ended. Its end may or may not have been recorded before the worker died.
            0..30 => task.run == 1 && matches!(task.state, State::Done | State::Lost),
            30 => task.run == 1 && task.state == State::Lost,
            _ => task.state == State::Done && task.attempt == 1,
        };
        assert!(as_expected, "{number}: {task:?}\n{}", batches.setup.diagnostics());
    }
    assert!(ended[31].run > 1, "task 31 was not in the batch of task 30");
    let counts = batches.run_counts();
    assert!(counts.len() == tasks.len() && counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn aborts_in_a_batch_end_only_the_tasks_that_they_name() {
    let batches = Batches::with_workers("1");
    let tasks = batches.schedule(&vec![json!({"milliseconds": 2}); count(300, 3_000)]);
    let requested: Vec<i64> = tasks.iter().skip(1).step_by(3).copied().collect();
    for task in &requested {
        let sql = "select rework.abort($1, 'in a batch')";
        let _: String = batches.setup.session().query_value(sql, &[task]);
    }
    let mut aborted_after_claim = 0;
    for (number, task) in batches.wait_until_ended(&tasks).iter().enumerate() {
        let count = batches.run_counts().get(&number).copied().unwrap_or_default();
        match task.state {
            State::Done => assert_eq!((task.run >= 1, count), (true, 1), "{task:?}"),
            State::Aborted => {
                assert!(requested.contains(&task.id), "no abort was requested: {task:?}");
                assert_eq!(task.reason(), "aborted in a batch");
                assert!(count <= 1, "{task:?}");
                aborted_after_claim += usize::from(task.run == 1 && count == 0);
            }
            other => panic!("{other}: {task:?}\n{}", batches.setup.diagnostics()),
        }
    }
    eprintln!("{aborted_after_claim} of {} were aborted between claim and start", requested.len());
}

#[test]
fn a_task_whose_row_is_locked_does_not_delay_other_tasks() {
    let batches = Batches::with_workers("1");
    let mut options = vec![json!({}); 60];
    // The row is locked while this task runs.
    options[20] = json!({"milliseconds": 2000});
    let tasks = batches.schedule(&options);
    let locked = tasks[20];
    batches
        .setup
        .wait_until("the task is running", || batches.setup.task(locked).state == State::Running);
    let session = Session::open(batches.setup.dsn());
    session.execute("begin");
    let _: i64 =
        session.query_value("select id from rework.task where id = $1 for update", &[&locked]);
    for task in tasks.iter().filter(|task| **task != locked) {
        batches.setup.wait_until_done(*task);
    }
    assert_eq!(
        batches.setup.task(locked).state,
        State::Running,
        "the end was recorded in spite of the lock"
    );
    session.execute("commit");
    assert_eq!(batches.setup.wait_until_done(locked).run, 1);
    assert!(batches.run_counts().values().all(|count| *count == 1), "a task ran twice");
}

#[test]
fn a_claim_of_large_inputs_is_limited_by_their_size() {
    let batches = Batches::with_workers("1");
    let mut random = fastrand::Rng::with_seed(3);
    let mut large = || (0..40_000).map(|_| random.alphanumeric()).collect::<String>();
    let tasks = batches.schedule(&vec![json!({"padding": large()}); 60]);
    assert!(batches.wait_until_ended(&tasks).iter().all(|task| task.state == State::Done));
    // All tasks of one claim have the same token. The last task of a claim may exceed the limit, so it does not count.
    let sql = "select max(count)::bigint, max(bytes)::bigint
                 from (select count(*), sum(pg_column_size(input)) - min(pg_column_size(input)) as bytes
                         from rework.task where id = any ($1) group by token) as claim";
    let claims = &batches.setup.session().query(sql, &[&tasks])[0];
    let (max_tasks, max_bytes): (i64, i64) = (claims.get(0), claims.get(1));
    assert!(max_tasks > 1, "no batch was claimed");
    assert!(
        max_bytes <= 128 << 10,
        "{max_tasks} tasks in one claim, {max_bytes} bytes without the last task"
    );
}

#[test]
fn an_output_that_cannot_be_stored_fails_only_its_own_task() {
    let batches = Batches::with_workers("1");
    let mut options = vec![json!({}); 60];
    options[30] = json!({"effect": "returns_deep_json"});
    let tasks = batches.schedule(&options);
    for (number, task) in batches.wait_until_ended(&tasks).iter().enumerate() {
        if number == 30 {
            assert_eq!(task.state, State::Failed);
            assert!(task.reason().contains("stack depth"), "{}", task.reason());
        } else {
            assert_eq!((task.state, &task.output), (State::Done, &json!(number)));
        }
    }
    assert!(batches.run_counts().values().all(|count| *count == 1), "a task ran twice");
}
