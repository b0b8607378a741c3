//! Schedules: preparing them, what is refused, and that each instant makes one task.

use chrono::{DateTime, TimeDelta, Utc};
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::fixture;
use crate::support::{Installation, wait};

/// An installation where `double` is prepared by hand, with nothing that would run it.
fn prepared(rule: &str, more: &[&str]) -> (Installation, i64) {
    let place = Installation::with_fixture();
    let id = place.rework(["prepare", "double", "--input", "1", "--rule", rule]).args(more);
    let id = id.ok().id();
    (place, id)
}

fn plan(place: &Installation, hours: &str) -> Vec<String> {
    place.rework(["scheduled-plan", "--hours", hours]).ok().lines()
}

/// Lets a schedule be due for so long already.
fn was_due(place: &Installation, schedule: i64, seconds: i64) {
    let sql = format!(
        "update rework.schedule set next_at = date_trunc('second', now()) - interval '{seconds} s'
          where id = {schedule}"
    );
    place.session().run(&sql);
}

fn ticks(place: &Installation) -> i64 {
    place.session().one("select count(*) from rework.tick", &[])
}

pub(crate) fn listed(place: &Installation) -> Vec<Value> {
    place.rework(["list-scheduled", "-o", "json"]).ok().json().as_array().unwrap().clone()
}

/// Scenario RW-23.
#[test]
fn a_cron_rule_is_prepared_once_and_a_wrong_one_is_refused() {
    let (place, first) = prepared("0 15 8,12 * * *", &[]);
    let plan = plan(&place, "24");
    assert_eq!(plan.len(), 2, "{plan:?}");
    for time in [" 08:15:00+00:00 double", " 12:15:00+00:00 double"] {
        assert!(plan.iter().any(|line| line.ends_with(time)), "{plan:?}");
    }
    let prepare = |rule: &str| place.rework(["prepare", "double", "--input", "1", "--rule", rule]);
    prepare("0 8 * * mon-fri").ok();
    for (rule, why) in [
        ("0 99 8 * * *", "`0 99 8 * * *` is no cron rule: "),
        ("8 * * *", "it has 4 fields, not 5 or 6"),
        ("", "it has 0 fields, not 5 or 6"),
        ("0 0 30 2 *", "`0 0 30 2 *` never comes due"),
    ] {
        let said = prepare(rule).exits(1).stderr();
        assert!(said.contains(why) && said.contains("hint: "), "{said}");
    }
    place.rework(["prepare", "double", "--input", "1"]).exits(2);
    let again = prepare(" 0  15 8,12 * * *").ok().id();
    assert!(again > first, "a new id");
    let ids: Vec<i64> = place.session().all("select id from rework.schedule order by rule", &[]);
    assert_eq!(ids.len(), 2, "one row of each rule");
    assert!(ids.contains(&again));
    let unprepare = |code| place.rework(["unprepare", &again.to_string()]).exits(code).stdout();
    assert_eq!(unprepare(0), format!("{again} : removed 1 prepared operation\n"));
    assert_eq!(unprepare(1), format!("{again} : removed 0 prepared operation\n"));
}

/// Scenario RW-26.
#[test]
fn a_rule_of_every_second_must_be_meant() {
    let place = Installation::with_fixture();
    let prepare = |rule: &str| place.rework(["prepare", "noinput", "--rule", rule]);
    for rule in ["* 0 8 * * *", " * * * * * *", "0-59 * * * * *", "*/1 * * * * *"] {
        let said = prepare(rule).exits(1).stderr();
        assert!(said.contains("\"every second\" rule is forbidden"), "{said}");
    }
    prepare("*/5 * * * *").ok();
    prepare("* * * * *").ok();
    prepare("* 0 8 * * *").args(["--every-second"]).ok();
}

#[test]
fn a_schedule_that_is_due_makes_its_task() {
    let (place, _) =
        prepared("* * * * * *", &["--every-second", "--metadata", "{\"user\": \"x\"}"]);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let done = || -> Vec<i64> {
        place.session().all("select id from rework.task where state = 'done'", &[])
    };
    place.until("three tasks are done", || done().len() >= 3);
    for id in done() {
        let task = place.task(id);
        assert_eq!(task.output, json!(2));
        let late: f64 = place.session().one(
            "select extract(epoch from task.queued_at - tick.due_at)::float8
               from rework.tick join rework.task on task.id = tick.task
              where task.id = $1 and task.metadata->>'user' = 'x'",
            &[&id],
        );
        assert!((0.0..60.0).contains(&late), "{late} s late");
    }
    let last = &listed(&place)[0]["last"];
    assert!(last["task"].is_i64() && last["reason"].is_null(), "{last}");
}

#[test]
fn missed_instants_follow_the_policy() {
    for (policy, tasks) in [("none", 1), ("last", 1), ("all", 10)] {
        let (place, id) = prepared("0 0 1 1 *", &["--missed", policy]);
        // Ten minutes ago, and once a minute since; the last one is no more than a minute late.
        place.session().run("update rework.schedule set rule = '0 * * * * *'");
        was_due(&place, id, 600);
        let _monitor = place.monitor(&["--minworkers", "0"]);
        place.until("it has been fired", || ticks(&place) > 0);
        let made = ticks(&place);
        // A minute may have begun in between.
        assert!((tasks..=tasks + 1).contains(&made), "{policy}: {made}");
    }
}

#[test]
fn nothing_long_missed_is_made_up_for_unless_asked() {
    for (policy, expected) in [("none", 0), ("last", 1), ("all", 100)] {
        let (place, id) = prepared("0 0 1 1 *", &["--missed", policy]);
        // Once an hour, at a minute that is at least two away from now.
        let minute = (Utc::now() - TimeDelta::minutes(30)).format("%M").to_string();
        place.session().run(&format!("update rework.schedule set rule = '0 {minute} * * * *'"));
        was_due(&place, id, 200 * 3600);
        let _monitor = place.monitor(&["--minworkers", "0"]);
        place.until("it has been moved on", || {
            place.session().one("select next_at > now() from rework.schedule", &[])
        });
        assert_eq!(ticks(&place), expected, "{policy}");
        let tasks: i64 = place.session().one("select count(*) from rework.task", &[]);
        assert_eq!(tasks, expected, "{policy}");
    }
}

#[test]
fn an_instant_is_skipped_while_the_task_before_has_not_ended() {
    let (place, id) =
        prepared("* * * * * *", &["--every-second", "--overlap", "skip", "--host", "elsewhere"]);
    let _monitor = place.monitor(&["--minworkers", "0"]);
    place.until("instants were skipped", || {
        place.session().one("select count(*) > 1 from rework.tick where task is null", &[])
    });
    let tasks: Vec<i64> = place.session().all("select id from rework.task", &[]);
    let [task] = tasks[..] else { panic!("one task: {tasks:?}") };
    let reasons: Vec<String> =
        place.session().all("select distinct reason from rework.tick where task is null", &[]);
    assert_eq!(reasons, [format!("task {task} had not ended")]);
    place.rework(["abort-task", &task.to_string()]).ok();
    place.until("the next one is made", || {
        place.session().one("select count(*) = 2 from rework.task", &[])
    });
    let shown = place.rework(["list-scheduled"]).ok().stdout();
    assert!(shown.starts_with(&format!("{id} double default ")), "{shown}");
    assert!(shown.contains("overlap=skip"), "{shown}");
}

#[test]
fn a_paused_schedule_makes_no_tasks_and_misses_none() {
    let (place, id) = prepared("0 * * * * *", &["--missed", "all", "--host", "elsewhere"]);
    let id_text = id.to_string();
    assert_eq!(place.rework(["pause-scheduled", &id_text]).ok().stdout(), format!("{id} paused\n"));
    was_due(&place, id, 600);
    assert!(plan(&place, "1").is_empty());
    let _monitor = place.monitor(&["--minworkers", "0"]);
    wait::stays("nothing is made", wait::A_WHILE, || ticks(&place) == 0);
    let task = place.rework(["run-scheduled", &id_text]).ok().id();
    assert_eq!(place.task(task).state, State::Queued);
    let resume = || place.rework(["resume-scheduled", &id_text]).ok();
    assert_eq!(resume().stdout(), format!("{id} resumed\n"));
    assert!(resume().stderr().contains("was not paused"));
    let next: DateTime<Utc> = place.session().one("select next_at from rework.schedule", &[]);
    assert!(next > Utc::now() - TimeDelta::seconds(5), "what is past is past");
    for command in ["pause-scheduled", "resume-scheduled", "run-scheduled"] {
        let said = place.rework([command, "99"]).exits(1).stderr();
        assert!(said.contains("there is no schedule 99") && said.contains("hint: "), "{said}");
    }
}

#[test]
fn who_is_not_registered_any_more_makes_no_tasks() {
    let (place, id) = prepared("* * * * * *", &["--every-second"]);
    place.rework(["unregister-operation", "double", "--yes"]).ok();
    was_due(&place, id, 1);
    let _monitor = place.monitor(&["--minworkers", "0"]);
    place.until("it was due", || ticks(&place) > 0);
    let shown = place.rework(["list-scheduled"]).ok().stdout();
    assert!(shown.contains("unregistered"), "{shown}");
    assert!(shown.contains("last time no task: operation `double` is not registered"), "{shown}");
    place.register([fixture()]);
    place.until("it makes tasks again", || {
        place.session().one("select count(*) > 0 from rework.task", &[])
    });
}

#[test]
fn replacing_a_schedule_loses_no_instant() {
    let (place, first) = prepared("0 * * * * *", &[]);
    was_due(&place, first, 1);
    let due: DateTime<Utc> = place.session().one("select next_at from rework.schedule", &[]);
    place.session().run(&format!(
        "insert into rework.tick (schedule, due_at, task) values ({first}, now() - interval '1 h', 7)"
    ));
    let again = ["prepare", "double", "--input", " 1 ", "--rule", "0 * * * * *"];
    let second = place.rework(again).ok().id();
    assert_ne!(first, second);
    assert_eq!(
        place.session().one::<DateTime<Utc>>("select next_at from rework.schedule", &[]),
        due
    );
    assert_eq!(place.session().all::<i64>("select schedule from rework.tick", &[]), [second]);
    let elsewhere = place.rework(again).args(["--zone", "Asia/Tokyo"]).ok().id();
    assert_eq!(listed(&place).len(), 1, "{elsewhere} replaced {second}");
    let next: DateTime<Utc> = place.session().one("select next_at from rework.schedule", &[]);
    assert!(next > due, "in another zone it is due at other times");
}

#[test]
fn what_is_prepared_must_fit() {
    let place = Installation::with_fixture();
    let prepare = |args: &[&str]| {
        place.rework(["prepare"]).args(args).args(["--rule", "0 8 * * *"]).exits(1).stderr()
    };
    assert!(prepare(&["nosuch"]).contains("operation `nosuch` is not registered"));
    assert!(prepare(&["double", "--input", "\"x"]).contains("it is not JSON"));
    assert!(
        prepare(&["double", "--input", "1", "--zone", "Vienna"]).contains("no time zone `Vienna`")
    );
    place.rework(["prepare", "double", "--rule", "0 8 * * *", "--missed", "some"]).exits(2);
    assert!(listed(&place).is_empty());
    let said =
        place.rework(["prepare", "double", "--rule", "0 8 * * *", "--input", "1"]).ok().stderr();
    assert!(said.contains("no monitor serves domain `default`"), "{said}");
}
