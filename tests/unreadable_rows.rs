//! Values that Postgres permits but that the Rust types of `rework` cannot represent, such as the timestamp `infinity`.
//!
//! A command that reads such a value fails with an error that names the row and the column. Monitors and workers
//! continue.

use rework_core::task::state::State;

use crate::bad_input::assert_refused;
use crate::support::Installation;

/// Assigns a JSON value with 500 nested arrays. The JSON parser refuses more than 128.
const DEEP_SCHEMA: &str = "input_schema = (repeat('[', 500) || repeat(']', 500))::json";
const DEEP_OPTIONS: &str = "options = (repeat('[', 500) || repeat(']', 500))::json";

/// Part of the error for a timestamp outside of the range of the Rust type.
const TOO_LARGE: &str = "cannot be read: value too large to decode";

/// A table, an assignment to one of its columns, a command that reads the column, and parts of the error message.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// Makes an installation with at least one row in each table: task 1, worker 1, monitor 1 and schedule 1. The monitor
/// has exited.
fn with_rows_in_all_tables() -> Installation {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule("flood", 1);
    setup.wait_until_done(task);
    monitor.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(monitor.wait_for_exit_code(), Some(0));
    setup.rework(["prepare", "double", "--input", "1", "--rule", "0 0 1 1 *"]).run_ok();
    setup.session().execute(
        "insert into rework.run (task, run, attempt, outcome, token, finished_at)
         values (1, 0, 1, 'failed', gen_random_uuid(), now());
         insert into rework.firing (schedule, due_at) values (1, now())",
    );
    setup
}

/// For each case, changes the column in all rows, asserts that the command fails with the error, and restores the
/// column.
fn assert_all_refused(setup: &Installation, cases: &[Case]) {
    for (table, assignment, command, message_parts) in cases {
        let copy = format!("create table kept as select * from rework.{table}");
        setup.session().execute(&copy);
        let updated =
            setup.session().try_execute(&format!("update rework.{table} set {assignment}"));
        updated.unwrap_or_else(|error| panic!("{table} {assignment}: {error:?}"));
        let stderr = setup.rework(*command).run_expecting(1).stderr();
        for part in message_parts.iter().chain(&["error: ", "hint: "]) {
            assert!(stderr.contains(part), "no `{part}` in {stderr}");
        }
        restore_column(setup, table, assignment);
    }
}

/// Restores the column that `assignment` has changed from table `kept`, and drops this table.
fn restore_column(setup: &Installation, table: &str, assignment: &str) {
    // Tables `firing` and `run` have a single row and no column `id`.
    let (column, _) = assignment.split_once(" =").unwrap();
    let key = if *table == *"firing" || *table == *"run" { "true" } else { "kept.id = broken.id" };
    setup.session().execute(&format!(
        "update rework.{table} broken set {column} = kept.{column} from kept where {key};
         drop table kept"
    ));
}

const TIMESTAMPS: [Case; 11] = [
    (
        "task",
        "queued_at = 'infinity'",
        &["list-tasks"],
        &["the column `queued_at` of task 1", TOO_LARGE, "where id = 1"],
    ),
    (
        "task",
        "finished_at = '-infinity'",
        &["show-task", "1"],
        &["the column `finished_at` of task 1", TOO_LARGE],
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
        &["the column `next_at` of schedule 1", TOO_LARGE],
    ),
    ("firing", "due_at = '-infinity'", &["list-scheduled"], &["the column `due_at` of schedule 1"]),
    (
        "operation",
        "registered_at = 'infinity'",
        &["list-operations"],
        &["the column `registered_at` of operation "],
    ),
];

#[test]
fn an_unreadable_timestamp_is_named_in_the_error() {
    let setup = with_rows_in_all_tables();
    assert_all_refused(&setup, &TIMESTAMPS);
}

const OTHER_VALUES: [Case; 12] = [
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
        DEEP_OPTIONS,
        &["list-monitors", "--all"],
        &["the column `options` of monitor 1", "recursion limit"],
    ),
    (
        "task",
        "state = 'odd'",
        &["list-tasks"],
        &["the column `state` of task 1", "`odd`: not a state of a task"],
    ),
    ("task", "state = 'odd'", &["wait-task", "1"], &["the column `state` of task 1"]),
    ("task", "state = 'odd'", &["retry-task", "1"], &["the column `state` of task 1"]),
    (
        "operation",
        DEEP_SCHEMA,
        &["list-operations"],
        &["the column `input_schema` of operation ", "recursion limit"],
    ),
    (
        "operation",
        DEEP_SCHEMA,
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
        &["the column `missed` of schedule 1", "`odd`: must be `none`, `last` or `all`"],
    ),
];

#[test]
fn an_unreadable_array_word_or_json_value_is_named_in_the_error() {
    let setup = with_rows_in_all_tables();
    setup.session().execute(
        "do $$ begin
            execute (select format('alter domain rework.state drop constraint %I', conname)
                       from pg_constraint where contypid = 'rework.state'::regtype and contype = 'c');
         end $$;
         alter table rework.operation drop constraint operation_output_form_check;
         alter table rework.schedule drop constraint schedule_missed_check",
    );
    assert_all_refused(&setup, &OTHER_VALUES);
}

#[test]
fn a_monitor_does_not_start_if_it_cannot_read_the_row_of_another_monitor() {
    let setup = with_rows_in_all_tables();
    setup.session().execute(
        "update rework.monitor set finished_at = null, domains = array[array['default'], array['other']]",
    );
    let call = setup.rework(["monitor", "--domain", "default"]);
    assert_refused(&setup, call, 1, &["the column `domains` of monitor 1"]);
}

#[test]
fn a_monitor_and_its_worker_continue_after_unreadable_rows() {
    let setup = with_rows_in_all_tables();
    let mut monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let first_worker = setup.wait_until_done(setup.schedule("double", 1)).worker;

    setup.session().execute("update rework.schedule set next_at = '-infinity'");
    let message = "cannot fire schedule 1: the column `next_at` of schedule 1 cannot be read";
    setup.wait_until(message, || monitor.output().contains(message));

    let task = setup.schedule("flood", 1);
    setup.wait_until_done(task);
    setup.session().execute(&format!(
        "update rework.operation set {DEEP_SCHEMA}, version = version + 1 where name = 'flood'"
    ));
    let failed: i64 = setup.session().query_value("select rework.schedule('flood', '1')", &[]);
    let failed = setup.wait_until_ended(failed);
    assert_eq!(failed.state, State::Failed, "{failed:?}");
    assert!(failed.reason().contains("the column `input_schema` of operation"), "{failed:?}");

    setup
        .session()
        .execute("update rework.task set started_at = 'infinity' where finished_at is not null");
    let last_worker = setup.wait_until_done(setup.schedule("double", 1)).worker;
    assert_eq!(first_worker, last_worker, "{}", setup.diagnostics());
    assert!(monitor.exit_status().is_none());
    assert!(!monitor.output().contains("panicked"), "{}", monitor.output());
}
