//! Reads the records of Postgres in a chaos test: the rows of the tasks, and every change of their states, which a
//! trigger writes down.

use std::path::PathBuf;

use rework_core::fleet::sweep::HOST_LOST;
use rework_core::task::state::State;
use tokio_postgres::Row;

use super::history::{RecordedTask, Transition};
use crate::support::leftovers;
use crate::support::session::Session;

/// Creates the table of changes and the trigger. A task that begins to wait in the transaction that scheduled it was
/// queued for nobody, so that is no change. The time is that of the statement, which is sent after the run has ended.
const RECORD_TRANSITIONS: &str = "
    create schema chaos;
    create table chaos.transition (
        number      bigint generated always as identity primary key,
        task        bigint not null,
        run         bigint not null,
        from_state  text not null,
        to_state    text not null,
        at          timestamptz not null
    );
    create function chaos.record_transition() returns trigger language plpgsql as $$
    begin
        insert into chaos.transition (task, run, from_state, to_state, at)
        values (new.id, new.run, old.state, new.state, clock_timestamp());
        return null;
    end $$;
    create trigger record_transition after update on rework.task
        for each row when (old.state <> new.state
                           and not (new.state = 'waiting' and old.xmin = pg_current_xact_id()::xid))
        execute function chaos.record_transition()";

/// Processes that have ended, but are not recorded as ended. A worker without a pid was never started.
const RECORDED_AS_ALIVE: &str = "
    select 'monitor ' || id || ' is recorded as alive' from rework.monitor where finished_at is null
    union all
    select 'worker ' || id || ' is recorded as alive' from rework.worker
     where finished_at is null and pid is not null";

/// Whether the workers of all monitors that have ended are recorded as ended.
const EARLIER_WORKERS_HAVE_ENDED: &str = "
    select not exists (select from rework.worker
                         join rework.monitor on monitor.id = worker.monitor
                        where worker.finished_at is null and worker.pid is not null
                          and monitor.finished_at is not null)";

/// Starts to record the changes of the states of all tasks.
pub(crate) fn start_recording(session: &Session) {
    session.execute(RECORD_TRANSITIONS);
}

/// Reads the tasks.
pub(crate) fn tasks(session: &Session) -> Vec<RecordedTask> {
    let sql = "select task.id, task.state::text, coalesce(task.reason, ''), task.run, task.ran_on,
                      worker.pid, operation.retry_lost, (task.input->>'number')::bigint,
                      task.output::text
                 from rework.task
                 join rework.operation on operation.id = task.operation
                 left join rework.worker on worker.id = task.worker";
    let task = |row: &Row| RecordedTask {
        id: row.get(0),
        state: state(row, 1),
        reason: row.get(2),
        run: row.get(3),
        host: row.get(4),
        worker_pid: row.get(5),
        may_repeat: row.get(6),
        number: row.get(7),
        output: row.get(8),
    };
    session.query(sql, &[]).iter().map(task).collect()
}

/// Reads the changes of the states of all tasks. `wall_clock_offset` is that of `clock.rs`.
pub(crate) fn transitions(session: &Session, wall_clock_offset: i64) -> Vec<Transition> {
    let sql = "select task, run, from_state, to_state, (extract(epoch from at) * 1000000)::bigint
                 from chaos.transition order by number";
    let transition = |row: &Row| Transition {
        task: row.get(0),
        run: row.get(1),
        from: state(row, 2),
        to: state(row, 3),
        at: (row.get::<_, i64>(4) - wall_clock_offset) as u64,
    };
    session.query(sql, &[]).iter().map(transition).collect()
}

/// Reads the runs that are recorded as not started, each by its task and its number.
pub(crate) fn not_started(session: &Session) -> Vec<(i64, i64)> {
    let sql = "select task, run from rework.run where outcome = 'not_started'";
    session.query(sql, &[]).iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Returns how many workers are recorded.
pub(crate) fn workers(session: &Session) -> usize {
    session.query_value::<i64>("select count(*) from rework.worker", &[]) as usize
}

/// Returns the process tags of the workers that were recorded as lost with their host.
pub(crate) fn lost_with_host(session: &Session) -> Vec<String> {
    let sql = "select process_tag::text from rework.worker where reason = $1";
    session.query_values(sql, &[&HOST_LOST])
}

/// Describes the worker whose process tag is in a text.
pub(crate) fn worker_of(session: &Session, text: &str) -> Option<String> {
    let sql = "select format('worker %s of monitor %s, lease %s, which ended at %s: %s', w.id, w.monitor,
                             case when w.lease = m.lease then 'of its monitor' else 'of its own' end,
                             w.finished_at, w.reason)
                 from rework.worker w
                 join rework.monitor m on m.id = w.monitor
                where strpos($1, w.process_tag::text) > 0";
    session.query_values(sql, &[&text]).pop()
}

/// Returns whether the workers of all monitors that have ended are recorded as ended. False if Postgres is unavailable.
pub(crate) fn earlier_workers_have_ended(session: &Session) -> bool {
    let rows = session.try_query(EARLIER_WORKERS_HAVE_ENDED, &[]);
    rows.is_ok_and(|rows| rows[0].get::<_, bool>(0))
}

/// Describes the cgroups of workers that still exist, and the monitors and workers that are recorded as alive, although
/// all have ended.
pub(crate) fn leftovers(session: &Session) -> Vec<String> {
    let describe = |path: PathBuf| format!("cgroup {}", path.display());
    let mut found: Vec<String> = leftovers::cgroups(session).into_iter().map(describe).collect();
    found.extend(session.query_values::<String>(RECORDED_AS_ALIVE, &[]));
    found
}

fn state(row: &Row, column: usize) -> State {
    row.get::<_, String>(column).parse().unwrap()
}
