//! The effects of a monitor: each action of its state is carried out here. Nothing is decided, and
//! nothing waits: work that takes time goes on beside the event loop and reports to the inbox.

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use rework_core::{
    db::connect::Db,
    fleet::{self, heartbeat::Ask, monitor, worker},
};
use rework_process::{SelfKill, boot_time};
use rework_wire::lease::Moment;
use tokio::task::spawn_local;

use crate::{
    background::BackgroundJob,
    cleanup,
    cleanup_plan::CleanupPlan,
    event::{Action, Event, Poll},
    fire_schedules::fire_schedules,
    inbox::Inbox,
    leftovers::Leftovers,
    link::Link,
    memory_and_cpu::MemoryAndCpu,
    options::Options,
    registration::Registration,
    spawn::{self, Nursery},
    state::poll::PollRequest,
    sweep_lost_hosts::{sweep_lost_hosts, take_dead_leases},
    worker_handle::{WorkerCommand, WorkerHandle},
};

/// How long the leftovers of a dead worker are kept: longer than a late claim of it may appear.
const REMEMBERED: Duration = Duration::from_secs(120);

/// Everything by which a monitor acts.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) options: Options,
    pub(crate) registration: Registration,
    pub(crate) link: Link,
    pub(crate) nursery: Rc<Nursery>,
    pub(crate) inbox: Inbox,
    handles: HashMap<i64, WorkerHandle>,
    leftovers: HashMap<i64, (Leftovers, Instant)>,
    plans: HashMap<i64, CleanupPlan>,
    memory_and_cpu: MemoryAndCpu,
    renewed_at: Option<Instant>,
    firing: BackgroundJob,
    sweeping: BackgroundJob,
    taking: BackgroundJob,
    self_kill: SelfKill,
}

impl Effects {
    pub(crate) fn new(
        options: Options,
        registration: Registration,
        link: Link,
        nursery: Nursery,
        inbox: Inbox,
        self_kill: SelfKill,
    ) -> Effects {
        Effects {
            options,
            registration,
            link,
            nursery: Rc::new(nursery),
            inbox,
            handles: HashMap::new(),
            leftovers: HashMap::new(),
            plans: HashMap::new(),
            memory_and_cpu: MemoryAndCpu::default(),
            renewed_at: None,
            firing: BackgroundJob::default(),
            sweeping: BackgroundJob::default(),
            taking: BackgroundJob::default(),
            self_kill,
        }
    }

    /// Keeps the handle of a worker that has been started or adopted.
    pub(crate) fn take_handle(&mut self, worker: i64, handle: WorkerHandle) {
        self.handles.insert(worker, handle);
    }

    /// Keeps the leftovers of a worker that has died.
    pub(crate) fn take_leftovers(&mut self, worker: i64, leftovers: Leftovers, now: Instant) {
        self.handles.remove(&worker);
        self.leftovers.retain(|_, (_, since)| now.duration_since(*since) < REMEMBERED);
        self.plans.retain(|worker, _| self.leftovers.contains_key(worker));
        self.leftovers.insert(worker, (leftovers, now));
    }

    /// Carries out one action. [`Action::Poll`] and [`Action::Finish`] are handled by the event loop.
    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Tell(worker, message) => self.command(worker, WorkerCommand::Tell(message)),
            Action::Kill(worker) => self.command(worker, WorkerCommand::Kill),
            Action::NoteUp(id) => {
                self.record("record that a worker is up", async move |db| worker::up(db, id).await);
            }
            Action::Spawn { domain, count } => {
                let (nursery, link) = (Rc::clone(&self.nursery), self.link.clone());
                spawn_local(spawn::spawn(nursery, link, domain, count, self.inbox.clone()));
            }
            Action::CleanUp { worker, plan } => self.clean_up(worker, plan),
            Action::RecordLateClaim(worker) => self.record_late_claim(worker),
            Action::Publish(domains) => self.publish(domains),
            Action::Fire(domains) => {
                let fire = async move |db: &Db| fire_schedules(db, &domains).await;
                self.firing.begin("fire schedules", self.link.now(), fire);
            }
            Action::TakeDeadLeases(dead) => {
                let take = async move |db: &Db| take_dead_leases(db, &dead).await;
                self.taking.begin("take leases away", self.link.now(), take);
            }
            Action::SweepLostHosts => {
                let sweep = async |db: &Db| sweep_lost_hosts(db).await;
                self.sweeping.begin("sweep after lost hosts", self.link.now(), sweep);
            }
            Action::Arm(until) => self.arm(until),
            Action::Take(domains) => self.take_domains(domains),
            Action::Poll | Action::Finish(_) => {}
        }
    }

    fn arm(&mut self, until: Option<Moment>) {
        let armed = match until {
            Some(until) => {
                self.nursery.lease_until(until);
                self.self_kill.arm(until)
            }
            None => self.self_kill.disarm(),
        };
        if let Err(error) = armed {
            tracing::error!("the kernel's timer cannot be set: {error}");
        }
    }

    /// Polls the database; the answer goes to the inbox, at once without one if the database is away.
    pub(crate) fn poll(&mut self, request: PollRequest, regular: bool, now: Instant) {
        let told_subscriptions = request.subscriptions.is_some();
        let Some(db) = self.link.now() else {
            self.memory_and_cpu.forget();
            self.inbox.send(Event::Polled(Poll { told_subscriptions, ..Poll::default() }));
            return;
        };
        let every = self.options.lease.renew_every();
        let renewed = self.renewed_at.is_none_or(|at| now.duration_since(at) >= every);
        let measured =
            if regular { self.memory_and_cpu.measure(&self.pids(), now) } else { Vec::new() };
        let ask = Ask {
            monitor: self.registration.monitor,
            lease: self.registration.lease,
            terms: self.options.lease,
            renew: renewed,
            wants: request.subscriptions,
            workers: request.workers,
            measured,
            dead: request.dead,
            host: self.options.host.clone(),
            capabilities: self.options.capabilities.clone(),
            count: request.count,
            beyond: self.options.domains.is_empty().then_some(request.domains),
            abort_all: request.abort_all,
            fires: request.fires,
            watches: regular,
        };
        if renewed {
            // The lease is counted from the moment when the renewal is sent.
            self.renewed_at = Some(now);
        }
        let (inbox, sent_at) = (self.inbox.clone(), boot_time());
        spawn_local(async move {
            let answer = fleet::heartbeat::tick(&db, &ask).await.inspect_err(|error| {
                if !error.is_connection() {
                    tracing::error!("the database cannot be polled: {error}");
                }
            });
            let (seen_at, answer) = (boot_time(), answer.ok());
            let poll = Poll { regular, renewed, told_subscriptions, sent_at, seen_at, answer };
            inbox.send(Event::Polled(poll));
        });
    }

    /// A poll was not answered: the next one renews the lease.
    pub(crate) fn poll_failed(&mut self) {
        self.renewed_at = None;
        self.memory_and_cpu.forget();
    }

    fn pids(&self) -> Vec<(i64, i32)> {
        self.handles.iter().filter_map(|(worker, handle)| Some((*worker, handle.pid?))).collect()
    }

    fn command(&self, worker: i64, command: WorkerCommand) {
        if let Some(handle) = self.handles.get(&worker) {
            handle.send(command);
        }
    }

    fn clean_up(&mut self, worker: i64, plan: CleanupPlan) {
        let Some((leftovers, _)) = self.leftovers.get(&worker) else { return };
        self.plans.insert(worker, plan.clone());
        let (link, leftovers, inbox) = (self.link.clone(), leftovers.clone(), self.inbox.clone());
        spawn_local(cleanup::clean_up(link, worker, leftovers, plan, inbox));
    }

    fn record_late_claim(&self, worker: i64) {
        let (Some((leftovers, _)), Some(plan)) =
            (self.leftovers.get(&worker), self.plans.get(&worker))
        else {
            return;
        };
        let (link, leftovers, plan) = (self.link.clone(), leftovers.clone(), plan.clone());
        spawn_local(async move { cleanup::record(&link, worker, &leftovers, &plan).await });
    }

    fn publish(&self, domains: Vec<String>) {
        let (db, inbox, id) = (self.link.now(), self.inbox.clone(), self.registration.monitor);
        spawn_local(async move {
            let committed = match db {
                Some(db) => monitor::publish_wants(&db, id, &domains).await.is_ok(),
                None => false,
            };
            inbox.send(Event::Published(committed));
        });
    }

    /// Takes more domains. That needs a transaction, and so a connection of its own.
    fn take_domains(&self, wished: Vec<String>) {
        let (dsn, inbox) = (self.options.dsn.clone(), self.inbox.clone());
        let (id, host) = (self.registration.monitor, self.options.host.clone());
        spawn_local(async move {
            let taken = async {
                let mut db = Db::connect(&dsn, &format!("rework monitor {id}")).await?;
                monitor::take_domains(&mut db, id, &host, &wished).await
            };
            match taken.await {
                Ok(domains) => inbox.send(Event::Serves(domains)),
                Err(error) => tracing::warn!("new domains cannot be served yet: {error}"),
            }
        });
    }

    fn record(
        &self,
        what: &'static str,
        action: impl AsyncFn(&Db) -> rework_core::db::error::Result<()> + 'static,
    ) {
        let link = self.link.clone();
        spawn_local(async move { link.persist(what, action).await });
    }
}
