//! Rows of `rework.task` that contradict themselves: the schema does not forbid them, so every test is
//! held to it when it is over.

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
