//! Claims tasks and records the ends of their runs, as workers do.

use crate::support::session::Session;

/// This statement claims tasks.
const CLAIM: &str = "
update rework.task
   set state = 'running', run = run + 1, attempt = attempt + 1, worker = 1, started_at = null,
       token = '00000000-0000-0000-0000-000000000005'
 where id = any ($1) and state = 'queued'
returning id, run";

/// This statement records the ends of runs. The code of runs that were refused or not started has not begun.
const COMPLETE: &str = "
select count(*) from rework.complete(
    $1, $2, array['00000000-0000-0000-0000-000000000005'::uuid], $3, $4, '{}', $5, '{}',
    array(select case when coalesce(($3::text[])[n], ($3::text[])[1]) not in ('refused', 'not_started') then 1::bigint end
            from generate_subscripts($1::bigint[], 1) as n order by n),
    array_fill(0::bigint, array[cardinality($1::bigint[])]),
    '{}', '{}', '{}')";

/// Claims tasks. Returns them with the numbers of the claims.
pub(crate) fn claim_tasks(session: &Session, tasks: &[i64]) -> Vec<(i64, i64)> {
    let rows = session.query(CLAIM, &[&tasks]);
    let mut runs: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    runs.sort_unstable();
    runs
}

/// Records the ends of runs in one transaction. `outcomes` may have one element for all runs.
pub(crate) fn record(
    session: &Session,
    runs: &[(i64, i64)],
    outcomes: &[&str],
    reasons: &[Option<&str>],
    outputs: &[Option<String>],
) {
    let (tasks, numbers): (Vec<i64>, Vec<i64>) = runs.iter().copied().unzip();
    session.query(COMPLETE, &[&tasks, &numbers, &outcomes, &reasons, &outputs]);
}

/// Records in one transaction that runs are done. `Err` with the SQLSTATE if that fails.
pub(crate) fn try_record_done(session: &Session, runs: &[(i64, i64)]) -> Result<(), String> {
    let (tasks, numbers): (Vec<i64>, Vec<i64>) = runs.iter().copied().unzip();
    let (reasons, outputs): (Vec<Option<&str>>, Vec<Option<&str>>) = (Vec::new(), Vec::new());
    let done = ["done"].as_slice();
    session
        .try_query_value::<i64>(COMPLETE, &[&tasks, &numbers, &done, &reasons, &outputs])
        .map(drop)
}
