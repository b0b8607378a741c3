//! Tasks that wait for any other tasks: `schedule(after)`. Two monitors run the tasks wherever a monitor is needed, so
//! that the ends of tasks are recorded on different hosts.

use std::fs;

use rework_core::task::state::State;
use serde_json::json;

use crate::before_after::{registered, start_monitors};
use crate::support::Installation;
use crate::support::session::Session;
use crate::unique_keys::schedule_once;

/// Schedules an operation without an input after other tasks, and returns the id of the task.
fn schedule_after(setup: &Installation, operation: &str, after: &[i64], options: &[&str]) -> i64 {
    let after = after.iter().flat_map(|task| ["--after".to_owned(), task.to_string()]);
    setup.rework(["schedule", operation]).args(after).args(options).run_ok().id()
}

#[test]
fn a_task_follows_the_ends_of_the_tasks_that_it_waits_for() {
    let setup = registered();
    let _monitors = start_monitors(&setup);
    let gate = setup.folder().join("gate");
    let holding = setup.schedule("hold", json!(gate));
    let quick = setup.schedule("double", 1);
    let failing = setup.schedule_without_input("boom");
    let last = schedule_after(&setup, "noinput", &[holding, quick], &[]);
    let after_last = schedule_after(&setup, "noinput", &[last], &[]);
    let refuses = schedule_after(&setup, "noinput", &[failing, last], &[]);
    let insists = schedule_after(&setup, "noinput", &[failing], &["--after-failure", "run"]);
    let after_refused = schedule_after(&setup, "noinput", &[refuses], &[]);
    setup.wait_until_done(quick);
    setup.wait_until_done(insists);
    let aborted = setup.wait_until_ended(refuses);
    let because = format!("aborted because task {failing} failed");
    assert_eq!((aborted.state, aborted.run, aborted.reason()), (State::Aborted, 0, &*because));
    let aborted = setup.wait_until_ended(after_refused);
    let because = format!("aborted because task {refuses} was aborted");
    assert_eq!((aborted.state, aborted.reason()), (State::Aborted, &*because));
    let states = [last, after_last].map(|task| setup.task(task).state);
    assert_eq!(states, [State::Waiting; 2]);

    fs::write(gate, "").unwrap();
    let after_last = setup.wait_until_done(after_last);
    let [holding, last] = [holding, last].map(|task| setup.wait_until_done(task));
    assert!(holding.end_time() <= last.start_time() && last.end_time() <= after_last.start_time());
    // All tasks have ended, so what is scheduled after them does not wait.
    let ready = schedule_after(&setup, "noinput", &[holding.id, quick], &[]);
    setup.wait_until_done(ready);
    let too_late = schedule_after(&setup, "noinput", &[failing], &[]);
    assert_eq!(setup.task(too_late).state, State::Aborted);
}

#[test]
fn a_waiting_task_that_is_aborted_or_retried_leaves_the_others_to_their_rules() {
    let setup = registered();
    let first = setup.schedule("double", 1);
    let second = schedule_after(&setup, "noinput", &[first], &[]);
    let third = schedule_after(&setup, "noinput", &[second], &[]);
    let fourth = schedule_after(&setup, "noinput", &[second], &["--after-failure", "run"]);
    let fifth = schedule_after(&setup, "noinput", &[first], &[]);
    setup.rework(["abort-task", &second.to_string()]).run_ok();
    setup.rework(["retry-task", &fifth.to_string()]).run_ok();
    let states = [first, second, third, fourth, fifth].map(|task| setup.task(task).state);
    let expected = [State::Queued, State::Aborted, State::Aborted, State::Queued, State::Queued];
    assert_eq!(states, expected);
    let because = format!("aborted because task {second} was aborted");
    assert_eq!(setup.task(third).reason(), because);
    setup.rework(["retry-task", &third.to_string()]).run_ok();
    assert_eq!(setup.task(third).state, State::Queued);
}

#[test]
fn a_task_that_is_deleted_before_its_end_counts_as_a_failure() {
    let setup = registered();
    let first = setup.schedule("double", 1);
    let aborted = schedule_after(&setup, "noinput", &[first], &[]);
    let ready = schedule_after(&setup, "noinput", &[first], &["--after-failure", "run"]);
    setup.rework(["vacuum", "--tasks", "--queued"]).run_ok();
    let task = setup.task(aborted);
    let because = format!("aborted because task {first} was deleted");
    assert_eq!((task.state, task.reason()), (State::Aborted, &*because));
    assert_eq!(setup.task(ready).state, State::Queued);
    let edges = "select count(*) from rework.edge";
    assert_eq!(setup.session().query_value::<i64>(edges, &[]), 0, "no edge is left behind");
}

#[test]
fn an_open_transaction_that_schedules_after_a_task_does_not_hold_up_its_end() {
    let setup = registered();
    let _monitors = start_monitors(&setup);
    let gate = setup.folder().join("gate");
    let holding = setup.schedule("hold", json!(gate));
    setup.wait_until_logged(holding, "holding");
    let open = Session::open(setup.dsn());
    open.execute("begin");
    let sql = "select rework.schedule('double', '1', after => array[$1::bigint])";
    let successor: i64 = open.query_value(sql, &[&holding]);
    fs::write(gate, "").unwrap();
    setup.wait_until_done(holding);
    open.execute("commit");
    // The end could not see the successor. The poll of a monitor follows it.
    setup.wait_until_done(successor);
}

#[test]
fn a_task_that_has_a_unique_key_keeps_what_it_waits_for_when_it_is_replaced() {
    let setup = registered();
    let session = setup.session();
    let [first, other] = [1, 2].map(|input| setup.schedule("double", input));
    let arguments = |after: i64, options: &str| {
        format!("'double', '3', unique_key => 'k', after => '{{{after}}}', {options}")
    };
    let made = schedule_once(session, &arguments(first, "retry => '\"once\"'"));
    assert!(made.created && made.state == "waiting", "{made:?}");
    let later = "on_conflict => 'replace', delayed_until => now() + interval '1 hour'";
    let replaced = schedule_once(session, &arguments(other, later));
    assert!(!replaced.created && replaced.task == made.task, "{replaced:?}");
    assert_eq!(replaced.state, "waiting");
    let sql = "select task from rework.edge where successor = $1";
    assert_eq!(session.query_values::<i64>(sql, &[&made.task]), [first]);
    let never = arguments(other, "on_conflict => 'replace', delayed_until => 'infinity'");
    let sql = format!("select rework.schedule({never})");
    assert_eq!(session.try_query_value::<i64>(&sql, &[]), Err("RW400".to_owned()));
    let policy = "select retry ->> 'attempts' from rework.task where id = $1";
    assert_eq!(session.query_value::<String>(policy, &[&made.task]), "2");
    let _monitors = start_monitors(&setup);
    setup.wait_until_done(first);
    setup.wait_until_state(made.task, State::Delayed);
}

#[test]
fn an_after_that_makes_no_sense_is_refused() {
    let setup = registered();
    let task = setup.schedule("double", 1);
    let code = |arguments: &str| {
        let sql = format!("select rework.schedule('double', '1', {arguments})");
        setup.session().try_query_value::<i64>(&sql, &[]).unwrap_err()
    };
    assert_eq!(code("after => '{4711}'"), "RW404");
    let itself = "after => array[(select last_value from rework.task_id_seq) + 1]";
    assert_eq!(code(itself), "RW404", "a task that waits for itself never starts");
    assert_eq!(code("after => array[null::bigint]"), "RW400");
    assert_eq!(code("after_failure => 'never'"), "RW400");
    assert_eq!(code(&format!("after => '{{{task}}}', after_failure => 'never'")), "RW400");
    let endless = format!("after => '{{{task}}}', delayed_until => 'infinity'");
    assert_eq!(code(&endless), "RW400");
    assert_eq!(code(&format!("after => array_fill({task}::bigint, array[1001])")), "RW413");
    let none = setup.rework(["schedule", "double", "--input", "1", "--after", "4711"]);
    let stderr = none.run_expecting(1).stderr();
    assert!(stderr.contains("there is no task 4711, after which a task of `double`"), "{stderr}");
    let tasks = "select count(*) from rework.task";
    assert_eq!(setup.session().query_value::<i64>(tasks, &[]), 1, "nothing was scheduled");
}
