//! The ends of runs that are recorded together: each is its own task's.

use crate::support::Installation;
use crate::support::fleet::{end_it, operations, worker_of_a};
use crate::support::session::Session;

const TASKS: i64 = 20;

const SCHEDULE: &str =
    "select count(*) from rework.schedule_many('operation_1', array_fill('1'::json, array[$1::integer]),
                                               domain => 'many')";

const CLAIM: &str =
    "drop table if exists claimed;
     create temp table claimed as
     select * from rework.claim(1, 1, 1, 'a', 'many', '{}', array(select id from rework.operation), '{20}')
      order by task";

/// Claims tasks, and lets others do something to them.
fn claimed(session: &Session, meanwhile: &str) {
    assert_eq!(session.one::<i64>(SCHEDULE, &[&(TASKS as i32)]), TASKS);
    session.run(CLAIM);
    assert_eq!(session.one::<i64>("select count(*) from claimed", &[]), TASKS);
    session.run(meanwhile);
}

/// Completes them, each with its id as its output. Returns how many answers stand for all, and how many for one.
fn ended(session: &Session) -> (i64, i64) {
    let sql = "select count(*) filter (where task is null), count(task)
           from rework.complete(array(select task from claimed), array(select run from claimed),
                    array(select token from claimed), '{done}', '{}', '{}',
                    array(select task::text from claimed), '{}', array(select 1 from claimed),
                    array(select 0 from claimed), '{}', '{}', '{}', null)";
    let row = &session.rows(sql, &[])[0];
    (row.get(0), row.get(1))
}

#[track_caller]
fn assert_done(session: &Session, tasks: i64) {
    let done = "select count(*) from claimed join rework.task on id = claimed.task
                 where state = 'done' and output::text = id::text and finished_at >= started_at";
    assert_eq!(session.one::<i64>(done, &[]), tasks);
}

#[test]
fn runs_that_are_all_done_have_one_answer_and_others_one_each() {
    let place = Installation::new();
    let session = place.session();
    worker_of_a(session);
    operations(session, 1, 1, &["a"]);
    let (of_all, of_each) = ((1, 0), (0, TASKS));
    let progress = "update rework.task set progress = '{}' where id % 2 = 0 and state = 'running'";
    let asked = "update rework.task set state = 'aborting', reason = 'asked'
                  where id = (select min(task) from claimed)";
    for (meanwhile, answers, done) in
        [("", of_all, TASKS), (progress, of_all, TASKS), (asked, of_each, TASKS - 1)]
    {
        claimed(session, meanwhile);
        assert_eq!(ended(session), answers, "{meanwhile}");
        assert_done(session, done);
    }
    end_it(session);
}

#[test]
fn a_run_that_is_not_current_ends_nothing() {
    let place = Installation::new();
    let session = place.session();
    worker_of_a(session);
    operations(session, 1, 1, &["a"]);
    claimed(session, "");
    session.run("update claimed set run = run + 1 where task % 2 = 0");
    session.run("update claimed set token = gen_random_uuid() where task % 2 = 1");
    assert_eq!(ended(session), (0, 0));
    assert_done(session, 0);
    session.run("update rework.task set state = 'aborting', reason = 'asked'");
    session.run(
        "update claimed set run = t.run, token = t.token from rework.task t where t.id = task",
    );
    assert_eq!(ended(session), (0, TASKS));
    let aborted = "select count(*) from rework.task where state = 'aborted' and reason = 'asked'";
    assert_eq!(session.one::<i64>(aborted, &[]), TASKS);
    end_it(session);
}
