//! Unique keys in several sessions at once: one task for each key, nobody waits except for the same key, and no input
//! is lost between a replacement and a claim.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use rework_core::task::state::State;
use serde_json::json;

use crate::support::Installation;
use crate::support::scale::count;
use crate::support::session::Session;
use crate::support::wait;
use crate::unique_keys::{Answer, hold, open_gate, schedule_once};

const SESSIONS: usize = 8;

/// Runs `job` in each of several sessions, all at the same time, and returns their results.
fn at_once<T: Send + 'static>(
    setup: &Installation,
    sessions: usize,
    job: impl Fn(usize, &Session) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let (job, barrier) = (Arc::new(job), Arc::new(Barrier::new(sessions)));
    let threads: Vec<_> = (0..sessions)
        .map(|number| {
            let (job, barrier, dsn) = (job.clone(), barrier.clone(), setup.dsn().to_owned());
            thread::spawn(move || {
                let session = Session::open(&dsn);
                barrier.wait();
                job(number, &session)
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn sessions_that_schedule_a_key_at_once_make_one_task() {
    const KEYS: usize = 25;
    let setup = Installation::with_fixture();
    // The keys of the first tasks are free again when the sessions start, so they take them from ended tasks.
    for key in 0..KEYS {
        let options = format!("unique_key => '{key}', unique_while => 'unfinished'");
        schedule_once(setup.session(), &format!("'double', '1', {options}"));
    }
    setup.session().execute("update rework.task set state = 'aborted', finished_at = now()");
    let answers = at_once(&setup, SESSIONS, |_, session| -> Vec<Answer> {
        let schedule = |key: usize| {
            let options = format!("unique_key => '{key}', unique_while => 'unfinished'");
            schedule_once(session, &format!("'double', '1', {options}"))
        };
        (0..2 * KEYS).map(schedule).collect()
    });
    for key in 0..2 * KEYS {
        let of_key: Vec<&Answer> = answers.iter().map(|answers| &answers[key]).collect();
        assert_eq!(of_key.iter().filter(|answer| answer.created).count(), 1, "{of_key:?}");
        assert!(of_key.iter().all(|answer| answer.task == of_key[0].task), "{of_key:?}");
    }
    let queued = "select count(*) from rework.task where state = 'queued'";
    assert_eq!(setup.session().query_value::<i64>(queued, &[]), 2 * KEYS as i64);
}

#[test]
fn an_open_transaction_delays_only_those_who_schedule_the_same_key() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let running_key = "unique_key => 'running', unique_while => 'queued'";
    let failed_key = "unique_key => 'failed', unique_while => 'unfinished'";
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let running = schedule_once(session, &hold(&setup, "gate", running_key)).task;
    let failed = schedule_once(session, &format!("'gives_up', {failed_key}")).task;
    setup.wait_until_logged(running, "holding");
    assert_eq!(setup.wait_until_ended(failed).state, State::Failed);

    let open = Session::open(setup.dsn());
    open.execute("begin");
    let later = "delayed_until => 'infinity'";
    let taken = schedule_once(&open, &hold(&setup, "gate", &format!("{running_key}, {later}")));
    assert!(taken.created && taken.task != running, "{taken:?}");
    assert!(schedule_once(&open, &format!("'gives_up', {failed_key}, {later}")).created);
    assert!(schedule_once(&open, &format!("'double', '1', unique_key => 'new', {later}")).created);

    // A retry and an end of the tasks that had the keys, other keys, and the vacuum do not wait.
    setup.rework(["retry-task", &failed.to_string()]).run_ok();
    setup.wait_until("it failed again", || {
        let task = setup.task(failed);
        task.run == 2 && task.state == State::Failed
    });
    open_gate(&setup, "gate");
    setup.wait_until_done(running);
    session.execute("set lock_timeout = '100ms'");
    let other = schedule_once(session, "'double', '2', unique_key => 'other'").task;
    assert_eq!(setup.wait_until_done(other).output, 4);
    assert_eq!(setup.rework(["vacuum", "--tasks"]).run_ok().stdout(), "deleted 3 tasks\n");
    // 55P03 is `lock_not_available`.
    for arguments in ["'hold', unique_key => 'running'", "'double', unique_key => 'new'"] {
        let sql = format!("select rework.schedule({arguments})");
        assert_eq!(session.try_query_value::<i64>(&sql, &[]), Err("55P03".to_owned()), "{sql}");
    }
    open.execute("commit");
    let again = schedule_once(session, &hold(&setup, "gate", running_key));
    assert_eq!((again.task, again.created), (taken.task, false), "the deleted task was another");
}

#[test]
fn ends_retries_and_due_tasks_do_not_fail_because_of_a_key() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let window = "unique_for => '10 ms'";
    let waits = "delayed_until => 'infinity'";
    let take_over = |operation: &str, key: &str| {
        let arguments = format!("{operation}, unique_key => '{key}', {waits}");
        setup.wait_until("its window has ended", || schedule_once(session, &arguments).created);
    };
    // Before the first task becomes due, and before the second one is claimed, fails and is due again, each loses its
    // key to another task, which keeps it.
    let delay = "delayed_until => now() + interval '500 ms'";
    let due =
        schedule_once(session, &format!("'double', '1', unique_key => 'due', {window}, {delay}"));
    take_over("'double', '2'", "due");
    let fails = format!("'always_fails', unique_key => 'fails', {window}");
    let fails = schedule_once(session, &fails);
    take_over("'always_fails'", "fails");
    // The third task loses its key by its end, and is retried then.
    let unfinished = "unique_key => 'unfinished', unique_while => 'unfinished'";
    let retried = schedule_once(session, &format!("'gives_up', {unfinished}")).task;
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    setup.wait_until_ended(retried);
    assert!(schedule_once(session, &format!("'gives_up', {unfinished}, {waits}")).created);
    setup.rework(["retry-task", &retried.to_string()]).run_ok();
    setup.wait_until("it runs again", || setup.task(retried).run == 2);
    assert_eq!(setup.wait_until_ended(retried).state, State::Failed);
    assert_eq!(setup.wait_until_done(due.task).output, 2);
    let ended = setup.wait_until_ended(fails.task);
    assert_eq!((ended.state, ended.attempt), (State::Failed, 2), "{}", ended.reason());
    let waiting = "select count(*) from rework.task where state = 'delayed'";
    assert_eq!(session.query_value::<i64>(waiting, &[]), 3, "the tasks that have the keys");
}

#[test]
fn a_replacement_races_with_claims_and_the_last_input_is_executed() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let numbers = setup.folder().join("numbers");
    let _monitor = setup.start_monitor(&["--minworkers", "1", "--maxworkers", "1"]);
    let schedule = |number: usize| {
        let input = json!({"path": numbers, "number": number}).to_string();
        let options = "unique_key => 'k', unique_while => 'queued', on_conflict => 'replace'";
        schedule_once(session, &format!("'appends_number', '{input}', {options}"))
    };
    setup.wait_until_done(schedule(0).task);
    let rounds = count(200, 5_000);
    let mut last_of_task = BTreeMap::new();
    let mut replaced = 0;
    for number in 1..=rounds {
        // From 0 to 4 ms: the time in which a worker claims a task lies between.
        wait::let_time_pass(Duration::from_micros(number as u64 * 7 % 21 * 200));
        let answer = schedule(number);
        assert!(answer.state == "queued", "{answer:?}");
        replaced += usize::from(!answer.created);
        last_of_task.insert(answer.task, number);
    }
    for (task, last) in &last_of_task {
        let output = setup.wait_until_done(*task).output;
        assert_eq!(output, *last, "task {task} has the input of the last request that it answers");
    }
    let lines = fs::read_to_string(&numbers).unwrap();
    let executed: Vec<usize> = lines.lines().map(|line| line.parse().unwrap()).collect();
    let expected: Vec<usize> = std::iter::once(0).chain(last_of_task.into_values()).collect();
    assert_eq!(executed, expected, "each of these inputs is executed once");
    assert!(replaced > 0 && executed.len() > 2, "{replaced} replaced of {rounds}");
}

/// Calls `rework.schedule_many_once` with one task for each key, and returns the tasks and whether they were created.
fn schedule_many(session: &Session, keys: &[String], options: &str) -> Vec<(i64, bool)> {
    let sql = format!(
        "select task, created from rework.schedule_many_once('double', $1::json[], $2{options})"
    );
    let inputs: Vec<_> = (1..=keys.len()).map(|number| json!(number)).collect();
    let rows = session.query(&sql, &[&inputs, &keys]);
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[test]
fn many_keys_are_taken_row_by_row() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let keys = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.into()).collect() };
    let existing = schedule_once(session, "'double', '9', unique_key => 'c'").task;
    let rows = schedule_many(session, &keys(&["b", "a", "b", "c"]), "");
    let created: Vec<bool> = rows.iter().map(|row| row.1).collect();
    assert_eq!(created, [true, true, false, false]);
    assert_eq!((rows[2].0, rows[3].0), (rows[0].0, existing));
    let input = "select input::text from rework.task where id = $1";
    for (row, expected) in [(0, "1"), (1, "2"), (3, "9")] {
        assert_eq!(session.query_value::<String>(input, &[&rows[row].0]), expected, "row {row}");
    }
    let replaced = schedule_many(session, &keys(&["c"]), ", on_conflict => 'replace'");
    assert_eq!(replaced, [(existing, false)]);
    assert_eq!(session.query_value::<String>(input, &[&existing]), "1");
    assert!(schedule_many(session, &[], "").is_empty());
    let bytes: Vec<i64> = session.query_values(
        "select task from rework.schedule_many_once('raw', null, '{x}', inputs_bytes => '{y}')",
        &[],
    );
    assert_eq!(bytes.len(), 1);
    session.execute(
        "select rework.schedule_many_once('double', '[0:1]={5,6}', '{d,e}');
         select rework.schedule_many_once('double', '{{7},{8}}', '{f,g}')",
    );
    let of_other_shapes = "select input::text from rework.task order by id desc limit 4";
    assert_eq!(session.query_values::<String>(of_other_shapes, &[]), ["8", "7", "6", "5"]);
    for arguments in ["'{1,2}', '{a}'", "'{1}', '{a,b}'", "'{1}', null", "'{1}', array[null]"] {
        let sql = format!("select task from rework.schedule_many_once('double', {arguments})");
        assert_eq!(session.try_query_value::<i64>(&sql, &[]), Err("RW400".to_owned()), "{sql}");
    }
    assert_eq!(session.query_value::<i64>("select count(*) from rework.task", &[]), 8);
}

#[test]
fn calls_with_the_same_keys_in_other_orders_do_not_deadlock() {
    const KEYS: usize = 50;
    let setup = Installation::with_fixture();
    let rounds = count(5, 100);
    let created = at_once(&setup, 4, move |number, session| {
        let mut created = 0;
        for round in 0..rounds {
            // Another order in each session.
            let key = |n: usize| format!("{round}-{}", (n * [1, 7, 13, 49][number]) % KEYS);
            let keys: Vec<String> = (0..KEYS).map(key).collect();
            created += schedule_many(session, &keys, "").iter().filter(|row| row.1).count();
        }
        created
    });
    assert_eq!(created.iter().sum::<usize>(), rounds * KEYS, "{created:?}");
    let tasks: i64 = setup.session().query_value("select count(*) from rework.task", &[]);
    assert_eq!(tasks, (rounds * KEYS) as i64);
}
