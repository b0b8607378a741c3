//! Finds rows that contradict themselves or each other, although no constraint of the schema forbids them.
//! `Installation` asserts at the end of each test that there are none.

use super::session::Session;

/// Returns the number of tasks whose columns contradict each other, for example a final state without `finished_at`.
/// Returns 0 if the database has no such table.
pub(crate) fn contradictory_tasks(session: &Session) -> i64 {
    let sql = "select count(*) from rework.task
                where (finished_at is not null) <> (state in ('done', 'failed', 'aborted', 'lost'))
                   or (state in ('running', 'aborting') and (worker is null or token is null)
                       and not exists (select from rework.flow where flow.id = task.id))
                   or (input is not null and input_bytes is not null)
                   or (output is not null and output_bytes is not null)";
    session.try_query_value(sql, &[]).unwrap_or(0)
}

/// Returns the number of flows whose phase contradicts their task, or the states of their steps. Returns 0 if the database
/// has no such table.
pub(crate) fn contradictory_flows(session: &Session) -> i64 {
    let sql = "select count(*) from rework.flow f
                 left join rework.task t on t.id = f.id
                where t.id is null
                   or (f.ended_at is null) <> (t.finished_at is null)
                   or (f.ended_at is not null) <> (f.phase in ('done', 'reverted', 'stopped'))
                   or (f.phase = 'done') <> (t.state = 'done')
                   or f.phase = 'done' and exists (
                          select from rework.step s
                           where s.flow = f.id and s.state not in ('done', 'skipped')
                             and not (s.state = 'failed' and s.on_failure = 'continue'))
                   or f.phase = 'reverted' and exists (
                          select from rework.step s
                           where s.flow = f.id and s.state not in ('pending', 'reverted'))
                   or f.phase in ('done', 'reverted') and exists (
                          select from rework.step s
                            join rework.task u on u.id in (s.task, s.undo_task)
                           where s.flow = f.id and u.finished_at is null)";
    session.try_query_value(sql, &[]).unwrap_or(0)
}

/// Returns the number of errors in `rework.host_lanes`, the ranges of lane ids that each host scans: lanes that are in
/// a range of a host that cannot run them, and lanes that are in no range of a host that can run them. Returns 0 if the
/// database has no such table.
pub(crate) fn wrong_lanes(session: &Session) -> i64 {
    let inside = "select count(*) from rework.host_lanes s
                    join rework.lane on lane.id between s.low and s.high
                   where lane.domain <> s.domain or lane.capabilities <> s.capabilities
                      or lane.host <> s.host
                      or not exists (select from rework.placement p
                                      where p.operation = lane.operation and p.host = s.host
                                        and not p.paused)";
    let outside = "select count(*) from rework.placement p
                 join rework.lane on lane.operation = p.operation
                where (lane.host is null or lane.host = p.host) and not p.paused
                  and not exists (select from rework.host_lanes s
                                   where s.host = p.host and s.domain = lane.domain
                                     and s.capabilities = lane.capabilities
                                     and lane.id between s.low and s.high)";
    [inside, outside].map(|sql| session.try_query_value::<i64>(sql, &[]).unwrap_or(0)).iter().sum()
}
