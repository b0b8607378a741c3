//! Runs that this host cannot start, through no fault of their operation: a file is missing, a disk is full, …
//!
//! The tasks are queued again. If it concerns one operation, the operation is blocked: the workers claim none of its
//! tasks for some time (`exclusions.rs`). If the host can start nothing, the worker has retired itself, and no worker
//! is started for some time (`pool_size.rs`). Then it is tried again, after a time that grows (`start_backoff.rs`).
//! After several failures in a row people are told: in the log, by `list-monitors` and by `/health`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rework_core::fleet::start_fault::StartFault;

use crate::{
    event::Action,
    state::{
        State,
        faulty_operation::{Access, FaultyOperation},
        start_backoff::StartBackoff,
        worker::{Origin, Worker},
    },
};

/// The longest pause between two attempts to start an operation. Each attempt claims a task and queues it again, so
/// they should not be many; and an operation that was repaired should not wait long.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// The age at which a worker counts as started for good.
pub(super) const MIN_UPTIME: Duration = Duration::from_secs(1);

/// The operations that this host could not start lately, and the faults that the database has.
#[derive(Debug, Default)]
pub(crate) struct StartFaults {
    /// The operations, by id.
    operations: BTreeMap<i64, FaultyOperation>,
    /// The faults that are stored in the database.
    recorded: Vec<StartFault>,
}

/// The report of a worker that could not start a run.
#[derive(Debug)]
pub(crate) struct StartFailure {
    /// The operation.
    pub(crate) operation: i64,
    /// The name of the operation.
    pub(crate) name: String,
    /// Whether the host could not have started any other operation either.
    pub(crate) of_host: bool,
    pub(crate) reason: String,
}

impl State {
    /// Handles the report of a worker that could not start a run.
    pub(super) fn start_failed(&mut self, worker: i64, failure: StartFailure, now: Instant) {
        let Some(domain) = self.workers.get(&worker).map(|worker| worker.domain.clone()) else {
            return;
        };
        let StartFailure { operation, name, of_host, reason } = failure;
        if of_host {
            let Some(pool) = self.pools.get_mut(&domain) else { return };
            let pause = pool.run_starts.record_failure(&reason, now);
            let what = format!("no task of domain {domain}");
            log_failure(&what, &pool.run_starts, pause);
            return;
        }
        self.unavailable.forget(operation);
        let faulty = self.start_faults.operations.entry(operation).or_insert_with(|| {
            let backoff = StartBackoff::new(LAST_PAUSE);
            FaultyOperation { domain: domain.clone(), name, backoff, access: Access::Open }
        });
        let pause = faulty.backoff.record_failure(&reason, now);
        let access = std::mem::replace(&mut faulty.access, Access::Blocked);
        let what = format!("no task of operation `{}` of domain {domain}", faulty.name);
        log_failure(&what, &faulty.backoff, pause);
        if access != Access::Blocked {
            self.send_exclusions();
        }
    }

    /// Handles the report of a worker that it has started a run.
    pub(super) fn start_succeeded(&mut self, worker: i64, operation: i64) {
        let domain = self.workers.get(&worker).map(|worker| &worker.domain);
        let pool = domain.and_then(|domain| self.pools.get_mut(domain).map(|pool| (domain, pool)));
        if let Some((domain, pool)) = pool
            && pool.run_starts.record_success()
        {
            tracing::info!("this host can start tasks of domain {domain} again");
        }
        let Some(mut faulty) = self.start_faults.operations.remove(&operation) else { return };
        if faulty.backoff.record_success() {
            let FaultyOperation { domain, name, .. } = &faulty;
            tracing::info!("this host can start operation `{name}` of domain {domain} again");
        }
        self.send_exclusions();
    }

    /// Lets a worker try the operations that were blocked long enough. Forgets failures of things that were not started
    /// for a long time, and those before the start of a worker that stays.
    pub(super) fn start_faults_on_time(&mut self, now: Instant) {
        self.confirm_worker_starts(now);
        let State { start_faults, workers, .. } = self;
        let operations = &mut start_faults.operations;
        let count = operations.len();
        operations.retain(|_, faulty| !faulty.backoff.is_old(now));
        let mut has_changed = operations.len() < count;
        let (mut tried_by, mut opened_in) = (BTreeSet::new(), BTreeSet::new());
        for faulty in operations.values_mut().filter(|faulty| faulty.is_due(now)) {
            let mut idle = workers
                .iter()
                .filter(|(_, worker)| worker.is_idle() && worker.domain == faulty.domain);
            match faulty.allow_more(idle.next().map(|(id, _)| *id), now) {
                Some(worker) => _ = tried_by.insert(worker),
                None => _ = opened_in.insert(faulty.domain.clone()),
            }
            has_changed = true;
        }
        if has_changed {
            self.send_exclusions();
        }
        for worker in tried_by {
            self.wake(worker);
        }
        for domain in opened_in {
            if !self.wake_one(&domain) {
                self.actions.push(Action::PollNow);
            }
        }
    }

    /// Returns when operations are tried again, by one worker or by all.
    pub(super) fn start_fault_deadlines(&self) -> impl Iterator<Item = Instant> {
        self.start_faults.operations.values().filter_map(FaultyOperation::deadline)
    }

    /// Returns whether an operation of a domain is blocked or not available. Then tasks may wait although a worker is
    /// free.
    pub(super) fn has_blocked_operation(&self, domain: &str) -> bool {
        let mut operations = self.start_faults.operations.values();
        operations.any(|faulty| faulty.access != Access::Open && faulty.domain == domain)
            || self.unavailable.is_any_of(domain)
    }

    /// Returns everything that this host cannot start, or that is not available here, as people are told.
    pub(crate) fn start_faults(&self) -> Vec<StartFault> {
        let of_pools = self.pools.iter().flat_map(|(domain, pool)| {
            let starts = [&pool.worker_starts, &pool.run_starts];
            starts.map(|backoff| (domain, None::<&String>, backoff))
        });
        let operations = self.start_faults.operations.values();
        let of_operations =
            operations.map(|faulty| (&faulty.domain, Some(&faulty.name), &faulty.backoff));
        let all = of_pools.chain(of_operations).filter(|(.., backoff)| backoff.is_shown());
        all.map(|(domain, operation, backoff)| StartFault {
            domain: domain.clone(),
            operation: operation.cloned(),
            reason: backoff.reason().to_owned(),
            failures: backoff.failures(),
            unavailable: false,
        })
        .chain(self.unavailable.faults())
        .collect()
    }

    /// Stores the faults in the database if they have changed.
    pub(super) fn record_start_faults(&mut self) {
        let faults = self.start_faults();
        if faults != self.start_faults.recorded {
            self.actions.push(Action::RecordStartFaults(faults));
        }
    }

    /// Handles that these faults are stored.
    pub(super) fn start_faults_recorded(&mut self, faults: Vec<StartFault>) {
        self.start_faults.recorded = faults;
    }

    fn confirm_worker_starts(&mut self, now: Instant) {
        let State { pools, workers, .. } = self;
        for (domain, pool) in pools {
            for starts in [&mut pool.worker_starts, &mut pool.run_starts] {
                if starts.is_old(now) {
                    starts.record_success();
                }
            }
            let Some(failed_until) = pool.worker_starts.next_attempt() else { continue };
            // A worker from before the failure proves nothing.
            let stays = |worker: &Worker| {
                worker.domain == *domain
                    && worker.origin == Origin::Own
                    && worker.started_at >= failed_until
                    && worker.has_started()
                    && now.duration_since(worker.started_at) > MIN_UPTIME
            };
            if workers.values().any(stays) && pool.worker_starts.record_success() {
                tracing::info!("workers of domain {domain} can be started again");
            }
        }
    }
}

impl StartFaults {
    /// Returns whether there is no operation that this host could not start lately.
    pub(super) fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Returns the ids of the operations that are blocked for a worker, and of those that it may try.
    pub(super) fn operations(&self, worker: i64) -> (Vec<i64>, Vec<i64>) {
        let all = self.operations.iter();
        let (on_trial, blocked): (Vec<_>, Vec<_>) =
            all.partition(|(_, faulty)| faulty.access.is_allowed_for(worker));
        let ids = |operations: Vec<(&i64, &FaultyOperation)>| {
            operations.into_iter().map(|(id, _)| *id).collect()
        };
        (ids(blocked), ids(on_trial))
    }
}

/// Logs a failed start. `what` is the subject of "… can be started". `pause` is the time until the next attempt, `None`
/// if that pause has been logged before.
fn log_failure(what: &str, backoff: &StartBackoff, pause: Option<Duration>) {
    let Some(pause) = pause else { return };
    let reason = backoff.reason();
    if backoff.is_shown() {
        tracing::error!(
            "{what} can be started on this host: {reason}; its tasks stay queued, and the next attempt is in {pause:?}"
        );
    } else {
        tracing::warn!("{what} can be started now: {reason}; the task is queued again");
    }
}

#[cfg(test)]
mod tests {
    use rework_wire::worker::FromWorker;

    use super::super::scene::Scene;
    use super::*;
    use crate::event::Event;

    fn failed(of_host: bool) -> FromWorker {
        let (name, reason) = ("resize".to_owned(), "no such file".to_owned());
        FromWorker::StartFailed { operation: 7, name, of_host, reason }
    }

    fn fault(operation: Option<&str>, failures: u32) -> StartFault {
        StartFault {
            domain: "default".to_owned(),
            operation: operation.map(str::to_owned),
            reason: "no such file".to_owned(),
            failures,
            unavailable: false,
        }
    }

    #[test]
    fn an_operation_that_cannot_be_started_is_blocked_and_tried_again() {
        let mut scene = Scene::idle(2);
        let blocked = ["block [7], try [] on 1", "block [7], try [] on 2"];
        let tried = ["block [], try [7] on 1", "block [7], try [] on 2", "wake 1"];
        for (pause_ms, failures) in [(200, 1), (400, 2), (800, 3)] {
            assert_eq!(scene.worker_sends(1, failed(false)), blocked);
            assert!(scene.worker_sends(2, failed(false)).is_empty(), "at the same time");
            assert!(scene.worker_sends(1, FromWorker::Idle).is_empty(), "no other task is ready");
            let expected = (failures >= 3).then(|| fault(Some("resize"), failures));
            assert_eq!(scene.state.start_faults(), Vec::from_iter(expected));
            assert_eq!(scene.state.deadline(), Some(scene.now + Duration::from_millis(pause_ms)));
            assert!(scene.after(Duration::from_millis(pause_ms - 1)).is_empty());
            assert_eq!(scene.after(Duration::from_millis(1)), tried);
        }
        assert_eq!(scene.starts_worker(3), ["block [7], try [] on 3"]);
        scene.worker_sends(3, FromWorker::Started);
        scene.worker_sends(1, FromWorker::StartSucceeded { operation: 7 });
        assert!(scene.state.start_faults().is_empty());
        assert_eq!(scene.state.deadline(), None);
    }

    #[test]
    fn a_trial_without_a_result_lets_all_workers_try() {
        let mut scene = Scene::idle(2);
        scene.worker_sends(1, failed(false));
        scene.worker_sends(1, FromWorker::Idle);
        scene.after(Duration::from_millis(200));
        scene.worker_sends(2, FromWorker::Idle);
        scene.worker_sends(1, FromWorker::Busy);
        scene.worker_sends(2, FromWorker::Idle);
        assert!(scene.after(Duration::from_millis(9_999)).is_empty());
        let opened = ["block [], try [7] on 1", "block [], try [7] on 2", "wake 2"];
        assert_eq!(scene.after(Duration::from_millis(1)), opened);
        assert_eq!(scene.state.deadline(), None);
    }

    #[test]
    fn without_an_idle_worker_the_next_one_that_is_free_tries() {
        let mut scene = Scene::idle(1);
        scene.worker_sends(1, FromWorker::Busy);
        scene.worker_sends(1, failed(false));
        let opened = ["block [], try [7] on 1", "poll"];
        assert_eq!(scene.after(Duration::from_millis(200)), opened);
    }

    #[test]
    fn a_host_that_can_start_nothing_starts_no_worker_for_a_while() {
        let mut scene = Scene::new(1, 1);
        for worker in 1..=3 {
            scene.after(Duration::from_secs(1));
            assert_eq!(scene.poll_counts(1)[0], "spawn 1");
            scene.starts_worker(worker);
            scene.worker_sends(worker, FromWorker::Started);
            assert!(scene.worker_sends(worker, failed(true)).is_empty());
            scene.worker_sends(worker, FromWorker::Leaving { reason: "it failed".to_owned() });
            scene.worker_exits(worker);
        }
        assert_eq!(scene.state.start_faults(), [fault(None, 3)]);
        let again = scene.state.pools["default"].run_starts.next_attempt();
        assert_eq!(again, Some(scene.now + Duration::from_millis(800)));
        scene.after(Duration::from_secs(1));
        let actions = scene.poll_counts(1);
        assert!(actions.contains(&"spawn 1".to_owned()), "{actions:?}");
        scene.starts_worker(4);
        scene.worker_sends(4, FromWorker::StartSucceeded { operation: 7 });
        assert!(scene.state.start_faults().is_empty());
    }

    #[test]
    fn only_a_worker_from_after_a_failure_shows_that_workers_can_be_started() {
        let mut scene = Scene::new(2, 2);
        let stays = |scene: &mut Scene, worker: i64| {
            scene.starts_worker(worker);
            scene.worker_sends(worker, FromWorker::Started);
            scene.after(Duration::from_secs(2));
        };
        stays(&mut scene, 1);
        for _ in 0..3 {
            let (domain, refusal) = ("default".to_owned(), Some("no memory".to_owned()));
            scene.apply(Event::SpawnFailed { domain, count: 1, refusal });
            scene.after(Duration::from_secs(2));
        }
        let reasons = scene.state.start_faults().into_iter().map(|fault| fault.reason);
        assert_eq!(reasons.collect::<Vec<_>>(), ["no memory"]);
        stays(&mut scene, 2);
        assert!(scene.state.start_faults().is_empty());
    }

    #[test]
    fn a_domain_without_tasks_does_not_stay_faulty_for_ever() {
        let mut scene = Scene::new(0, 1);
        for _ in 0..3 {
            let (domain, refusal) = ("default".to_owned(), Some("no memory".to_owned()));
            scene.apply(Event::SpawnFailed { domain, count: 1, refusal });
            scene.after(Duration::from_secs(2));
        }
        assert_eq!(scene.state.start_faults().len(), 1);
        scene.after(Duration::from_secs(600));
        assert!(scene.state.start_faults().is_empty());
    }

    #[test]
    fn faults_are_stored_until_that_has_succeeded() {
        let mut scene = Scene::idle(1);
        for _ in 0..3 {
            scene.worker_sends(1, failed(false));
            scene.after(Duration::from_secs(1));
        }
        let stored = "store 1 faults".to_owned();
        assert!(scene.poll_counts(0).contains(&stored));
        assert!(scene.poll_counts(0).contains(&stored), "the database did not answer");
        let faults = scene.state.start_faults();
        scene.apply(Event::StartFaultsRecorded(faults));
        assert!(!scene.poll_counts(0).contains(&stored));
    }
}
