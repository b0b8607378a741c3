//! Tasks that have proved short are claimed together. Each of them fares as if it had been claimed
//! alone: whatever happens to its neighbours, its worker or itself.

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

/// An installation whose worker has found out that `notes` is short.
pub(crate) struct Batches {
    pub(crate) place: Installation,
    notes: PathBuf,
    workers: String,
    monitor: Monitor,
}

impl Batches {
    pub(crate) fn with_workers(workers: &str) -> Batches {
        let place = Installation::with_fixture();
        let monitor = place.monitor(&["--minworkers", workers, "--maxworkers", workers]);
        let notes = place.folder().join("notes");
        let batches = Batches { place, notes, workers: workers.to_owned(), monitor };
        for task in batches.schedule(&vec![json!({}); 100]) {
            batches.place.done(task);
        }
        fs::remove_file(&batches.notes).unwrap();
        batches
    }

    /// Tasks that note their places, from 0, and what each does besides.
    pub(crate) fn schedule(&self, besides: &[Value]) -> Vec<i64> {
        let input = |(number, besides): (usize, &Value)| {
            let mut input = besides.clone();
            input["path"] = json!(self.notes);
            input["number"] = json!(number);
            input
        };
        let inputs: Vec<Value> = besides.iter().enumerate().map(input).collect();
        self.place.schedule_many("notes", &inputs)
    }

    /// Drains the monitor, and starts another.
    pub(crate) fn restart(&mut self) {
        self.monitor.signal(Signal::SIGTERM);
        assert_eq!(self.monitor.exit_code(), Some(0));
        let workers = ["--minworkers", &self.workers, "--maxworkers", &self.workers];
        self.monitor = self.place.awaited_monitor(&workers);
    }

    /// The input of one that nobody counts.
    pub(crate) fn one(&self) -> Value {
        json!({"path": self.place.folder().join("uncounted"), "number": 0})
    }

    /// How often each has run.
    pub(crate) fn noted(&self) -> BTreeMap<usize, usize> {
        let mut noted = BTreeMap::new();
        for line in fs::read_to_string(&self.notes).unwrap_or_default().lines() {
            *noted.entry(line.parse().unwrap()).or_default() += 1;
        }
        noted
    }

    pub(crate) fn ended(&self, tasks: &[i64]) -> Vec<Task> {
        tasks.iter().map(|task| self.place.ended(*task)).collect()
    }

    /// How many claims were given back before their code began.
    fn given_back(&self) -> i64 {
        self.place.session().one("select count(*) from rework.run where outcome = 'unbegun'", &[])
    }
}

#[test]
fn each_of_a_batch_runs_once_in_order() {
    let batches = Batches::with_workers("1");
    let tasks = batches.schedule(&vec![json!({}); count(500, 20_000)]);
    let ended = batches.ended(&tasks);
    for (number, task) in ended.iter().enumerate() {
        assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
        assert_eq!(task.output, json!(number));
        assert!(task.started_at <= task.finished_at);
    }
    assert!(batches.noted().values().all(|times| *times == 1), "each ran once");
    let order = fs::read_to_string(&batches.notes).unwrap();
    assert!(order.lines().map(|line| line.parse::<usize>().unwrap()).is_sorted(), "in order");
    let claims: i64 = batches
        .place
        .session()
        .one("select count(distinct xmin::text) from rework.task where id = any ($1)", &[&tasks]);
    assert!(claims < tasks.len() as i64, "some were recorded together: {claims} transactions");
}

#[test]
fn nothing_waits_behind_a_task_that_takes_long() {
    let batches = Batches::with_workers("2");
    let mut besides = vec![json!({}); 200];
    besides[20] = json!({"milliseconds": 3000});
    let tasks = batches.schedule(&besides);
    let ended = batches.ended(&tasks);
    let long = &ended[20];
    for task in &ended {
        assert_eq!((task.state, task.attempt), (State::Done, 1), "{}", task.reason());
        assert!(task.finished_at <= long.finished_at, "task {} waited for the long one", task.id);
    }
    assert_eq!(long.run, 1);
    assert!(batches.given_back() > 0, "some were claimed with the long one");
    assert!(batches.noted().values().all(|times| *times == 1), "each ran once");
}

#[test]
fn a_worker_that_dies_in_a_batch_takes_along_only_what_began() {
    let batches = Batches::with_workers("1");
    let mut besides = vec![json!({}); 60];
    besides[30] = json!({"besides": "kills_worker"});
    let tasks = batches.schedule(&besides);
    let ended = batches.ended(&tasks);
    for (number, task) in ended.iter().enumerate() {
        let as_expected = match number {
            // It ran; whether its end was recorded before the worker died, nobody can say.
            0..30 => task.run == 1 && matches!(task.state, State::Done | State::Lost),
            30 => task.run == 1 && task.state == State::Lost,
            _ => task.state == State::Done && task.attempt == 1,
        };
        assert!(as_expected, "{number}: {task:?}\n{}", batches.place.scene());
    }
    assert!(ended[31].run > 1, "it had been claimed with the one before it");
    let noted = batches.noted();
    assert!(noted.len() == tasks.len() && noted.values().all(|times| *times == 1), "{noted:?}");
}

#[test]
fn aborts_of_a_batch_meet_only_those_that_they_name() {
    let batches = Batches::with_workers("1");
    let tasks = batches.schedule(&vec![json!({"milliseconds": 2}); count(300, 3_000)]);
    let asked: Vec<i64> = tasks.iter().skip(1).step_by(3).copied().collect();
    for task in &asked {
        let sql = "select rework.abort($1, 'in a batch')";
        let _: String = batches.place.session().one(sql, &[task]);
    }
    let noted = || batches.noted();
    let mut aborted_in_hand = 0;
    for (number, task) in batches.ended(&tasks).iter().enumerate() {
        let times = noted().get(&number).copied().unwrap_or_default();
        match task.state {
            State::Done => assert_eq!((task.run >= 1, times), (true, 1), "{task:?}"),
            State::Aborted => {
                assert!(asked.contains(&task.id), "nobody asked: {task:?}");
                assert_eq!(task.reason(), "aborted in a batch");
                assert!(times <= 1, "{task:?}");
                aborted_in_hand += usize::from(task.run == 1 && times == 0);
            }
            other => panic!("{other}: {task:?}\n{}", batches.place.scene()),
        }
    }
    eprintln!("{aborted_in_hand} of {} aborted after the claim and before they began", asked.len());
}

#[test]
fn a_task_that_somebodys_transaction_holds_delays_no_other() {
    let batches = Batches::with_workers("1");
    let mut besides = vec![json!({}); 60];
    besides[20] = json!({"milliseconds": 2000});
    let tasks = batches.schedule(&besides);
    let held = tasks[20];
    batches.place.until("it runs", || batches.place.task(held).state == State::Running);
    let session = Session::open(batches.place.dsn());
    session.run("begin");
    let _: i64 = session.one("select id from rework.task where id = $1 for update", &[&held]);
    for task in tasks.iter().filter(|task| **task != held) {
        batches.place.done(*task);
    }
    assert_eq!(batches.place.task(held).state, State::Running, "its end cannot be recorded yet");
    session.run("commit");
    assert_eq!(batches.place.done(held).run, 1);
    assert!(batches.noted().values().all(|times| *times == 1), "each ran once");
}

#[test]
fn large_inputs_are_claimed_a_few_at_a_time() {
    let batches = Batches::with_workers("1");
    let mut random = fastrand::Rng::with_seed(3);
    let mut large = || (0..40_000).map(|_| random.alphanumeric()).collect::<String>();
    let tasks = batches.schedule(&vec![json!({"padding": large()}); 60]);
    assert!(batches.ended(&tasks).iter().all(|task| task.state == State::Done));
    let sql = "select max(count)::bigint, max(bytes)::bigint
                 from (select count(*), sum(pg_column_size(input)) - min(pg_column_size(input)) as bytes
                         from rework.task where id = any ($1) group by token) as claim";
    let claims = &batches.place.session().rows(sql, &[&tasks])[0];
    let (most, bytes): (i64, i64) = (claims.get(0), claims.get(1));
    assert!(most > 1, "they are short");
    assert!(bytes <= 128 << 10, "{most} tasks, {bytes} bytes before the last one");
}

#[test]
fn an_output_that_cannot_be_stored_takes_no_other_along() {
    let batches = Batches::with_workers("1");
    let mut besides = vec![json!({}); 60];
    besides[30] = json!({"besides": "gives_too_deep"});
    let tasks = batches.schedule(&besides);
    for (number, task) in batches.ended(&tasks).iter().enumerate() {
        if number == 30 {
            assert_eq!(task.state, State::Failed);
            assert!(task.reason().contains("stack depth"), "{}", task.reason());
        } else {
            assert_eq!((task.state, &task.output), (State::Done, &json!(number)));
        }
    }
    assert!(batches.noted().values().all(|times| *times == 1), "each ran once");
}
