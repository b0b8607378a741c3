//! Statements that have missed their deadline several times in a row, for the health of the monitor. The process that
//! sent such a statement logs it, and tries it again with less at once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a statement is shown. It may have been answered by then, but whoever reads the health does so now and then
/// only. A statement that stays without an answer is recorded again within this time.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// The last overdue statement of each process, such as `worker 7`, and when it was recorded.
#[derive(Debug, Default)]
pub(crate) struct OverdueStatements(BTreeMap<String, (String, Instant)>);

impl OverdueStatements {
    /// Records that a statement of this process is overdue. `statement` is what it is about, such as `a claim`.
    pub(crate) fn record(&mut self, process: String, statement: String, now: Instant) {
        self.0.retain(|_, (_, at)| now.duration_since(*at) < SHOWN_FOR);
        self.0.insert(process, (statement, now));
    }

    /// Returns the statements that were overdue in the last minute, by process.
    pub(crate) fn recent(&self, now: Instant) -> BTreeMap<String, String> {
        let recent = self.0.iter().filter(|(_, (_, at))| now.duration_since(*at) < SHOWN_FOR);
        recent.map(|(process, (statement, _))| (process.clone(), statement.clone())).collect()
    }
}
