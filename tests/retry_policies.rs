//! Retry policies in real runs: the pauses between attempts, the policies that have names, runs that are put off, and
//! all ways to declare a policy.

use std::fs;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::Installation;

/// Commands that fail, with policies. `opens` succeeds as soon as its gate exists.
const MANIFEST: &str = r#"
[[operation]]
name = "bad_never"
shell = "exit 1"
retry = "never"

[[operation]]
name = "bad_once"
shell = "exit 1"
retry = "once"

[[operation]]
name = "bad_always"
shell = "exit 1"
retry = "always"

[[operation]]
name = "opens"
shell = '[ -e "$INPUT_GATE" ]'
input = { gate = "string" }
retry = { attempts = 2, endless = true, backoff = "fixed", first = "10ms" }
"#;

fn with_manifest() -> Installation {
    let setup = Installation::with_fixture();
    let manifest = setup.folder().join("retries.toml");
    fs::write(&manifest, MANIFEST).unwrap();
    setup.register([&manifest]);
    setup
}

/// Schedules a task with a policy, by SQL.
fn schedule(setup: &Installation, operation: &str, input: &Value, retry: &Value) -> i64 {
    let sql = "select rework.schedule($1, $2::json, retry => $3::json)";
    setup.session().query_value(sql, &[&operation, input, retry])
}

/// Returns the policy that is stored with a task.
fn policy_of(setup: &Installation, task: i64) -> Value {
    let sql = "select coalesce(retry, 'null'::json) from rework.task where id = $1";
    setup.session().query_value(sql, &[&task])
}

/// Returns the numbers of the attempts of the runs that did not end the task.
fn attempts_of_runs(setup: &Installation, task: i64) -> Vec<i32> {
    let sql = "select attempt from rework.run where task = $1 order by run";
    setup.session().query_values(sql, &[&task])
}

#[test]
fn pauses_are_those_of_the_policy_of_the_task() {
    let setup = Installation::with_fixture();
    // The operation allows 2 attempts. Each task is observed in the pause after the run that is named here.
    let cases = [
        (json!({"attempts": 5, "backoff": "fixed", "first": "1h", "jitter": 0}), 1, 3_600.0),
        (json!({"attempts": 5, "list": ["10ms", "2h"], "jitter": 0}), 2, 7_200.0),
        (json!({"attempts": 5, "first": "50ms", "factor": 1000, "jitter": 0}), 2, 50.0),
        (json!({"attempts": 5, "first": "50ms", "factor": 999, "most": "9s", "jitter": 0}), 2, 9.0),
    ];
    let tasks = cases.map(|(retry, run, seconds)| {
        (schedule(&setup, "always_fails", &Value::Null, &retry), run, seconds)
    });
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    for (task, run, seconds) in tasks {
        setup.wait_until("the task waits for its next attempt", || {
            let now = setup.task(task);
            now.run == run && now.state == State::Delayed
        });
        let sql = "select extract(epoch from delayed_until - r.finished_at)::float8
                     from rework.task t join rework.run r on r.task = t.id and r.run = t.run
                    where t.id = $1";
        let pause: f64 = setup.session().query_value(sql, &[&task]);
        let expected = seconds - 0.1..seconds + 2.0;
        assert!(expected.contains(&pause), "{pause} s instead of {seconds} s");
        let shown = setup.rework(["show-task", &task.to_string()]).run_ok().stdout();
        let expected = format!("attempt {run} of 5, next in ");
        assert!(shown.contains(&expected), "no `{expected}` in\n{shown}");
    }
}

/// Scenarios EJ-8 and EJ-9 of `EasyJobs`, without what follows a failure.
#[test]
fn a_policy_with_a_name_allows_one_attempt_or_two_or_endless_ones() {
    let setup = with_manifest();
    let gate = setup.folder().join("gate");
    let never = setup.schedule_without_input("bad_never");
    let once = schedule(&setup, "bad_once", &Value::Null, &json!({"first": "10ms"}));
    let opens = setup.schedule("opens", json!({ "gate": gate }));
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let never = setup.wait_until_ended(never);
    assert_eq!((never.state, never.run, never.attempt), (State::Failed, 1, 1));
    let once = setup.wait_until_ended(once);
    assert_eq!((once.state, once.run, once.attempt), (State::Failed, 2, 2));
    setup.wait_until("a second round of attempts has started", || {
        attempts_of_runs(&setup, opens).len() >= 3
    });
    assert_eq!(attempts_of_runs(&setup, opens)[..3], [1, 2, 1], "they are counted from 1 again");
    fs::write(&gate, "").unwrap();
    let done = setup.wait_until_done(opens);
    assert!(done.attempt <= 2 && done.run > 3, "{done:?}");

    let sql = "select retry, attempts from rework.operation where name = $1";
    for (name, policy, attempts) in [
        ("bad_never", json!({"attempts": 1}), 1),
        ("bad_once", json!({"attempts": 2}), 2),
        ("bad_always", json!({"attempts": 2, "endless": true}), 2),
    ] {
        let row = setup.session().query(sql, &[&name]).remove(0);
        assert_eq!((row.get::<_, Value>(0), row.get::<_, i32>(1)), (policy, attempts), "{name}");
    }
}

#[test]
fn an_endless_task_can_be_aborted_and_gives_up_if_its_code_does() {
    let setup = Installation::with_fixture();
    let endless = json!({"attempts": 1, "endless": true, "first": "10ms"});
    let fails = schedule(&setup, "always_fails", &Value::Null, &endless);
    let gives_up = schedule(&setup, "gives_up", &Value::Null, &endless);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let gives_up = setup.wait_until_ended(gives_up);
    assert_eq!((gives_up.state, gives_up.run), (State::Failed, 1));
    setup.wait_until("it was tried again", || setup.task(fails).run >= 2);
    setup.rework(["abort-task", &fails.to_string()]).run_ok();
    assert_eq!(setup.wait_until_ended(fails).state, State::Aborted);
}

#[test]
fn a_run_that_is_put_off_uses_no_attempt() {
    let setup = Installation::with_fixture();
    let gate = setup.folder().join("gate");
    let task = setup.schedule("is_put_off", json!(gate));
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let put_off = "select count(*) from rework.run where task = $1 and outcome = 'put_off'
                      and reason = 'there is no gate' and error is null";
    setup.wait_until("it was put off twice", || {
        setup.session().query_value::<i64>(put_off, &[&task]) >= 2
    });
    fs::write(&gate, "").unwrap();
    let done = setup.wait_until_done(task);
    assert_eq!((done.attempt, done.output.clone()), (1, json!(1)), "it is the only attempt");
    assert!(done.run >= 3, "{done:?}");
    let shown = setup.rework(["show-task", &task.to_string()]).run_ok().stdout();
    assert!(shown.contains("put_off") && shown.contains("there is no gate"), "{shown}");
}

#[test]
fn a_task_that_was_put_off_1000_times_in_a_row_fails() {
    let setup = Installation::with_fixture();
    let gate = json!(setup.folder().join("gate"));
    let [fails, goes_on] = [0, 1].map(|_| setup.schedule("is_put_off", gate.clone()));
    setup.session().execute(
        "update rework.task set run = 1000;
         insert into rework.run (task, run, attempt, token, outcome, finished_at)
         select id, n, 1, gen_random_uuid(), 'put_off', now()
           from rework.task, generate_series(1, 1000) as n",
    );
    let interrupt = "update rework.run set outcome = 'failed' where task = $1 and run = 500";
    setup.session().query(interrupt, &[&goes_on]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let failed = setup.wait_until_ended(fails);
    assert_eq!((failed.state, failed.run), (State::Failed, 1001));
    assert_eq!(failed.reason(), "put off more than 1000 times in a row, at last: there is no gate");
    setup.wait_until("the other task was put off again", || setup.task(goes_on).run >= 1002);
    assert!(!setup.task(goes_on).state.is_end());
}

#[test]
fn a_policy_can_be_declared_in_every_way() {
    let setup = Installation::with_fixture();
    let policy = json!({"attempts": 4, "first": "10s"});
    let text = policy.to_string();
    let by_rust: Value = setup.session().query_value(
        "select retry from rework.operation where name = 'fails_with_kind' and attempts = 3",
        &[],
    );
    let declared = json!({"attempts": 3, "backoff": "fixed", "first": "10ms", "jitter": 0.0});
    assert_eq!(by_rust, declared);
    let listed = setup.rework(["list-operations", "-o", "json"]).run_ok().json();
    let mut listed = listed.as_array().unwrap().iter();
    let listed = listed.find(|operation| operation["name"] == "fails_with_kind").unwrap();
    assert_eq!(listed["limits"]["retry"], declared);

    assert_eq!(policy_of(&setup, schedule(&setup, "double", &json!(1), &policy)), policy);
    assert_eq!(policy_of(&setup, setup.schedule("double", 1)), Value::Null);
    let many = "select rework.schedule_many('double', array['1', '2'], retry => $1)";
    for task in setup.session().query_values::<i64>(many, &[&json!("always")]) {
        assert_eq!(policy_of(&setup, task), json!({"attempts": 2, "endless": true}));
    }
    let command = ["schedule", "double", "--input", "1", "--retry"];
    let task = setup.rework(command).args([&text]).run_ok().id();
    let stored = json!({"attempts": 4, "first": "10s", "factor": 2.0, "most": "1h"});
    assert_eq!(policy_of(&setup, task), stored);
    let task = setup.rework(command).args(["once"]).run_ok().id();
    assert_eq!(policy_of(&setup, task), json!({"attempts": 2}));
    let shown = setup.rework(["show-task", &task.to_string(), "-o", "json"]).run_ok().json();
    assert_eq!((&shown["retry"], &shown["attempts"]), (&json!({"attempts": 2}), &json!(2)));
    let file = setup.rework(["schedule", "double", "--many", "-", "--retry", "never"]);
    let tasks = file.stdin("1\n2\n").run_ok().lines();
    assert_eq!(tasks.len(), 2);
    for task in tasks {
        assert_eq!(policy_of(&setup, task.parse().unwrap()), json!({"attempts": 1}));
    }
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_in_every_way() {
    let setup = Installation::with_fixture();
    let bad = json!({"factor": 0.5});
    for call in [
        "select rework.schedule('double', '1', retry => $1)",
        "select rework.schedule_many('double', array['1'], retry => $1)",
    ] {
        let refused = setup.session().try_query_value::<i64>(call, &[&bad]);
        assert_eq!(refused, Err("RW400".to_owned()), "{call}");
    }
    let schedule = ["schedule", "double", "--input", "1", "--retry", &bad.to_string()];
    let stderr = setup.rework(schedule).run_expecting(2).stderr();
    assert!(stderr.contains("it needs a number from 1 to 1000 as `factor`"), "{stderr}");
    let tasks = "select count(*) from rework.task";
    assert_eq!(setup.session().query_value::<i64>(tasks, &[]), 0);

    let manifest = setup.folder().join("bad.toml");
    for (keys, expected) in [
        (
            "retry = { frist = '1s' }",
            ":4: `retry` of operation `a`: it has the unknown key `frist`",
        ),
        ("attempts = 3\nretry = 'once'", ":5: `retry` of operation `a`: it has 2 as `attempts`"),
    ] {
        let text = format!("[[operation]]\nname = 'a'\nshell = 'true'\n{keys}\n");
        fs::write(&manifest, text).unwrap();
        let register = setup.rework(["register-operations"]).args([&manifest]);
        let stderr = register.run_expecting(1).stderr();
        assert!(stderr.contains(expected), "no `{expected}` in {stderr}");
    }
}
