//! Lanes that no task needs any more are deleted, also while other transactions schedule tasks that need them. The
//! number of lanes is bounded.

use std::thread;

use rework_core::task::state::State;

use crate::support::fleet_rows::{finish_all, insert_operations, insert_worker_on_a};
use crate::support::installation::Installation;
use crate::support::scale::count;
use crate::support::session::Session;

/// Schedules a task that needs a capability, and returns its id.
fn schedule(session: &Session, capability: &str) -> i64 {
    let sql = "select rework.schedule('operation_1', domain => 'many', capabilities => array[$1])";
    session.query_value(sql, &[&capability])
}

/// Deletes unused lanes whatever their age, and returns how many.
fn sweep(session: &Session) -> i64 {
    session.query_value("select rework.sweep_lanes('0')", &[])
}

/// Ends all queued tasks.
fn end_tasks(session: &Session) {
    session.execute(
        "update rework.task set state = 'lost', finished_at = now() where state = 'queued'",
    );
}

/// Returns the number of queued tasks that no worker could ever claim, because their lane is missing or another one.
fn tasks_without_lane(session: &Session) -> i64 {
    let sql = "select count(*) from rework.task
                where state = 'queued'
                  and not exists (select from rework.lane
                                   where lane.id = task.lane and lane.operation = task.operation
                                     and lane.capabilities = task.capabilities)";
    session.query_value(sql, &[])
}

/// Returns how many tasks a worker of host `a` with this capability claims at once.
fn claim(session: &Session, capability: &str) -> i64 {
    let sql = "select count(*)
                 from rework.claim(1, 1, 1, 'a', 'many', array[$1], array[1::bigint], array[100])";
    session.query_value(sql, &[&capability])
}

/// Makes an installation with operation `operation_1`, which host `a` can run.
fn with_operation() -> Installation {
    let setup = Installation::new();
    insert_worker_on_a(setup.session());
    insert_operations(setup.session(), 1, 1, &["a"]);
    setup
}

#[test]
fn a_lane_is_deleted_when_no_task_needs_it_and_made_again_for_a_retry() {
    let setup = with_operation();
    let session = setup.session();
    let task = schedule(session, "gpu");
    let ranges = || session.query_value::<i64>("select count(*) from rework.host_lanes", &[]);
    for state in [
        "state = 'queued'",
        "state = 'delayed', delayed_until = now()",
        "state = 'waiting', awaits = 1",
        "state = 'running', worker = 1, token = gen_random_uuid()",
        "state = 'aborting'",
    ] {
        session.execute(&format!("update rework.task set {state}"));
        assert_eq!((sweep(session), ranges()), (0, 2), "{state}");
    }
    session.execute("update rework.task set state = 'lost', finished_at = now()");
    let young = "select rework.sweep_lanes('1 day')";
    assert_eq!(session.query_value::<i64>(young, &[]), 0, "the lane was made just now");
    assert_eq!((sweep(session), ranges()), (1, 1));
    assert_eq!(sweep(session), 0, "the lane without needs stays");
    setup.rework(["retry-task", &task.to_string()]).run_ok();
    assert_eq!(setup.task(task).state, State::Queued);
    assert_eq!((tasks_without_lane(session), claim(session, "gpu")), (0, 1));
    finish_all(session);
}

#[test]
fn the_lane_of_a_task_that_is_not_committed_yet_stays() {
    let setup = with_operation();
    let session = setup.session();
    schedule(session, "gpu");
    end_tasks(session);
    let other = Session::open(setup.dsn());
    other.execute("begin");
    schedule(&other, "gpu");
    assert_eq!(sweep(session), 0);
    other.execute("commit");
    assert_eq!((tasks_without_lane(session), claim(session, "gpu")), (0, 1));
    finish_all(session);
}

#[test]
fn a_task_that_is_scheduled_while_its_lane_is_deleted_gets_another_lane() {
    let setup = with_operation();
    let session = setup.session();
    schedule(session, "gpu");
    end_tasks(session);
    let sweeper = Session::open(setup.dsn());
    sweeper.execute("begin");
    assert_eq!(sweep(&sweeper), 1);
    let dsn = setup.dsn().to_owned();
    let scheduling = thread::spawn(move || schedule(&Session::open(&dsn), "gpu"));
    setup.wait_until("the lane's lock is waited for", || {
        let sql = "select count(*) > 0 from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'";
        session.query_value(sql, &[])
    });
    sweeper.execute("commit");
    scheduling.join().unwrap();
    assert_eq!((tasks_without_lane(session), claim(session, "gpu")), (0, 1));
    finish_all(session);
}

#[test]
fn no_task_loses_its_lane_in_a_race_of_sweeps_and_open_transactions() {
    const SCHEDULERS: usize = 3;
    let setup = with_operation();
    let session = setup.session();
    let rounds = count(80, 5_000);
    let schedulers: Vec<_> = (0..SCHEDULERS)
        .map(|number| {
            let dsn = setup.dsn().to_owned();
            thread::spawn(move || {
                let session = Session::open(&dsn);
                for round in 0..rounds {
                    session.execute("begin");
                    schedule(&session, &format!("c{}", (round + number) % 4));
                    session.execute(if round % 5 == 0 { "rollback" } else { "commit" });
                }
            })
        })
        .collect();
    let mut swept = 0;
    while !schedulers.iter().all(thread::JoinHandle::is_finished) {
        end_tasks(session);
        swept += sweep(session);
        assert_eq!(tasks_without_lane(session), 0, "after {swept} lanes were deleted");
    }
    for scheduler in schedulers {
        scheduler.join().unwrap();
    }
    assert_eq!(tasks_without_lane(session), 0);
    assert!(swept > 0, "no lane was deleted during the race");
    end_tasks(session);
    sweep(session);
    assert_eq!(session.query_value::<i64>("select count(*) from rework.lane", &[]), 1);
    session.execute("select rework.repair_host_lanes('a')");
    finish_all(session);
}

#[test]
fn the_number_of_different_sets_of_capabilities_is_bounded() {
    let setup = with_operation();
    let session = setup.session();
    session.execute(
        "alter table rework.lane disable trigger limit_lanes;
         insert into rework.lane (domain, operation, capabilities)
         select 'many', 1, array['c' || n] from generate_series(1, 1000) n;
         alter table rework.lane enable trigger limit_lanes;
         insert into rework.operation (domain, name) values ('other', 'operation_1')",
    );
    schedule(session, "c7");
    let sql = "select rework.schedule('operation_1', domain => $1, capabilities => '{c0}')";
    let refused = session.try_query_value::<i64>(sql, &[&"many"]);
    assert_eq!(refused, Err("RW400".to_owned()));
    session.query_value::<i64>(sql, &[&"other"]);
    // All but the one that a task needs are forgotten.
    assert_eq!(sweep(session), 999);
    session.query_value::<i64>(sql, &[&"many"]);
    finish_all(session);
}

#[test]
fn the_number_of_lanes_of_an_operation_is_bounded() {
    let setup = with_operation();
    let session = setup.session();
    session.execute(
        "alter table rework.lane disable trigger limit_lanes;
         insert into rework.lane (domain, operation, host)
         select 'many', 1, 'host' || n from generate_series(1, 10000) n;
         alter table rework.lane enable trigger limit_lanes",
    );
    let sql = "select rework.schedule('operation_1', domain => 'many', host => $1)";
    session.query_value::<i64>(sql, &[&"host7"]);
    let refused = session.try_query_value::<i64>(sql, &[&"host0"]);
    assert_eq!(refused, Err("RW400".to_owned()));
    assert_eq!(sweep(session), 9_999);
    session.query_value::<i64>(sql, &[&"host0"]);
    finish_all(session);
}
