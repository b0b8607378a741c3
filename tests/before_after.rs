//! Operations that declare what runs before and after their tasks: `run_after`, `run_before` and `on_failure`. Two
//! monitors run the tasks, so that the ends of tasks are recorded on different hosts.

use std::fs;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::Installation;
use crate::support::installation::fixture_program;
use crate::support::monitor::Monitor;

/// Commands that return their input, that fail, and that append a line to the file `order`.
const MANIFEST: &str = r#"
[[operation]]
name = "first"
shell = 'cat >"$REWORK_OUTPUT"'
run_after = ["second", "third"]

[[operation]]
name = "second"
input = { data = "integer?" }
shell = 'true'

[[operation]]
name = "third"
shell = 'true'

[[operation]]
name = "fails"
attempts = 2
shell = 'exit 3'
on_failure = ["tell", "third"]

[[operation]]
name = "always_tried_again"
retry = { attempts = 2, endless = true, backoff = "fixed", first = "10ms" }
shell = 'exit 3'
on_failure = "tell"

[[operation]]
name = "tell"
input = { job_failed = "string" }
shell = 'true'

[[operation]]
name = "main"
run_before = ["prepares", "fails_to_prepare"]
shell = 'echo main >>order'

[[operation]]
name = "prepares"
shell = 'echo before >>order'

[[operation]]
name = "fails_to_prepare"
shell = 'echo before >>order; exit 1'
"#;

/// Registers the operations of `MANIFEST` and of `tests/operations` on two hosts.
pub(crate) fn registered() -> Installation {
    let setup = Installation::new();
    let manifest = setup.folder().join("before_after.toml");
    fs::write(&manifest, MANIFEST).unwrap();
    setup.register([manifest.clone(), fixture_program()]);
    let second = second_host(&setup);
    let files = [manifest, fixture_program()];
    setup.rework(["register-operations", "--host", &second]).args(files).run_ok();
    setup
}

fn second_host(setup: &Installation) -> String {
    format!("{}-b", setup.host())
}

/// Starts a monitor on each of the two hosts.
pub(crate) fn start_monitors(setup: &Installation) -> [Monitor; 2] {
    let options = ["--domain", "default", "--maxworkers", "2"];
    let first = setup.start_monitor_with_args(&options);
    let second = setup.spawn_monitor_on(&second_host(setup), &options);
    setup.wait_until("both monitors are registered", || {
        let sql = "select count(*) = 2 from rework.monitor where finished_at is null";
        setup.session().query_value(sql, &[])
    });
    [first, second]
}

/// Returns the operations and inputs of the tasks that follow a task, by its runs, in the order of their declaration.
fn followers(setup: &Installation, task: i64) -> Vec<(String, Value)> {
    let sql = "select operation.name, task.input
                 from rework.task
                 join rework.operation on operation.id = task.operation
                where task.parent = $1 and task.parent_number < 0
                order by task.parent_run, task.parent_number desc";
    let rows = setup.session().query(sql, &[&task]);
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn wait_until_all_are_done(setup: &Installation, tasks: i64) {
    setup.wait_until("all tasks are done", || {
        let sql = "select count(*) = $1 from rework.task where state = 'done'";
        setup.session().query_value(sql, &[&tasks])
    });
}

/// Scenario EJ-10: the result is passed on, also one that is false, zero or empty.
#[test]
fn the_tasks_of_run_after_get_the_output_of_a_task_that_is_done() {
    let setup = registered();
    let _monitors = start_monitors(&setup);
    let cases = [
        (json!({"data": 5, "other": [1]}), json!({"data": 5}), json!({"data": 5, "other": [1]})),
        (json!(7), json!({}), json!({"result": 7})),
        (json!(false), json!({}), json!({"result": false})),
        (json!({}), json!({}), json!({})),
    ];
    let scheduled = cases.len() as i64;
    for (output, second, third) in cases {
        let task = setup.wait_until_done(setup.schedule("first", output.clone())).id;
        let expected = [("second".to_owned(), second), ("third".to_owned(), third)];
        assert_eq!(followers(&setup, task), expected, "{output}");
    }
    wait_until_all_are_done(&setup, 3 * scheduled);
    let from_rust = setup.wait_until_done(setup.schedule_without_input("is_followed")).id;
    let expected = [("noinput".to_owned(), json!({"result": 21}))];
    assert_eq!(followers(&setup, from_rust), expected);
}

#[test]
fn only_the_last_failure_of_a_task_is_followed() {
    let setup = registered();
    let _monitors = start_monitors(&setup);
    let task = setup.schedule_without_input("fails");
    setup.wait_until("the first attempt has failed", || setup.task(task).attempt == 1);
    let failed = setup.wait_until_ended(task);
    assert_eq!((failed.state, failed.attempt), (State::Failed, 2), "{}", failed.reason());
    let followed = followers(&setup, task);
    let tell = ("tell".to_owned(), json!({"job_failed": "task fails failed"}));
    assert_eq!((followed.len(), &followed[0]), (2, &tell));
    let report = &followed[1].1;
    assert_eq!((&report["task"], &report["reason"]), (&json!(task), &json!("exit code 3")));

    setup.session().execute("update rework.operation set attempts = 1 where name = 'fails'");
    setup.rework(["retry-task", &task.to_string()]).run_ok();
    assert_eq!(setup.wait_until_ended(task).state, State::Failed);
    assert_eq!(followers(&setup, task).len(), 4, "the end of the retried task is followed, too");
    wait_until_all_are_done(&setup, 4);
}

#[test]
fn each_failed_round_of_an_endless_retry_policy_is_followed_once() {
    let setup = registered();
    let _monitors = start_monitors(&setup);
    let task = setup.schedule_without_input("always_tried_again");
    setup.wait_until("three rounds have failed", || followers(&setup, task).len() >= 3);
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    assert_eq!(setup.wait_until_ended(task).state, State::Aborted);
    let tell = ("tell".to_owned(), json!({"job_failed": "task always_tried_again failed"}));
    let followed = followers(&setup, task);
    assert!(followed.iter().all(|follower| *follower == tell), "{followed:?}");
    let runs = |sql| setup.session().query_values::<i64>(sql, &[&task]);
    let followed = runs("select parent_run from rework.task where parent = $1 order by 1");
    let rounds = runs("select run from rework.run where task = $1 and attempt = 2 order by 1");
    assert_eq!(followed, rounds, "the last run of each round has one follower");
}

/// Scenario EJ-11: the tasks before are waited for on any host, and their failures do not hold up the task.
#[test]
fn a_task_runs_after_the_tasks_of_run_before_have_ended_even_if_they_failed() {
    let setup = registered();
    let task = setup.schedule_without_input("main");
    assert_eq!(setup.task(task).state, State::Waiting);
    let waits_for = format!("task {} (queued) and 1 more", task + 1);
    let shown = setup.rework(["show-task", &task.to_string()]).run_ok().stdout();
    assert!(shown.starts_with(&format!("task {task}: waiting\n")), "{shown}");
    assert!(shown.contains(&format!("waits for {waits_for}\n")), "{shown}");
    let listed = setup.rework(["list-tasks", "--state", "waiting"]).run_ok().lines();
    assert!(listed.len() == 1 && listed[0].ends_with(&format!("for {waits_for}")), "{listed:?}");
    let shown = setup.rework(["show-task", &(task + 1).to_string()]).run_ok().stdout();
    assert!(shown.contains(&format!("followed by task {task} (waiting)\n")), "{shown}");

    let _monitors = start_monitors(&setup);
    setup.wait_until_done(task);
    let states = [1, 2].map(|number| setup.task(task + number).state);
    assert_eq!(states, [State::Done, State::Failed]);
    let order = fs::read_to_string(setup.folder().join("order")).unwrap();
    assert_eq!(order, "before\nbefore\nmain\n");
    let shown = setup.rework(["show-task", &task.to_string()]).run_ok().stdout();
    let ran_after = format!("task {} (done), task {} (failed)\n", task + 1, task + 2);
    assert!(shown.contains("\nran after ") && shown.contains(&ran_after), "{shown}");
}

#[test]
fn a_circle_of_followers_ends() {
    let setup = registered();
    let circle = "update rework.operation set run_after = '{noinput}' where name = 'noinput'";
    setup.session().execute(circle);
    let _monitors = start_monitors(&setup);
    let first = setup.schedule_without_input("noinput");
    wait_until_all_are_done(&setup, 1_001);
    let sql = "select count(*) = 1001 and bool_and(state = 'done') from rework.task";
    assert!(setup.session().query_value::<bool>(sql, &[]), "{}", setup.task(first).reason());
    let last: i64 = setup.session().query_value("select max(id) from rework.task", &[]);
    let log = setup.log_lines(last);
    let expected =
        "the follower `noinput` is not scheduled: more than 1000 tasks would follow one task";
    assert!(log.iter().any(|line| line.starts_with(expected)), "{log:?}");
}

#[test]
fn a_circle_of_followers_and_tasks_before_ends() {
    let setup = registered();
    setup.session().execute(
        "update rework.operation set run_before = '{third}' where name = 'noinput';
         update rework.operation set run_after = '{noinput}' where name = 'third'",
    );
    let _monitors = start_monitors(&setup);
    setup.schedule_without_input("noinput");
    let refused = "select exists (select from rework.log
                                   where convert_from(line, 'UTF8') like
                                         '%`noinput` is not scheduled: more than 1000 tasks%')";
    setup.wait_until("a follower is refused", || setup.session().query_value(refused, &[]));
    let tasks: i64 = setup.session().query_value("select count(*) from rework.task", &[]);
    wait_until_all_are_done(&setup, tasks);
}

#[test]
fn a_follower_that_cannot_be_scheduled_is_recorded_and_the_end_too() {
    let setup = registered();
    let declare = |columns: &str| {
        let sql = format!("update rework.operation set {columns} where name = 'noinput'");
        setup.session().execute(&sql);
    };
    declare("run_after = '{nosuch,third}'");
    let _monitors = start_monitors(&setup);
    let task = setup.wait_until_done(setup.schedule_without_input("noinput")).id;
    assert_eq!(followers(&setup, task), [("third".to_owned(), json!({"result": null}))]);
    let log = setup.log_lines(task);
    let expected = "the follower `nosuch` is not scheduled: operation `nosuch` is registered";
    assert!(log.iter().any(|line| line.starts_with(expected)), "{log:?}");
    // The input of `third` has one level more than the output, and `second` gets nothing of it.
    let deep = "[".repeat(100) + &"]".repeat(100);
    let task = setup.rework(["schedule", "first", "--input", &deep]).run_ok().id();
    setup.wait_until_done(task);
    assert_eq!(followers(&setup, task), [("second".to_owned(), json!({}))]);
    let log = setup.log_lines(task);
    let expected = "the follower `third` is not scheduled: its input is nested more";
    assert!(log.iter().any(|line| line.starts_with(expected)), "{log:?}");
    declare("run_before = '{nosuch}'");
    let refused = setup.rework(["schedule", "noinput"]).run_expecting(1).stderr();
    assert!(refused.contains("`run_before` of `noinput`: operation `nosuch`"), "{refused}");
    declare("run_before = '{noinput}'");
    let refused = setup.rework(["schedule", "noinput"]).run_expecting(1).stderr();
    assert!(refused.contains("nested more than 10 levels deep"), "{refused}");
}
