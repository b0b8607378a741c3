//! Scenes for tests of the state: each step applies an event, and returns the actions as short texts. There is no
//! process and no database.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rework_core::fleet::monitor_poll::{DomainQueue, PollReply};
use rework_process::Exit;
use rework_wire::{
    lease::{BootTime, LeaseTerms},
    worker::{AbortCause, FromWorker, Paused, ToWorker},
};

use super::{State, own_lease::OwnLease, pool_size::Bounds};
use crate::{
    event::{Action, CompletedPoll, Event, Notification},
    per_domain::PerDomain,
};

/// The exit of a killed worker.
pub(crate) const KILLED: Exit = Exit::Signal { signal: 9, core: false };

/// A state with a clock that the test moves.
pub(crate) struct Scene {
    pub(crate) state: State,
    pub(crate) now: Instant,
}

impl Scene {
    pub(crate) fn new(min: u32, max: u32) -> Scene {
        let (timeout, grace) = (Duration::from_secs(10), Some(Duration::from_secs(25)));
        let domains = vec!["default".to_owned()];
        let own_lease = OwnLease::new(LeaseTerms::default(), BootTime::from_secs(1 << 30));
        let bounds = PerDomain { default: Bounds { min, max }, overrides: BTreeMap::new() };
        let state = State::new(bounds, timeout, grace, domains, own_lease);
        Scene { state, now: Instant::now() }
    }

    /// Creates a scene with the idle workers 1, 2, …, whose domain is published.
    pub(crate) fn idle(workers: i64) -> Scene {
        let mut scene = Scene::new(workers as u32, workers as u32);
        for worker in 1..=workers {
            scene.starts_worker(worker);
            scene.worker_sends(worker, FromWorker::Started);
            scene.worker_sends(worker, FromWorker::Idle);
        }
        scene.apply(Event::Published(true));
        scene.worker_sends(1, FromWorker::Idle);
        scene
    }

    pub(crate) fn apply(&mut self, event: Event) -> Vec<String> {
        self.state.apply(event, self.now);
        self.actions()
    }

    pub(crate) fn after(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.state.on_time(self.now);
        self.actions()
    }

    pub(crate) fn starts_worker(&mut self, worker: i64) -> Vec<String> {
        self.apply(Event::Started { worker, domain: "default".to_owned() })
    }

    /// A busy worker of an earlier monitor is found.
    pub(crate) fn adopts(&mut self, worker: i64) {
        let domain = "default".to_owned();
        self.apply(Event::Adopted { worker, domain });
    }

    pub(crate) fn worker_sends(&mut self, worker: i64, message: FromWorker) -> Vec<String> {
        self.apply(Event::WorkerMessage(worker, message))
    }

    pub(crate) fn notify(&mut self) -> Vec<String> {
        self.apply(Event::Notified(Notification::Ready("default".to_owned())))
    }

    pub(crate) fn worker_dies(&mut self, worker: i64) -> Vec<String> {
        let (exit, output_tail) = (Some(KILLED), String::new());
        self.apply(Event::Ended { worker, exit, output_tail })
    }

    pub(crate) fn worker_exits(&mut self, worker: i64) -> Vec<String> {
        let (exit, output_tail) = (Some(Exit::Code(0)), String::new());
        self.apply(Event::Ended { worker, exit, output_tail })
    }

    pub(crate) fn poll_counts(&mut self, tasks: i64) -> Vec<String> {
        self.poll_gets(PollReply { waiting: waiting(tasks), ..PollReply::default() })
    }

    /// Moves the clock by a second, plans a regular poll, and applies this reply.
    pub(crate) fn poll_gets(&mut self, reply: PollReply) -> Vec<String> {
        self.now += Duration::from_secs(1);
        let sent_subscriptions = self.state.poll_plan(true).subscriptions.is_some();
        let renewals = reply.renewals.or(Some(0));
        let reply = Some(PollReply { renewals, ..reply });
        self.apply(Event::Polled(Box::new(CompletedPoll {
            regular: true,
            sent_subscriptions,
            reply,
            ..CompletedPoll::default()
        })))
    }

    /// Takes the decided actions and returns them as short texts.
    pub(crate) fn actions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.state.actions).iter().map(short_text).collect()
    }
}

pub(crate) fn waiting(tasks: i64) -> Vec<DomainQueue> {
    let domain = "default".to_owned();
    (tasks > 0).then_some(DomainQueue { domain, tasks }).into_iter().collect()
}

fn short_text(action: &Action) -> String {
    match action {
        Action::Send(id, ToWorker::Wake) => format!("wake {id}"),
        Action::Send(id, ToWorker::Retire { reason }) => format!("retire {id}: {reason}"),
        Action::Send(id, ToWorker::Abort { task, cause: AbortCause::Requested, reason, .. }) => {
            format!("abort {task} of {id}: {reason}")
        }
        Action::Send(id, ToWorker::Abort { task, reason, .. }) => {
            format!("drain {task} of {id}: {reason}")
        }
        Action::Send(id, ToWorker::ExcludeOperations { blocked, on_trial, paused, .. }) => {
            let is_blocked = !(blocked.is_empty() && on_trial.is_empty());
            let blocked = is_blocked.then(|| format!("block {blocked:?}, try {on_trial:?}"));
            let paused = match paused {
                Paused { everything: true, .. } => Some("pause everything".to_owned()),
                Paused { operations, .. } if operations.is_empty() => None,
                Paused { operations, .. } => Some(format!("pause {operations:?}")),
            };
            let excluded: Vec<String> = blocked.into_iter().chain(paused).collect();
            let nothing = excluded.is_empty().then_some("exclude nothing");
            format!("{}{} on {id}", excluded.join(", "), nothing.unwrap_or_default())
        }
        Action::Send(id, message) => format!("send {id}: {message:?}"),
        Action::Kill(id) => format!("kill {id}"),
        Action::RecordReady(id) => format!("ready {id}"),
        Action::Spawn { count, .. } => format!("spawn {count}"),
        Action::CleanUp { worker, plan } => format!("clean up {worker}: {}", plan.reason),
        Action::RecordLateClaim(worker) => format!("record late claim of {worker}"),
        Action::PublishIdleDomains(domains) => format!("publish {}", domains.join(" ")),
        Action::PollNow => "poll".to_owned(),
        Action::ArmSelfKill(None) => "disarm".to_owned(),
        Action::ArmSelfKill(Some(_)) => "arm".to_owned(),
        Action::TakeDeadLeases(dead) => format!("take {} leases", dead.len()),
        Action::SweepLostHosts => "sweep".to_owned(),
        Action::Fire(domains) => format!("fire {}", domains.join(" ")),
        Action::TakeDomains(domains) => format!("take {}", domains.join(" ")),
        Action::RecordStartFaults(faults) => format!("store {} faults", faults.len()),
        Action::RecordPauses(ids) => format!("store pauses {ids:?}"),
        Action::Finish(finish) => format!("finish {finish:?}"),
    }
}
