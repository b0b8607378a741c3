//! Operations that are not available on this host, as their own checks have answered. The workers claim none of their
//! tasks, so that the tasks stay queued and other hosts run them.
//!
//! While tasks wait, a check is repeated once a second by the worker that ran it before, if that worker is idle. So no
//! task is claimed for a check again and again. If it is busy, or nothing waits, the answer is forgotten after a while.
//! Then the next worker that claims a task of the operation runs the check.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rework_core::fleet::start_fault::StartFault;
use rework_wire::worker::ToWorker;

use crate::{
    event::Action,
    state::{
        State,
        worker::{Activity, Worker},
    },
};

/// The shortest time between two requests for the same check. It is a little less than the interval of the regular
/// polls, each of which may cause one.
const CHECK_INTERVAL: Duration = Duration::from_millis(900);

/// The time after which an answer is forgotten. Each check after that claims a task, so they should not be many; and an
/// operation that has become available should not wait long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// The operations that are not available, by id.
#[derive(Debug, Default)]
pub(crate) struct UnavailableOperations(BTreeMap<i64, UnavailableOperation>);

#[derive(Debug)]
struct UnavailableOperation {
    domain: String,
    name: String,
    /// The answer of the check.
    reason: String,
    /// The worker that ran the check.
    worker: i64,
    /// The time of the answer.
    answered_at: Instant,
    /// The time of the last request for a check.
    requested_at: Instant,
}

impl UnavailableOperations {
    /// Forgets that an operation is not available.
    pub(super) fn forget(&mut self, operation: i64) {
        self.0.remove(&operation);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.0.keys().copied()
    }

    /// Returns whether an operation of this domain is not available.
    pub(super) fn is_any_of(&self, domain: &str) -> bool {
        self.0.values().any(|operation| operation.domain == domain)
    }

    /// Returns the operations as people are told.
    pub(super) fn faults(&self) -> impl Iterator<Item = StartFault> {
        self.0.values().map(|operation| StartFault {
            domain: operation.domain.clone(),
            operation: Some(operation.name.clone()),
            reason: operation.reason.clone(),
            failures: 0,
            unavailable: true,
        })
    }
}

impl State {
    /// Handles the report of a worker that an operation is not available.
    pub(super) fn operation_unavailable(
        &mut self,
        worker: i64,
        operation: i64,
        name: String,
        reason: String,
        now: Instant,
    ) {
        let Some(domain) = self.workers.get(&worker).map(|worker| worker.domain.clone()) else {
            return;
        };
        let known = self.unavailable.0.get(&operation);
        if known.is_none_or(|known| known.reason != reason) {
            tracing::info!("operation `{name}` of domain {domain} is not available here: {reason}");
        }
        let requested_at = known.map_or(now, |known| known.requested_at);
        let is_new = known.is_none();
        let answered_at = now;
        let unavailable =
            UnavailableOperation { domain, name, reason, worker, answered_at, requested_at };
        self.unavailable.0.insert(operation, unavailable);
        if is_new {
            self.send_exclusions();
        }
    }

    /// Handles the report of a worker that an operation may be available again. The worker claims next.
    pub(super) fn operation_available(&mut self, operation: i64) {
        let Some(UnavailableOperation { domain, name, .. }) = self.unavailable.0.remove(&operation)
        else {
            return;
        };
        tracing::info!("operation `{name}` of domain {domain} may be available here again");
        self.send_exclusions();
    }

    /// Requests the checks of the operations of a domain in which tasks wait, if they are due and the worker that ran
    /// each before is idle. The check of a paused operation is not requested.
    pub(super) fn request_checks(&mut self, domain: &str, now: Instant) {
        let paused = self.pauses.of(domain);
        let State { unavailable, workers, actions, .. } = self;
        let due = unavailable.0.iter_mut().filter(|(id, operation)| {
            operation.domain == domain
                && !paused.contains(**id)
                && operation.requested_at + CHECK_INTERVAL <= now
                && workers.get(&operation.worker).is_some_and(Worker::is_idle)
        });
        let mut receivers = BTreeSet::new();
        for (id, operation) in due {
            operation.requested_at = now;
            receivers.insert(operation.worker);
            let message = ToWorker::CheckOperation { operation: *id };
            actions.push(Action::Send(operation.worker, message));
        }
        // They claim after the checks.
        for worker in receivers {
            self.set_activity(worker, Activity::Claiming { woken: true });
        }
    }

    /// Forgets old answers, so that the next worker that claims a task runs the check.
    pub(super) fn availability_on_time(&mut self, now: Instant) {
        let count = self.unavailable.0.len();
        self.unavailable.0.retain(|_, operation| operation.answered_at + FORGOTTEN_AFTER > now);
        if self.unavailable.0.len() < count {
            self.send_exclusions();
        }
    }

    /// Returns when answers are forgotten.
    pub(super) fn availability_deadlines(&self) -> impl Iterator<Item = Instant> {
        self.unavailable.0.values().map(|operation| operation.answered_at + FORGOTTEN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use rework_core::fleet::monitor_poll::{HostPause, PollReply};
    use rework_wire::worker::FromWorker;

    use super::super::scene::{Scene, waiting};
    use super::*;

    fn unavailable(reason: &str) -> FromWorker {
        let (name, reason) = ("scan".to_owned(), reason.to_owned());
        FromWorker::OperationUnavailable { operation: 7, name, reason }
    }

    const BLOCKED: [&str; 2] = ["block [7], try [] on 1", "block [7], try [] on 2"];
    const UNBLOCKED: [&str; 2] = ["exclude nothing on 1", "exclude nothing on 2"];

    #[test]
    fn while_tasks_wait_the_worker_that_ran_a_check_repeats_it() {
        let mut scene = Scene::idle(2);
        scene.state.bounds.default.max = 9;
        scene.worker_sends(1, FromWorker::Busy);
        assert_eq!(scene.worker_sends(1, unavailable("no display")), BLOCKED);
        scene.worker_sends(1, FromWorker::Idle);
        let fault = StartFault {
            domain: "default".to_owned(),
            operation: Some("scan".to_owned()),
            reason: "no display".to_owned(),
            failures: 0,
            unavailable: true,
        };
        assert_eq!(scene.state.start_faults(), [fault]);
        let check = "send 1: CheckOperation { operation: 7 }".to_owned();
        for _ in 0..15 {
            let actions = scene.poll_counts(50);
            assert!(actions.contains(&check), "{actions:?}");
            assert!(!actions.iter().any(|action| action.starts_with("spawn")), "{actions:?}");
            assert!(scene.worker_sends(1, unavailable("no display")).is_empty());
            scene.worker_sends(1, FromWorker::Idle);
            scene.worker_sends(2, FromWorker::Idle);
        }
        assert!(scene.poll_counts(1).contains(&check));
        let available = FromWorker::OperationAvailable { operation: 7 };
        assert_eq!(scene.worker_sends(1, available), UNBLOCKED);
        assert!(scene.state.start_faults().is_empty());
        assert_eq!(scene.state.deadline(), None);
    }

    #[test]
    fn nothing_is_checked_while_no_task_waits() {
        let mut scene = Scene::idle(2);
        scene.worker_sends(1, unavailable("no display"));
        scene.worker_sends(1, FromWorker::Idle);
        assert!(!scene.poll_counts(0).iter().any(|action| action.contains("CheckOperation")));
        assert_eq!(scene.after(FORGOTTEN_AFTER), UNBLOCKED);
        assert!(scene.state.start_faults().is_empty());
    }

    #[test]
    fn a_new_worker_claims_nothing_that_is_not_available() {
        let mut scene = Scene::idle(1);
        scene.worker_sends(1, unavailable("no display"));
        assert_eq!(scene.starts_worker(2), ["block [7], try [] on 2"]);
    }

    #[test]
    fn the_check_of_a_paused_operation_is_not_requested() {
        let mut scene = Scene::idle(2);
        scene.worker_sends(1, unavailable("no display"));
        scene.worker_sends(1, FromWorker::Idle);
        let (domain, operation) = (Some("default".to_owned()), Some(7));
        let pauses = vec![HostPause { id: 5, domain, operation }];
        let reply = PollReply { pauses, ..PollReply::default() };
        let excluded = scene.poll_gets(reply.clone());
        assert!(excluded.contains(&"block [7], try [], pause [7] on 1".to_owned()), "{excluded:?}");
        let actions = scene.poll_gets(PollReply { waiting: waiting(1), ..reply });
        assert!(!actions.iter().any(|action| action.contains("CheckOperation")), "{actions:?}");
    }

    #[test]
    fn a_worker_that_is_busy_is_not_requested_to_check() {
        let mut scene = Scene::idle(2);
        scene.worker_sends(1, unavailable("no display"));
        scene.worker_sends(1, FromWorker::Busy);
        assert!(!scene.poll_counts(1).iter().any(|action| action.contains("CheckOperation")));
    }
}
