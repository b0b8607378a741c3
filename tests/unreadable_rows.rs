//! Values that Postgres allows and Rust's types do not hold: a command that meets one ends with an error that
//! names row and column, and monitors and workers live on.

use rework_core::task::state::State;

use crate::bad_input::refused;
use crate::support::Installation;

/// More nested arrays than our JSON parser follows.
const DEEP: &str = "(repeat('[', 500) || repeat(']', 500))::json";

/// A table, the values that are written into a row of it, the command that reads the row, and what it says.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str]);

/// An installation that has a row of every kind: task 1 ran on worker 1 of monitor 1, and schedule 1 is prepared.
fn lived_in() -> Installation {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule("flood", 1);
    place.done(task);
    monitor.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(monitor.exit_code(), Some(0));
    place.rework(["prepare", "double", "--input", "1", "--rule", "0 0 1 1 *"]).ok();
    place.session().run(
        "insert into rework.run (task, run, attempt, outcome, token, finished_at)
         values (1, 0, 1, 'failed', gen_random_uuid(), now());
         insert into rework.tick (schedule, due_at) values (1, now())",
    );
    place
}

/// Tries each case by itself.
fn each_refused(place: &Installation, cases: &[Case<'_>]) {
    for (table, values, command, words) in cases {
        let keep = format!("create table kept as select * from rework.{table}");
        place.session().run(&keep);
        let updated = place.session().try_run(&format!("update rework.{table} set {values}"));
        updated.unwrap_or_else(|error| panic!("{table} {values}: {error:?}"));
        let said = place.rework(*command).exits(1).stderr();
        for word in words.iter().chain(&["error: ", "hint: "]) {
            assert!(said.contains(word), "no `{word}` in {said}");
        }
        mend(place, table, values);
    }
}

/// Puts back what was there.
fn mend(place: &Installation, table: &str, values: &str) {
    let (column, _) = values.split_once(" =").unwrap();
    let key = if *table == *"tick" || *table == *"run" { "true" } else { "kept.id = broken.id" };
    place.session().run(&format!(
        "update rework.{table} broken set {column} = kept.{column} from kept where {key};
         drop table kept"
    ));
}

#[test]
fn a_time_that_is_no_date_is_named() {
    let place = lived_in();
    let too_large = "cannot be read: value too large to decode";
    each_refused(
        &place,
        &[
            (
                "task",
                "queued_at = 'infinity'",
                &["list-tasks"],
                &["the column `queued_at` of task 1", too_large, "where id = 1"],
            ),
            (
                "task",
                "finished_at = '-infinity'",
                &["show-task", "1"],
                &["the column `finished_at` of task 1", too_large],
            ),
            (
                "task",
                "started_at = '294276-12-31 23:59:59Z'",
                &["list-tasks"],
                &["the column `started_at` of task 1"],
            ),
            (
                "run",
                "finished_at = 'infinity'",
                &["show-task", "1"],
                &["the column `finished_at` of run 0", "rework.run where run = 0"],
            ),
            ("log", "at = 'infinity'", &["log-task", "1"], &["the column `at` of log "]),
            (
                "worker",
                "created_at = 'infinity'",
                &["list-workers", "--all"],
                &["the column `created_at` of worker 1"],
            ),
            (
                "monitor",
                "started_at = '-infinity'",
                &["list-monitors", "--all"],
                &["the column `started_at` of monitor 1"],
            ),
            (
                "lease",
                "renewed_at = 'infinity'",
                &["list-monitors", "--all"],
                &["the column `renewed_at` of monitor 1"],
            ),
            (
                "schedule",
                "next_at = 'infinity'",
                &["list-scheduled"],
                &["the column `next_at` of schedule 1", too_large],
            ),
            (
                "tick",
                "due_at = '-infinity'",
                &["list-scheduled"],
                &["the column `due_at` of schedule 1"],
            ),
            (
                "operation",
                "registered_at = 'infinity'",
                &["list-operations"],
                &["the column `registered_at` of operation "],
            ),
        ],
    );
}

#[test]
fn arrays_words_and_json_that_cannot_be_read_are_named() {
    let place = lived_in();
    place.session().run(
        "do $$ begin
            execute (select format('alter domain rework.state drop constraint %I', conname)
                       from pg_constraint where contypid = 'rework.state'::regtype and contype = 'c');
         end $$;
         alter table rework.operation drop constraint operation_output_form_check;
         alter table rework.schedule drop constraint schedule_missed_check",
    );
    let deep = |column: &str| format!("{column} = {DEEP}");
    let (schema, options) = (deep("input_schema"), deep("options"));
    each_refused(
        &place,
        &[
            (
                "task",
                "capabilities = array[null]::text[]",
                &["show-task", "1"],
                &["the column `capabilities` of task 1"],
            ),
            (
                "task",
                "capabilities = '{{a},{b}}'",
                &["show-task", "1"],
                &["the column `capabilities` of task 1", "dimensions"],
            ),
            (
                "schedule",
                "capabilities = array[null]::text[]",
                &["list-scheduled"],
                &["the column `capabilities` of schedule 1"],
            ),
            (
                "monitor",
                "domains = array['default', null]",
                &["list-monitors", "--all"],
                &["the column `domains` of monitor 1"],
            ),
            (
                "monitor",
                &options,
                &["list-monitors", "--all"],
                &["the column `options` of monitor 1", "recursion limit"],
            ),
            (
                "task",
                "state = 'odd'",
                &["list-tasks"],
                &["the column `state` of task 1", "`odd`: a task has no such state"],
            ),
            ("task", "state = 'odd'", &["wait-task", "1"], &["the column `state` of task 1"]),
            ("task", "state = 'odd'", &["retry-task", "1"], &["the column `state` of task 1"]),
            (
                "operation",
                &schema,
                &["list-operations"],
                &["the column `input_schema` of operation ", "recursion limit"],
            ),
            (
                "operation",
                &schema,
                &["schedule", "double", "--input", "1"],
                &["the column `input_schema` of operation "],
            ),
            (
                "operation",
                "output_form = 'odd'",
                &["list-operations"],
                &["the column `output_form` of operation ", "`odd`: it is `json` or `bytes`"],
            ),
            (
                "schedule",
                "missed = 'odd'",
                &["list-scheduled"],
                &["the column `missed` of schedule 1", "`odd`: it is `none`, `last` or `all`"],
            ),
        ],
    );
}

#[test]
fn a_monitor_does_not_start_beside_one_whose_row_it_cannot_read() {
    let place = lived_in();
    place.session().run(
        "update rework.monitor set finished_at = null, domains = array[array['default'], array['other']]",
    );
    let call = place.rework(["monitor", "--domain", "default"]);
    refused(&place, call, 1, &["the column `domains` of monitor 1"]);
}

#[test]
fn a_monitor_and_its_worker_live_on() {
    let place = lived_in();
    let mut monitor = place.monitor(&["--maxworkers", "1"]);
    let first = place.done(place.schedule("double", 1)).worker;

    place.session().run("update rework.schedule set next_at = '-infinity'");
    let said = "schedule 1 cannot be fired: the column `next_at` of schedule 1 cannot be read";
    place.until(said, || monitor.said().contains(said));

    let task = place.schedule("flood", 1);
    place.done(task);
    place.session().run(&format!(
        "update rework.operation set input_schema = {DEEP}, version = version + 1 where name = 'flood'"
    ));
    let refused: i64 = place.session().one("select rework.schedule('flood', '1')", &[]);
    let refused = place.ended(refused);
    assert_eq!(refused.state, State::Failed, "{refused:?}");
    assert!(refused.reason().contains("the column `input_schema` of operation"), "{refused:?}");

    place
        .session()
        .run("update rework.task set started_at = 'infinity' where finished_at is not null");
    let last = place.done(place.schedule("double", 1)).worker;
    assert_eq!(first, last, "{}", place.scene());
    assert!(monitor.has_ended().is_none());
    assert!(!monitor.said().contains("panicked"), "{}", monitor.said());
}
