//! The SQL function `rework.complete`, called with many runs at once: each task gets its own state and output.

use crate::support::Installation;
use crate::support::fleet_rows::{finish_all, insert_operations, insert_worker_on_a};
use crate::support::session::Session;

/// The number of tasks in each claim, and so in each call of `rework.complete`.
const TASKS: i64 = 20;

/// Schedules `$1` tasks and returns how many were scheduled.
const SCHEDULE: &str =
    "select count(*) from rework.schedule_many('operation_1', array_fill('1'::json, array[$1::integer]),
                                               domain => 'many')";

/// Claims at most 20 tasks for worker 1 into the temporary table `claimed`.
const CLAIM: &str =
    "drop table if exists claimed;
     create temp table claimed as
     select * from rework.claim(1, 1, 1, 'a', 'many', '{}', array(select id from rework.operation), '{20}')
      order by task";

/// Schedules and claims `TASKS` tasks, and then runs the statement `after_claim`, which may change their rows.
fn claim(session: &Session, after_claim: &str) {
    assert_eq!(session.query_value::<i64>(SCHEDULE, &[&(TASKS as i32)]), TASKS);
    session.execute(CLAIM);
    assert_eq!(session.query_value::<i64>("select count(*) from claimed", &[]), TASKS);
    session.execute(after_claim);
}

/// Records the ends of the claimed runs, each with the id of its task as output.
///
/// Returns how many result rows stand for all runs, and how many stand for a single run. `rework.complete` returns one
/// row without a task id if all runs became `done`, and otherwise one row for each run that it ended.
fn complete(session: &Session) -> (i64, i64) {
    let sql = "select count(*) filter (where task is null), count(task)
           from rework.complete(array(select task from claimed), array(select run from claimed),
                    array(select token from claimed), '{done}', '{}', '{}',
                    array(select task::text from claimed), '{}', array(select 1 from claimed),
                    array(select 0 from claimed), '{}', '{}', '{}', null)";
    let row = &session.query(sql, &[])[0];
    (row.get(0), row.get(1))
}

/// Asserts that `tasks` of the claimed tasks are done and have their own id as output.
#[track_caller]
fn assert_done(session: &Session, tasks: i64) {
    let done = "select count(*) from claimed join rework.task on id = claimed.task
                 where state = 'done' and output::text = id::text and finished_at >= started_at";
    assert_eq!(session.query_value::<i64>(done, &[]), tasks);
}

#[test]
fn complete_returns_one_row_for_all_runs_only_if_all_are_done() {
    let setup = Installation::new();
    let session = setup.session();
    insert_worker_on_a(session);
    insert_operations(session, 1, 1, &["a"]);
    let (one_row, row_per_run) = ((1, 0), (0, TASKS));
    let progress = "update rework.task set progress = '{}' where id % 2 = 0 and state = 'running'";
    let abort = "update rework.task set state = 'aborting', reason = 'requested'
                  where id = (select min(task) from claimed)";
    for (after_claim, rows, done) in
        [("", one_row, TASKS), (progress, one_row, TASKS), (abort, row_per_run, TASKS - 1)]
    {
        claim(session, after_claim);
        assert_eq!(complete(session), rows, "{after_claim}");
        assert_done(session, done);
    }
    finish_all(session);
}

#[test]
fn complete_ignores_runs_that_are_not_current() {
    let setup = Installation::new();
    let session = setup.session();
    insert_worker_on_a(session);
    insert_operations(session, 1, 1, &["a"]);
    claim(session, "");
    session.execute("update claimed set run = run + 1 where task % 2 = 0");
    session.execute("update claimed set token = gen_random_uuid() where task % 2 = 1");
    assert_eq!(complete(session), (0, 0));
    assert_done(session, 0);
    session.execute("update rework.task set state = 'aborting', reason = 'requested'");
    session.execute(
        "update claimed set run = t.run, token = t.token from rework.task t where t.id = task",
    );
    assert_eq!(complete(session), (0, TASKS));
    let aborted =
        "select count(*) from rework.task where state = 'aborted' and reason = 'requested'";
    assert_eq!(session.query_value::<i64>(aborted, &[]), TASKS);
    finish_all(session);
}
