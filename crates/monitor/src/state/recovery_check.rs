//! The check after a recovery of the server. The database may have lost claims, while their tasks still run. So nothing
//! is claimed until each monitor has compared the runs of its workers with the database, and has killed those that the
//! database does not have. `core/src/lease/recovery.rs` has the whole procedure.
//!
//! The workers do the comparison. The monitor reports in its next poll that all of them have done so, or are dead.

use std::collections::BTreeSet;

use rework_core::fleet::monitor_poll::PollReply;
use rework_wire::worker::ToWorker;

use crate::{cleanup_plan::KillReason, event::Action, state::State};

/// The check of this monitor.
#[derive(Debug, Default)]
pub(crate) struct RecoveryCheck {
    /// The id of the recovery that is in progress. `None` if there is none.
    recovery: Option<i64>,
    /// The workers that have not compared their runs, or that have died and whose processes may still run.
    waits_for: BTreeSet<i64>,
    /// The first holders of leases that have not compared their runs, from the last poll.
    unchecked: Vec<String>,
}

impl RecoveryCheck {
    /// Returns the recovery that is in progress. `None` if there is none.
    pub(super) fn recovery(&self) -> Option<i64> {
        self.recovery
    }

    /// Returns the recovery after which all runs of this monitor were checked. `None` if there is none.
    pub(crate) fn checked(&self) -> Option<i64> {
        self.recovery.filter(|_| self.waits_for.is_empty())
    }
}

impl State {
    /// Starts the check when a recovery of the server is in progress, and ends it when the recovery is over.
    pub(super) fn follow_recovery(&mut self, reply: &PollReply) {
        for worker in &reply.missing_workers {
            self.kill(*worker, KillReason::WentBack);
        }
        if reply.recovery != self.recovery_check.recovery {
            if let Some(recovery) = reply.recovery {
                self.start_recovery_check(recovery);
            } else {
                tracing::info!("all runs were compared with the database: tasks are claimed again");
                self.recovery_check = RecoveryCheck::default();
            }
        }
        let is_news = self.recovery_check.unchecked != reply.unchecked;
        if is_news && !reply.unchecked.is_empty() && self.recovery_check.waits_for.is_empty() {
            tracing::info!("no task is claimed yet, because of {}", reply.unchecked.join(", "));
        }
        self.recovery_check.unchecked.clone_from(&reply.unchecked);
    }

    fn start_recovery_check(&mut self, recovery: i64) {
        tracing::warn!(
            "the database has recovered and may have lost its last transactions: no task is claimed until every host \
             has compared its runs with the database"
        );
        let own = self.workers.iter().filter(|(_, worker)| !worker.is_orphan());
        let own: Vec<i64> = own.map(|(id, _)| *id).collect();
        self.recovery_check.recovery = Some(recovery);
        self.recovery_check.waits_for = own.into_iter().chain(self.cleaning_up.clone()).collect();
        self.send_to_all(&ToWorker::CheckRuns { recovery });
        self.poll_if_checked();
    }

    /// Handles the result of a worker's comparison. A worker that has lost claims or ends is killed.
    pub(super) fn runs_checked(&mut self, worker: i64, recovery: i64, is_complete: bool) {
        if !is_complete {
            self.kill(worker, KillReason::WentBack);
        } else if self.recovery_check.recovery == Some(recovery) {
            self.worker_checked(worker);
        }
    }

    /// Notes that no run of a worker is left that the database may not have.
    pub(super) fn worker_checked(&mut self, worker: i64) {
        if self.recovery_check.waits_for.remove(&worker) {
            self.poll_if_checked();
        }
    }

    fn poll_if_checked(&mut self) {
        if self.recovery_check.checked().is_some() {
            self.actions.push(Action::PollNow);
        }
    }
}
