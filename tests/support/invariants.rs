//! Rows that contradict themselves or each other: the schema does not forbid them, so every test is held to
//! it when it is over.

use super::session::Session;

/// How many tasks say two things; none where there is no table.
pub(crate) fn of_tasks(session: &Session) -> i64 {
    let sql = "select count(*) from rework.task
                where (finished_at is not null) <> (state in ('done', 'failed', 'aborted', 'lost'))
                   or (state in ('running', 'aborting') and (worker is null or token is null))
                   or (state = 'delayed' and delayed_until is null)
                   or (input is not null and input_bytes is not null)
                   or (output is not null and output_bytes is not null)";
    session.try_one(sql, &[]).unwrap_or(0)
}

/// How many lanes are outside of the ranges of a host that serves them, or inside those of one that does not; none
/// where there is no table.
pub(crate) fn of_lanes(session: &Session) -> i64 {
    let inside = "select count(*) from rework.served s
                    join rework.lane on lane.id between s.low and s.high
                   where lane.domain <> s.domain or lane.capabilities <> s.capabilities
                      or lane.host <> s.host
                      or not exists (select from rework.placement p
                                      where p.operation = lane.operation and p.host = s.host)";
    let outside = "select count(*) from rework.placement p
                 join rework.lane on lane.operation = p.operation
                where (lane.host is null or lane.host = p.host)
                  and not exists (select from rework.served s
                                   where s.host = p.host and s.domain = lane.domain
                                     and s.capabilities = lane.capabilities
                                     and lane.id between s.low and s.high)";
    [inside, outside].map(|sql| session.try_one::<i64>(sql, &[]).unwrap_or(0)).iter().sum()
}
