//! A scene: events in, actions out, in brief; no process and no database.

use std::time::{Duration, Instant};

use rework_core::fleet::heartbeat::{Answer, Waiting};
use rework_process::Exit;
use rework_wire::{
    lease::{Moment, Terms},
    worker::{AbortCause, FromWorker, ToWorker},
};

use super::{State, own_lease::OwnLease, pool_size::Bounds};
use crate::{
    event::{Action, Event, Hint, Poll},
    per_domain::PerDomain,
};

/// How a worker ends that is killed.
pub(crate) const KILLED: Exit = Exit::Signal { signal: 9, core: false };

/// A state and its clock.
pub(crate) struct Scene {
    pub(crate) state: State,
    pub(crate) now: Instant,
}

impl Scene {
    pub(crate) fn new(min: u32, max: u32) -> Scene {
        let (timeout, grace) = (Duration::from_secs(10), Some(Duration::from_secs(25)));
        let domains = vec!["default".to_owned()];
        let own_lease = OwnLease::new(Terms::default(), Moment::from_secs(1 << 30));
        let bounds =
            PerDomain { usual: Bounds { min, max }, own: std::collections::BTreeMap::new() };
        let state = State::new(bounds, timeout, grace, domains, own_lease);
        Scene { state, now: Instant::now() }
    }

    /// With idle workers 1, 2, …, whose domain is published.
    pub(crate) fn idle(workers: i64) -> Scene {
        let mut scene = Scene::new(workers as u32, workers as u32);
        for worker in 1..=workers {
            scene.is_born(worker);
            scene.says(worker, FromWorker::Up);
            scene.says(worker, FromWorker::Idle);
        }
        scene.apply(Event::Published(true));
        scene.says(1, FromWorker::Idle);
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

    pub(crate) fn is_born(&mut self, worker: i64) -> Vec<String> {
        self.apply(Event::Born { worker, domain: "default".to_owned() })
    }

    /// A busy worker of an earlier monitor is found.
    pub(crate) fn adopts(&mut self, worker: i64) {
        let domain = "default".to_owned();
        self.apply(Event::Adopted { worker, domain });
    }

    pub(crate) fn says(&mut self, worker: i64, message: FromWorker) -> Vec<String> {
        self.apply(Event::Said(worker, message))
    }

    pub(crate) fn hint(&mut self) -> Vec<String> {
        self.apply(Event::Hint(Hint::Ready("default".to_owned())))
    }

    pub(crate) fn dies(&mut self, worker: i64) -> Vec<String> {
        let (exit, last_words) = (Some(KILLED), String::new());
        self.apply(Event::Ended { worker, exit, last_words })
    }

    pub(crate) fn polls(&mut self, tasks: i64) -> Vec<String> {
        self.sees(Answer { waiting: waiting(tasks), ..Answer::default() })
    }

    /// A regular poll, and its answer.
    pub(crate) fn sees(&mut self, answer: Answer) -> Vec<String> {
        self.now += Duration::from_secs(1);
        let told_subscriptions = self.state.poll_request(true).subscriptions.is_some();
        let answer = Some(Answer { held: true, ..answer });
        self.apply(Event::Polled(Poll {
            regular: true,
            told_subscriptions,
            answer,
            ..Poll::default()
        }))
    }

    /// What is to be done, in brief.
    pub(crate) fn actions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.state.actions).iter().map(brief).collect()
    }
}

pub(crate) fn waiting(tasks: i64) -> Vec<Waiting> {
    let domain = "default".to_owned();
    (tasks > 0).then_some(Waiting { domain, tasks }).into_iter().collect()
}

fn brief(action: &Action) -> String {
    match action {
        Action::Tell(id, ToWorker::Wake) => format!("wake {id}"),
        Action::Tell(id, ToWorker::Retire { reason }) => format!("retire {id}: {reason}"),
        Action::Tell(id, ToWorker::Abort { task, cause: AbortCause::Asked, reason, .. }) => {
            format!("abort {task} of {id}: {reason}")
        }
        Action::Tell(id, ToWorker::Abort { task, reason, .. }) => {
            format!("drain {task} of {id}: {reason}")
        }
        Action::Tell(id, message) => format!("tell {id}: {message:?}"),
        Action::Kill(id) => format!("kill {id}"),
        Action::NoteUp(id) => format!("up {id}"),
        Action::Spawn { count, .. } => format!("spawn {count}"),
        Action::CleanUp { worker, plan } => format!("clean up {worker}: {}", plan.reason),
        Action::RecordLateClaim(worker) => format!("record late claim of {worker}"),
        Action::Publish(domains) => format!("publish {}", domains.join(" ")),
        Action::Poll => "poll".to_owned(),
        Action::Arm(None) => "disarm".to_owned(),
        Action::Arm(Some(_)) => "arm".to_owned(),
        Action::TakeDeadLeases(dead) => format!("take {} leases", dead.len()),
        Action::SweepLostHosts => "sweep".to_owned(),
        Action::Fire(domains) => format!("fire {}", domains.join(" ")),
        Action::Take(domains) => format!("take {}", domains.join(" ")),
        Action::Finish(finish) => format!("finish {finish:?}"),
    }
}
