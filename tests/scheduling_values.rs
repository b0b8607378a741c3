//! Values that make no sense: the SQL functions refuse them or give them a meaning, so that no command fails later when
//! it reads them.

use rework_core::task::state::State;

use crate::support::Installation;

/// Values for `rework.schedule` and `rework.schedule_many` that are refused: the argument, the SQLSTATE, and a part of
/// the message.
const REFUSED: [(&str, &str, &str); 15] = [
    ("delayed_until => '294276-12-31 00:00Z'", "RW400", "until after the year 9999"),
    ("delayed_until => '10000-01-01 00:00Z'", "RW400", "until after the year 9999"),
    ("capabilities => array['gpu', null]", "RW400", "one of the capabilities is null"),
    ("capabilities => '{{a},{b}}'", "RW400", "more than one dimension"),
    ("capabilities => '{\"\"}'", "RW400", "the capability `` is empty"),
    ("capabilities => array[E'g\\u200Bpu']", "RW400", "contains an invisible character"),
    ("capabilities => array_fill('a'::text, array[33])", "RW413", "more than 32 capabilities"),
    ("capabilities => array_fill(repeat('a', 251), array[4])", "RW413", "more than 1000 bytes"),
    ("host => ''", "RW400", "the host `` is empty"),
    ("host => E'alpha\\u202E'", "RW400", "contains an invisible character"),
    ("host => repeat('h', 256)", "RW400", "is longer than 255 bytes"),
    ("metadata => to_json(repeat('m', 65535))", "RW413", "the metadata is larger than 64 KiB"),
    ("metadata => '\"\\udc00\"'", "RW400", "the metadata contains half of a surrogate pair"),
    ("metadata => (repeat('[', 101) || repeat(']', 101))::json", "RW400", "more than 100 levels"),
    ("priority => -32769", "RW400", "priority -32769 is not between"),
];

/// Runs a statement that must be refused, and asserts its SQLSTATE and its message.
#[track_caller]
fn assert_refused(setup: &Installation, sql: &str, code: &str, message: &str) {
    let error = setup.session().try_execute(sql).unwrap_err();
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    assert_eq!(error.code().code(), code, "{sql}: {error:?}");
    assert!(error.message().contains(message), "no `{message}` in {error:?}");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let setup = Installation::with_fixture();
    for (argument, code, message) in REFUSED {
        for call in ["schedule('double', '1'", "schedule_many('double', array['1'], null"] {
            assert_refused(&setup, &format!("select rework.{call}, {argument})"), code, message);
        }
    }
    for (call, code, message) in [
        ("schedule('double', unique_key => '')", "RW400", "the unique key is empty"),
        ("schedule('double', unique_key => repeat('k', 1001))", "RW413", "longer than 1000 bytes"),
        ("schedule(null)", "RW400", "no operation is given"),
        ("abort(1, repeat('r', 1001))", "RW413", "longer than 1000 bytes"),
    ] {
        assert_refused(&setup, &format!("select rework.{call}"), code, message);
    }
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn the_command_line_refuses_the_same_values_with_a_hint() {
    let setup = Installation::with_fixture();
    let long_key = "k".repeat(1001);
    for (options, message) in [
        (["--host", ""], "the host `` is empty"),
        (["--capability", ""], "the capability `` is empty"),
        (["--capability", "g\u{200b}pu"], "the capability `g\\u{200b}pu` contains an invisible"),
        (["--unique-key", ""], "the unique key is empty"),
        (["--unique-key", long_key.as_str()], "the unique key is longer than 1000 bytes"),
    ] {
        let schedule = ["schedule", "double", "--input", "1"];
        let output = setup.rework(schedule).args(options).run_expecting(1);
        for part in [message, "hint: "] {
            assert!(output.stderr().contains(part), "no `{part}` in {output}");
        }
    }
    let prepare = ["prepare", "double", "--input", "1", "--rule", "0 8 * * *", "--host", ""];
    let stderr = setup.rework(prepare).run_expecting(1).stderr();
    assert!(stderr.contains("the host `` is empty"), "{stderr}");
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.schedule", &[]), 0);
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn a_task_that_is_delayed_until_infinity_waits_until_it_is_retried() {
    let setup = Installation::with_fixture();
    let schedule = |until: &str| -> i64 {
        let sql = format!("select rework.schedule('double', '4', delayed_until => '{until}')");
        setup.session().query_value(&sql, &[])
    };
    let task = schedule("infinity");
    assert_eq!(setup.task(task).state, State::Delayed);
    assert_eq!(setup.task(schedule("-infinity")).state, State::Queued);
    let listed = setup.rework(["list-tasks"]).run_ok().stdout();
    assert!(listed.contains("until it is retried"), "{listed}");
    let shown = setup.rework(["show-task", &task.to_string()]).run_ok().stdout();
    assert!(shown.contains("delayed until it is retried"), "{shown}");
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(schedule("now"));
    assert_eq!(setup.task(task).state, State::Delayed, "it waits although a worker is idle");
    setup.rework(["retry-task", &task.to_string()]).run_ok();
    assert_eq!(setup.wait_until_done(task).output, 8);
}

#[test]
fn a_task_between_two_attempts_can_be_retried_at_once() {
    let setup = Installation::with_fixture();
    let task = setup.schedule_without_input("always_fails");
    setup.session().execute(
        "update rework.task set state = 'delayed', delayed_until = now() + interval '1 hour', run = 1, attempt = 1,
                token = gen_random_uuid(), worker = 1;
         insert into rework.run (task, run, attempt, token, outcome, finished_at)
         select id, run, attempt, token, 'failed', now() from rework.task",
    );
    setup.rework(["retry-task", &task.to_string()]).run_ok();
    let queued = setup.task(task);
    assert_eq!((queued.state, queued.run, queued.attempt), (State::Queued, 1, 0));
    let runs = "select run from rework.run where task = $1";
    assert_eq!(setup.session().query_values::<i64>(runs, &[&task]), [1], "it is kept once");
}

#[test]
fn an_input_may_be_json_jsonb_or_text() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    for (argument, stored) in [
        ("'{\"a\": 1.0}'", "{\"a\": 1.0}"),
        ("'{\"a\": 1.0}'::json", "{\"a\": 1.0}"),
        ("'{\"a\": 1.0}'::jsonb", "{\"a\": 1.0}"),
        ("json_build_object('a', 7)", "{\"a\" : 7}"),
        ("jsonb_build_object('a', 12345678901234567.25)", "{\"a\": 12345678901234567.25}"),
        ("'[1]'::varchar", "[1]"),
        ("7", "7"),
    ] {
        let task: i64 = session.query_value(
            &format!("select rework.schedule('describes_run', {argument}, capabilities => null)"),
            &[],
        );
        let sql = "select input::text from rework.task where id = $1 and capabilities = '{}'";
        assert_eq!(session.query_value::<String>(sql, &[&task]), stored, "{argument}");
    }
    let arrays = [
        "array['1', '2']",
        "array['1', '2']::json[]",
        "array['1', '2']::jsonb[]",
        "'{1,2}'",
        "(select array_agg(to_jsonb(n)) from generate_series(1, 2) n)",
    ];
    for array in arrays {
        let sql = format!("select rework.schedule_many('double', {array}, capabilities => null)");
        let tasks: Vec<i64> = session.query_values(&sql, &[]);
        let sql = "select input::text from rework.task where id = any ($1) order by id";
        assert_eq!(session.query_values::<String>(sql, &[&tasks]), ["1", "2"], "{array}");
    }
    assert_eq!(
        session.try_query_value::<i64>("select rework.schedule('double', '{')", &[]),
        Err("22P02".to_owned())
    );
}
