//! Unique keys: how long a task keeps its key, what happens if the key is scheduled again, and what the command says.
//! `unique_key_races.rs` has the tests with several sessions.

use std::fs;
use std::time::Duration;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::Installation;
use crate::support::session::Session;

/// The answer of `rework.schedule_once`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) task: i64,
    pub(crate) created: bool,
    pub(crate) state: String,
}

/// Calls `rework.schedule_once` with these arguments, as SQL.
#[track_caller]
pub(crate) fn schedule_once(session: &Session, arguments: &str) -> Answer {
    let sql = format!("select task, created, state from rework.schedule_once({arguments})");
    let row = &session.query(&sql, &[])[0];
    Answer { task: row.get(0), created: row.get(1), state: row.get(2) }
}

/// Returns the arguments of a task of `hold`, which runs until the file `gate` exists.
pub(crate) fn hold(setup: &Installation, gate: &str, options: &str) -> String {
    let input = json!(setup.folder().join(gate)).to_string();
    format!("'hold', '{input}', {options}")
}

/// Lets the tasks of `hold` with this gate end.
pub(crate) fn open_gate(setup: &Installation, gate: &str) {
    fs::write(setup.folder().join(gate), "").unwrap();
}

fn existing(task: i64, state: &str) -> Answer {
    Answer { task, created: false, state: state.to_owned() }
}

#[test]
fn a_task_keeps_its_key_until_it_is_deleted_if_no_rule_is_given() {
    let setup = Installation::with_fixture();
    let schedule = || schedule_once(setup.session(), "'double', '2', unique_key => 'k'");
    let first = schedule();
    assert!(first.created && first.state == "queued", "{first:?}");
    assert_eq!(schedule(), existing(first.task, "queued"));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(first.task);
    assert_eq!(schedule(), existing(first.task, "done"));
    assert_eq!(setup.rework(["vacuum", "--tasks"]).run_ok().stdout(), "deleted 1 task\n");
    let keys = "select count(*) from rework.key_holder";
    assert_eq!(setup.session().query_value::<i64>(keys, &[]), 0, "its key is deleted with it");
    let second = schedule();
    assert!(second.created && second.task != first.task, "{second:?}");
    setup.wait_until_done(second.task);
    // A task that was deleted without its key does not keep the key.
    setup.session().execute("delete from rework.task");
    assert!(schedule().created);
}

#[test]
fn a_task_keeps_its_key_while_it_is_unfinished() {
    let setup = Installation::with_fixture();
    let options = "unique_key => 'k', unique_while => 'unfinished'";
    let schedule = || schedule_once(setup.session(), &hold(&setup, "gate", options));
    let first = schedule();
    assert_eq!(schedule(), existing(first.task, "queued"));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_logged(first.task, "holding");
    assert_eq!(schedule(), existing(first.task, "running"));
    open_gate(&setup, "gate");
    setup.wait_until_done(first.task);
    let second = schedule();
    assert!(second.created && second.task != first.task, "{second:?}");
    setup.wait_until_done(second.task);
}

#[test]
fn a_task_loses_its_key_when_it_is_claimed_and_another_one_then_has_it() {
    let setup = Installation::with_fixture();
    let options = "unique_key => 'k', unique_while => 'queued'";
    let schedule = || schedule_once(setup.session(), &hold(&setup, "gate", options));
    let first = schedule();
    assert_eq!(schedule(), existing(first.task, "queued"));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_logged(first.task, "holding");
    let second = schedule();
    assert!(second.created && second.task != first.task, "{second:?}");
    assert_eq!(schedule(), existing(second.task, "queued"));
    open_gate(&setup, "gate");
    setup.wait_until_done(first.task);
    setup.wait_until_done(second.task);
}

#[test]
fn a_task_loses_its_key_at_the_end_of_its_window() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let schedule = |window: &str| {
        let options = format!("unique_key => '{window}', unique_for => '{window}'");
        schedule_once(session, &format!("'double', '1', {options}"))
    };
    let long = schedule("1 hour");
    assert_eq!(schedule("1 hour"), existing(long.task, "queued"));
    let short = schedule("50 milliseconds");
    setup.wait_until("the window has ended", || schedule("50 milliseconds").created);
    assert_eq!(setup.task(short.task).state, State::Queued, "only its key is lost");
    assert_eq!(schedule("1 hour"), existing(long.task, "queued"));
}

#[test]
fn a_replaced_task_gets_the_new_input_priority_metadata_and_time() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let key = "unique_key => 'k', unique_while => 'unfinished'";
    let delay = "delayed_until => now() + interval '1 hour'";
    let first = schedule_once(session, &format!("'double', '1', priority => 3, {delay}, {key}"));
    assert_eq!(first.state, "delayed");
    let replace = |arguments: &str| {
        let arguments = format!("'double', {arguments}, {key}, on_conflict => 'replace'");
        schedule_once(session, &arguments)
    };
    let sql = "select json_build_array(input, encode(input_bytes, 'escape'), priority, metadata,
                                       delayed_until > now(), state)::text
                 from rework.task where id = $1";
    let stored = || -> Value {
        serde_json::from_str(&session.query_value::<String>(sql, &[&first.task])).unwrap()
    };
    assert_eq!(stored(), json!([1, null, 3, null, true, "delayed"]));
    assert_eq!(replace("'2', priority => 4, metadata => '{}'"), existing(first.task, "queued"));
    assert_eq!(stored(), json!([2, null, 4, {}, null, "queued"]));
    assert_eq!(replace(&format!("input_bytes => 'x', {delay}")), existing(first.task, "delayed"));
    assert_eq!(stored(), json!([null, "x", 0, null, true, "delayed"]));
    for run in ["attempt = 1", "attempt = 0, reason = 'put off'"] {
        let sql = format!("update rework.task set {run}, delayed_until = now() + interval '1 h'");
        session.execute(&sql);
        assert_eq!(replace("'3'"), existing(first.task, "delayed"));
        let message = "a task between two runs keeps its time";
        assert_eq!(stored(), json!([3, null, 0, null, true, "delayed"]), "{message}");
    }
    session.execute("update rework.task set reason = null");
    assert_eq!(replace("'4'"), existing(first.task, "queued"));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    assert_eq!(setup.wait_until_done(first.task).output, 8);
    assert!(replace("'5'").created, "a task that has ended is not replaced");
}

#[test]
fn a_claimed_task_is_not_replaced() {
    let setup = Installation::with_fixture();
    let options = "unique_key => 'k', unique_while => 'unfinished', on_conflict => 'replace'";
    let schedule = |gate: &str| schedule_once(setup.session(), &hold(&setup, gate, options));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let first = schedule("gate");
    setup.wait_until_logged(first.task, "holding");
    assert_eq!(schedule("other"), existing(first.task, "running"));
    open_gate(&setup, "gate");
    setup.wait_until_done(first.task);
}

#[test]
fn a_task_waits_for_quiet_but_not_longer_than_its_limit() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let schedule = |input: i32, times: &str| {
        let arguments = format!("'double', '{input}', unique_key => 'k', debounce => {times}");
        schedule_once(session, &arguments)
    };
    let seconds = |task: i64| -> i64 {
        let sql = "select extract(epoch from delayed_until - queued_at)::bigint
                     from rework.task where id = $1";
        session.query_value(sql, &[&task])
    };
    let limited = "'60 minutes', at_most => '90 minutes'";
    let first = schedule(1, limited);
    assert_eq!((first.state.as_str(), seconds(first.task)), ("delayed", 3_600));
    // Instead of waiting, the test lets the task be scheduled earlier.
    let earlier = "update rework.task set queued_at = queued_at - interval '20 minutes'";
    session.execute(earlier);
    assert_eq!(schedule(2, limited), existing(first.task, "delayed"));
    assert!((4_800..4_860).contains(&seconds(first.task)), "{}", seconds(first.task));
    session.execute(earlier);
    assert_eq!(schedule(3, limited), existing(first.task, "delayed"));
    assert_eq!(seconds(first.task), 5_400);
    session.execute(&earlier.replace("20", "60"));
    assert_eq!(schedule(4, limited), existing(first.task, "queued"), "the limit is reached");
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    assert_eq!(setup.wait_until_done(first.task).output, 8, "the last input counts");
    let calls = |input| {
        format!(
            "select rework.schedule('double', '{input}', unique_key => 'k', debounce => '300 ms');"
        )
    };
    session.execute(&format!("begin; {} {} commit", calls(5), calls(6)));
    let second: i64 = session.query_value("select max(id) from rework.task", &[]);
    assert_ne!(second, first.task, "the key is free when the task was claimed");
    let done = setup.wait_until_done(second);
    assert_eq!(done.output, 12);
    assert!((done.start_time() - done.queued_at).to_std().unwrap() >= Duration::from_millis(300));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let setup = Installation::with_fixture();
    for (options, message) in [
        ("unique_while => 'queued'", "options about its unique key, but no unique key"),
        ("at_most => '1 s'", "options about its unique key, but no unique key"),
        ("unique_key => 'k', unique_while => 'always'", "`unique_while` is `always`"),
        ("unique_key => 'k', on_conflict => 'ignore'", "`on_conflict` is `ignore`"),
        ("unique_key => 'k', unique_for => '0'", "`unique_for` is not a time of more than 0 s and"),
        ("unique_key => 'k', unique_for => '-1 hour'", "`unique_for` is not a time of more"),
        ("unique_key => 'k', unique_for => '100000 years'", "`unique_for` is not a time of more"),
        ("unique_key => 'k', debounce => '0'", "`debounce` is not a time of more"),
        ("unique_key => 'k', debounce => '1 s', at_most => '0'", "`at_most` is not a time of more"),
        ("unique_key => 'k', at_most => '1 s'", "`at_most` limits `debounce`, which is not given"),
        ("unique_key => 'k', debounce => '1 s', delayed_until => now()", "`delayed_until` say"),
        ("unique_key => 'k', debounce => '1 s', on_conflict => 'keep'", "`on_conflict` is `keep`"),
    ] {
        for function in ["schedule", "schedule_once"] {
            let sql = format!("select rework.{function}('double', '1', {options})");
            let error = setup.session().try_execute(&sql).unwrap_err();
            let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
            assert_eq!(error.code().code(), "RW400", "{sql}: {error:?}");
            assert!(error.message().contains(message), "no `{message}` in {error:?}");
            assert!(error.hint().is_some(), "{error:?}");
        }
    }
    let key = "k".repeat(10_000);
    let sql =
        format!("select rework.schedule('double', unique_key => '{key}', unique_for => '1 s')");
    assert_eq!(setup.session().try_query_value::<i64>(&sql, &[]), Err("RW413".to_owned()));
    let rows =
        "select (select count(*) from rework.task) + (select count(*) from rework.key_holder)";
    assert_eq!(setup.session().query_value::<i64>(rows, &[]), 0);
}

#[test]
fn the_command_says_whether_it_has_created_the_task() {
    let setup = Installation::with_fixture();
    let schedule = |options: &[&str]| {
        let command = ["schedule", "double", "--input", "1", "--unique-key", "k"];
        setup.rework(command).args(options)
    };
    let rule = ["--unique-while", "unfinished", "--unique-for", "1h"];
    let first = schedule(&[&["-o", "json"][..], &rule].concat()).run_ok().json();
    let task = first["id"].as_i64().unwrap();
    assert_eq!(first, json!({"id": task, "created": true, "state": "queued"}));
    let output = schedule(&[]).run_ok();
    assert_eq!(output.id(), task);
    let note = format!("task {task} has this key already (queued for ");
    assert!(output.stderr().contains(&note) && !output.stderr().contains("replaced"), "{output}");
    let output = schedule(&["-q"]).run_ok();
    assert!(output.id() == task && !output.stderr().contains("has this key"), "{output}");
    let output = schedule(&["-o", "jsonl", "--on-conflict", "replace", "--delay", "1h"]).run_ok();
    assert_eq!(output.json(), json!({"id": task, "created": false, "state": "delayed"}));
    assert!(output.stderr().contains("): it was replaced"), "{output}");
    let output = schedule(&["--debounce", "5m", "--at-most", "1h"]).run_ok();
    assert_eq!(output.id(), task);
    let sql = "select extract(epoch from delayed_until - now())::float8 from rework.task";
    let seconds: f64 = setup.session().query_value(sql, &[]);
    assert!((200.0..301.0).contains(&seconds), "{seconds}");
}

#[test]
fn the_command_refuses_options_that_make_no_sense() {
    let setup = Installation::with_fixture();
    for (options, code, message) in [
        (vec!["--unique-while", "queued"], 2, "--unique-key"),
        (
            vec!["--unique-key", "k", "--unique-while", "always"],
            2,
            "must be `exists`, `unfinished`",
        ),
        (vec!["--unique-key", "k", "--on-conflict", "ignore"], 2, "must be `keep` or `replace`"),
        (vec!["--unique-key", "k", "--at-most", "1m"], 2, "--debounce"),
        (vec!["--unique-key", "k", "--debounce", "5s", "--delay", "1m"], 2, "--delay"),
        (vec!["--unique-key", "k", "--unique-for", "0s"], 2, "it must be longer than 0 s"),
    ] {
        let command = setup.rework(["schedule", "double", "--input", "1"]).args(options);
        crate::bad_input::assert_refused(&setup, command, code, &[message]);
    }
}
