//! Schedules: `prepare` and `unprepare`, invalid rules, and the tasks that due schedules make.

use chrono::{DateTime, TimeDelta, Utc};
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::fixture_program;
use crate::support::{Installation, wait};

/// Makes an installation with a schedule for operation `double`, without a monitor. Returns it with the schedule's id.
fn prepared(rule: &str, options: &[&str]) -> (Installation, i64) {
    let setup = Installation::with_fixture();
    let id = setup.rework(["prepare", "double", "--input", "1", "--rule", rule]).args(options);
    let id = id.run_ok().id();
    (setup, id)
}

/// Returns the lines of `scheduled-plan` for the next `hours`.
fn plan(setup: &Installation, hours: &str) -> Vec<String> {
    setup.rework(["scheduled-plan", "--hours", hours]).run_ok().lines()
}

/// Sets the next due time of a schedule to a time in the past.
fn set_overdue(setup: &Installation, schedule: i64, seconds: i64) {
    let sql = format!(
        "update rework.schedule set next_at = date_trunc('second', now()) - interval '{seconds} s'
          where id = {schedule}"
    );
    setup.session().execute(&sql);
}

/// Returns the number of recorded firings.
fn firings(setup: &Installation) -> i64 {
    setup.session().query_value("select count(*) from rework.firing", &[])
}

/// Returns the schedules that `list-scheduled` prints as JSON.
pub(crate) fn list_schedules(setup: &Installation) -> Vec<Value> {
    setup.rework(["list-scheduled", "-o", "json"]).run_ok().json().as_array().unwrap().clone()
}

/// Scenario RW-23.
#[test]
fn prepare_replaces_an_equal_rule_and_refuses_an_invalid_one() {
    let (setup, first) = prepared("0 15 8,12 * * *", &[]);
    let plan = plan(&setup, "24");
    assert_eq!(plan.len(), 2, "{plan:?}");
    for time in [" 08:15:00+00:00 double", " 12:15:00+00:00 double"] {
        assert!(plan.iter().any(|line| line.ends_with(time)), "{plan:?}");
    }
    let prepare = |rule: &str| setup.rework(["prepare", "double", "--input", "1", "--rule", rule]);
    prepare("0 8 * * mon-fri").run_ok();
    for (rule, error) in [
        ("0 99 8 * * *", "`0 99 8 * * *` is not a valid cron rule: "),
        ("8 * * *", "it has 4 fields, not 5 or 6"),
        ("", "it has 0 fields, not 5 or 6"),
        ("0 0 30 2 *", "`0 0 30 2 *` never fires"),
    ] {
        let stderr = prepare(rule).run_expecting(1).stderr();
        assert!(stderr.contains(error) && stderr.contains("hint: "), "{stderr}");
    }
    setup.rework(["prepare", "double", "--input", "1"]).run_expecting(2);
    let again = prepare(" 0  15 8,12 * * *").run_ok().id();
    assert!(again > first, "the replaced schedule has a new id");
    let ids: Vec<i64> =
        setup.session().query_values("select id from rework.schedule order by rule", &[]);
    assert_eq!(ids.len(), 2, "one row for each rule");
    assert!(ids.contains(&again));
    let unprepare =
        |code| setup.rework(["unprepare", &again.to_string()]).run_expecting(code).stdout();
    assert_eq!(unprepare(0), format!("{again} : removed 1 prepared operation\n"));
    assert_eq!(unprepare(1), format!("{again} : removed 0 prepared operation\n"));
}

/// Scenario RW-26.
#[test]
fn a_rule_of_every_second_needs_an_option() {
    let setup = Installation::with_fixture();
    let prepare = |rule: &str| setup.rework(["prepare", "noinput", "--rule", rule]);
    for rule in ["* 0 8 * * *", " * * * * * *", "0-59 * * * * *", "*/1 * * * * *"] {
        let stderr = prepare(rule).run_expecting(1).stderr();
        assert!(stderr.contains("\"every second\" rule is forbidden"), "{stderr}");
    }
    prepare("*/5 * * * *").run_ok();
    prepare("* * * * *").run_ok();
    prepare("* 0 8 * * *").args(["--every-second"]).run_ok();
}

#[test]
fn a_due_schedule_makes_a_task_with_its_input_and_metadata() {
    let (setup, _) =
        prepared("* * * * * *", &["--every-second", "--metadata", "{\"user\": \"x\"}"]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let done = || -> Vec<i64> {
        setup.session().query_values("select id from rework.task where state = 'done'", &[])
    };
    setup.wait_until("three tasks are done", || done().len() >= 3);
    for id in done() {
        let task = setup.task(id);
        assert_eq!(task.output, json!(2));
        let delay: f64 = setup.session().query_value(
            "select extract(epoch from task.queued_at - firing.due_at)::float8
               from rework.firing join rework.task on task.id = firing.task
              where task.id = $1 and task.metadata->>'user' = 'x'",
            &[&id],
        );
        assert!((0.0..60.0).contains(&delay), "{delay} s late");
    }
    let last = &list_schedules(&setup)[0]["last"];
    assert!(last["task"].is_i64() && last["reason"].is_null(), "{last}");
}

#[test]
fn missed_due_times_follow_the_policy() {
    for (policy, tasks) in [("none", 1), ("last", 1), ("all", 10)] {
        let (setup, id) = prepared("0 0 1 1 *", &["--missed", policy]);
        // Ten due times are missed. The latest is at most a minute late, so even policy `none` fires it.
        setup.session().execute("update rework.schedule set rule = '0 * * * * *'");
        set_overdue(&setup, id, 600);
        let _monitor = setup.start_monitor(&["--minworkers", "0"]);
        setup.wait_until("the schedule has fired", || firings(&setup) > 0);
        let count = firings(&setup);
        // One more, if the next minute has started since.
        assert!((tasks..=tasks + 1).contains(&count), "{policy}: {count}");
    }
}

#[test]
fn due_times_missed_long_ago_follow_the_policy() {
    for (policy, expected) in [("none", 0), ("last", 1), ("all", 100)] {
        let (setup, id) = prepared("0 0 1 1 *", &["--missed", policy]);
        // Due once an hour, half an hour away from now, so that nothing is due during the test.
        let minute = (Utc::now() - TimeDelta::minutes(30)).format("%M").to_string();
        setup.session().execute(&format!("update rework.schedule set rule = '0 {minute} * * * *'"));
        set_overdue(&setup, id, 200 * 3600);
        let _monitor = setup.start_monitor(&["--minworkers", "0"]);
        setup.wait_until("the schedule has its next due time", || {
            setup.session().query_value("select next_at > now() from rework.schedule", &[])
        });
        assert_eq!(firings(&setup), expected, "{policy}");
        let tasks: i64 = setup.session().query_value("select count(*) from rework.task", &[]);
        assert_eq!(tasks, expected, "{policy}");
    }
}

#[test]
fn with_overlap_skip_no_task_is_made_while_the_previous_one_has_not_ended() {
    let (setup, id) =
        prepared("* * * * * *", &["--every-second", "--overlap", "skip", "--host", "elsewhere"]);
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    setup.wait_until("due times were skipped", || {
        setup
            .session()
            .query_value("select count(*) > 1 from rework.firing where task is null", &[])
    });
    let tasks: Vec<i64> = setup.session().query_values("select id from rework.task", &[]);
    let [task] = tasks[..] else { panic!("one task: {tasks:?}") };
    let reasons: Vec<String> = setup
        .session()
        .query_values("select distinct reason from rework.firing where task is null", &[]);
    assert_eq!(reasons, [format!("task {task} had not ended")]);
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    setup.wait_until("the next task is made", || {
        setup.session().query_value("select count(*) = 2 from rework.task", &[])
    });
    let stdout = setup.rework(["list-scheduled"]).run_ok().stdout();
    assert!(stdout.starts_with(&format!("{id} double default ")), "{stdout}");
    assert!(stdout.contains("overlap=skip"), "{stdout}");
}

#[test]
fn a_paused_schedule_makes_no_tasks_and_misses_no_due_times() {
    let (setup, id) = prepared("0 * * * * *", &["--missed", "all", "--host", "elsewhere"]);
    let id_text = id.to_string();
    assert_eq!(
        setup.rework(["pause-scheduled", &id_text]).run_ok().stdout(),
        format!("{id} paused\n")
    );
    set_overdue(&setup, id, 600);
    assert!(plan(&setup, "1").is_empty());
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    wait::assert_stays_true("a paused schedule does not fire", wait::OBSERVATION_TIME, || {
        firings(&setup) == 0
    });
    let task = setup.rework(["run-scheduled", &id_text]).run_ok().id();
    assert_eq!(setup.task(task).state, State::Queued);
    let resume = || setup.rework(["resume-scheduled", &id_text]).run_ok();
    assert_eq!(resume().stdout(), format!("{id} resumed\n"));
    assert!(resume().stderr().contains("is not paused"));
    let next: DateTime<Utc> =
        setup.session().query_value("select next_at from rework.schedule", &[]);
    assert!(
        next > Utc::now() - TimeDelta::seconds(5),
        "no task is made for due times during the pause"
    );
    for command in ["pause-scheduled", "resume-scheduled", "run-scheduled"] {
        let stderr = setup.rework([command, "99"]).run_expecting(1).stderr();
        assert!(
            stderr.contains("there is no schedule 99") && stderr.contains("hint: "),
            "{stderr}"
        );
    }
}

#[test]
fn a_schedule_of_an_unregistered_operation_makes_no_tasks() {
    let (setup, id) = prepared("* * * * * *", &["--every-second"]);
    setup.rework(["unregister-operation", "double", "--yes"]).run_ok();
    set_overdue(&setup, id, 1);
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    setup.wait_until("the schedule has fired", || firings(&setup) > 0);
    let stdout = setup.rework(["list-scheduled"]).run_ok().stdout();
    assert!(stdout.contains("unregistered"), "{stdout}");
    assert!(stdout.contains("last time no task: operation `double` is not registered"), "{stdout}");
    setup.register([fixture_program()]);
    setup.wait_until("the schedule makes tasks again", || {
        setup.session().query_value("select count(*) > 0 from rework.task", &[])
    });
}

#[test]
fn a_replaced_schedule_keeps_its_due_time_and_its_firings() {
    let (setup, first) = prepared("0 * * * * *", &[]);
    set_overdue(&setup, first, 1);
    let due: DateTime<Utc> =
        setup.session().query_value("select next_at from rework.schedule", &[]);
    setup.session().execute(&format!(
        "insert into rework.firing (schedule, due_at, task) values ({first}, now() - interval '1 h', 7)"
    ));
    let again = ["prepare", "double", "--input", " 1 ", "--rule", "0 * * * * *"];
    let second = setup.rework(again).run_ok().id();
    assert_ne!(first, second);
    assert_eq!(
        setup.session().query_value::<DateTime<Utc>>("select next_at from rework.schedule", &[]),
        due
    );
    assert_eq!(
        setup.session().query_values::<i64>("select schedule from rework.firing", &[]),
        [second]
    );
    let in_zone = setup.rework(again).args(["--zone", "Asia/Tokyo"]).run_ok().id();
    assert_eq!(list_schedules(&setup).len(), 1, "{in_zone} replaced {second}");
    let next: DateTime<Utc> =
        setup.session().query_value("select next_at from rework.schedule", &[]);
    assert!(next > due, "the due time is computed again for another time zone");
}

#[test]
fn prepare_validates_its_arguments() {
    let setup = Installation::with_fixture();
    let prepare = |args: &[&str]| {
        setup.rework(["prepare"]).args(args).args(["--rule", "0 8 * * *"]).run_expecting(1).stderr()
    };
    assert!(prepare(&["nosuch"]).contains("operation `nosuch` is not registered"));
    assert!(prepare(&["double", "--input", "\"x"]).contains("is not JSON"));
    assert!(
        prepare(&["double", "--input", "1", "--zone", "Vienna"]).contains("no time zone `Vienna`")
    );
    setup.rework(["prepare", "double", "--rule", "0 8 * * *", "--missed", "some"]).run_expecting(2);
    assert!(list_schedules(&setup).is_empty());
    let stderr = setup
        .rework(["prepare", "double", "--rule", "0 8 * * *", "--input", "1"])
        .run_ok()
        .stderr();
    assert!(stderr.contains("no monitor serves domain `default`"), "{stderr}");
}
