//! Carrying out the actions of a monitor. The decisions are made in `state.rs`.
//!
//! Nothing here waits. Work that takes time runs as a task next to the event loop, and sends its result to the inbox.

mod database_writes;

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use rework_core::{
    cron::fire::MAX_TOGETHER,
    db::{connect::Db, size_limit::SizeLimit},
    fleet::{monitor_poll::PollRequest, worker},
};
use rework_process::{SelfKill, boot_time};
use rework_wire::lease::BootTime;
use tokio::task::spawn_local;

use crate::{
    background::BackgroundJob,
    cleanup,
    cleanup_plan::CleanupPlan,
    event::{Action, CompletedPoll, Event},
    fire_schedules::fire_schedules,
    inbox::Inbox,
    leftovers::Leftovers,
    link::Link,
    memory_and_cpu::MemoryAndCpu,
    options::Options,
    registration::Registration,
    repeated_errors::RepeatedErrors,
    send_poll::send_poll,
    spawn::{self, WorkerSpawner},
    state::poll::PollPlan,
    sweep_lost_hosts::{sweep_lost_hosts, take_dead_leases},
    worker_handle::{WorkerCommand, WorkerHandle},
};

/// How long the leftovers of a dead worker are kept at least. A claim that the worker had sent can be committed up to
/// 60 seconds after the death (`LATE_CLAIM` in `state/worker_died.rs`). The monitor then needs the leftovers to record
/// the ends of the claimed runs.
const KEEP_LEFTOVERS: Duration = Duration::from_secs(120);

/// The connections, handles and timers that a monitor acts through.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) options: Options,
    pub(crate) registration: Registration,
    pub(crate) link: Link,
    pub(crate) spawner: Rc<WorkerSpawner>,
    pub(crate) inbox: Inbox,
    /// The handles of the running workers, by worker id.
    handles: HashMap<i64, WorkerHandle>,
    /// The leftovers of dead workers and the time of their death, by worker id.
    leftovers: HashMap<i64, (Leftovers, Instant)>,
    /// The plans of cleanups that have started, by worker id. A late claim is recorded by the same plan.
    plans: HashMap<i64, CleanupPlan>,
    memory_and_cpu: MemoryAndCpu,
    /// The time at which the last renewal of the lease was sent. `None` if the next poll must renew it.
    renewed_at: Option<Instant>,
    /// The errors with which the database refuses polls.
    poll_errors: RepeatedErrors,
    fire_job: BackgroundJob,
    /// The most schedules that are fired together.
    fire_size: Rc<SizeLimit>,
    sweep_job: BackgroundJob,
    take_job: BackgroundJob,
    fault_job: BackgroundJob,
    pause_job: BackgroundJob,
    self_kill: SelfKill,
}

impl Effects {
    pub(crate) fn new(
        options: Options,
        registration: Registration,
        link: Link,
        spawner: WorkerSpawner,
        inbox: Inbox,
        self_kill: SelfKill,
    ) -> Effects {
        Effects {
            options,
            registration,
            link,
            spawner: Rc::new(spawner),
            inbox,
            handles: HashMap::new(),
            leftovers: HashMap::new(),
            plans: HashMap::new(),
            memory_and_cpu: MemoryAndCpu::default(),
            renewed_at: None,
            poll_errors: RepeatedErrors::default(),
            fire_job: BackgroundJob::default(),
            fire_size: Rc::new(SizeLimit::new(MAX_TOGETHER)),
            sweep_job: BackgroundJob::default(),
            take_job: BackgroundJob::default(),
            fault_job: BackgroundJob::default(),
            pause_job: BackgroundJob::default(),
            self_kill,
        }
    }

    /// Stores the handle of a worker that was started or adopted.
    pub(crate) fn add_handle(&mut self, worker: i64, handle: WorkerHandle) {
        self.handles.insert(worker, handle);
    }

    /// Stores the leftovers of a worker that has died, and removes old ones.
    pub(crate) fn add_leftovers(&mut self, worker: i64, leftovers: Leftovers, now: Instant) {
        self.handles.remove(&worker);
        self.leftovers.retain(|_, (_, since)| now.duration_since(*since) < KEEP_LEFTOVERS);
        self.plans.retain(|worker, _| self.leftovers.contains_key(worker));
        self.leftovers.insert(worker, (leftovers, now));
    }

    /// Carries out one action. The event loop handles [`Action::PollNow`] and [`Action::Finish`] itself.
    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Send(worker, message) => self.command(worker, WorkerCommand::Send(message)),
            Action::Kill(worker) => self.command(worker, WorkerCommand::Kill),
            Action::RecordReady(id) => {
                let record = async move |db: &Db| worker::record_ready(db, id).await;
                self.record("record that a worker is ready", record);
            }
            Action::Spawn { domain, count } => {
                let (spawner, link) = (Rc::clone(&self.spawner), self.link.clone());
                spawn_local(spawn::spawn(spawner, link, domain, count, self.inbox.clone()));
            }
            Action::CleanUp { worker, plan } => self.clean_up(worker, plan),
            Action::RecordLateClaim(worker) => self.record_late_claim(worker),
            Action::PublishIdleDomains(domains) => self.publish(domains),
            Action::Fire(domains) => {
                let (size, inbox) = (Rc::clone(&self.fire_size), self.inbox.clone());
                let fire = async move |db: &Db| fire_schedules(db, &domains, &size, &inbox).await;
                self.fire_job.start("fire schedules", self.link.current(), fire);
            }
            Action::TakeDeadLeases(dead) => {
                let take = async move |db: &Db| take_dead_leases(db, &dead).await;
                self.take_job.start(
                    "take away the leases of lost hosts",
                    self.link.current(),
                    take,
                );
            }
            Action::SweepLostHosts => {
                let sweep = async |db: &Db| sweep_lost_hosts(db).await;
                self.sweep_job.start("sweep after lost hosts", self.link.current(), sweep);
            }
            Action::ArmSelfKill(until) => self.arm_self_kill(until),
            Action::TakeDomains(domains) => self.take_domains(domains),
            Action::RecordStartFaults(faults) => self.record_start_faults(faults),
            Action::RecordPauses(ids) => self.record_pauses(ids),
            Action::PollNow | Action::Finish(_) => {}
        }
    }

    fn arm_self_kill(&mut self, until: Option<BootTime>) {
        let armed = match until {
            Some(until) => {
                self.spawner.set_lease_until(until);
                self.self_kill.arm(until)
            }
            None => self.self_kill.disarm(),
        };
        if let Err(error) = armed {
            tracing::error!("cannot set the kernel timer that kills this process: {error}");
        }
    }

    /// Polls the database, and sends the reply to the inbox. If the database is unavailable, sends a poll without reply
    /// at once.
    pub(crate) fn poll(&mut self, plan: PollPlan, regular: bool, now: Instant) {
        let sent_subscriptions = plan.subscriptions.is_some();
        let Some(db) = self.link.current() else {
            self.memory_and_cpu.resend_all();
            let poll = CompletedPoll { sent_subscriptions, ..CompletedPoll::default() };
            self.inbox.send(Event::Polled(Box::new(poll)));
            return;
        };
        let renewal_interval = self.options.lease.renewal_interval();
        let renewed = self.renewed_at.is_none_or(|at| now.duration_since(at) >= renewal_interval);
        let usage =
            if regular { self.memory_and_cpu.measure(&self.pids(), now) } else { Vec::new() };
        let request = PollRequest {
            monitor: self.registration.monitor,
            lease: self.registration.lease,
            terms: self.options.lease,
            known_renewals: plan.known_renewals,
            renew_lease: renewed,
            checked_recovery: plan.checked_recovery,
            idle_domains: plan.subscriptions,
            workers: plan.workers,
            usage,
            dead_workers: plan.dead_workers,
            host: self.options.host.clone(),
            capabilities: self.options.capabilities.clone(),
            count_ready: plan.count_ready,
            known_domains: self.options.domains.is_empty().then_some(plan.domains),
            abort_all: plan.abort_all,
            schedule_domains: plan.schedule_domains,
            watch_leases: regular,
        };
        if renewed {
            // The lease lasts from the moment at which the renewal is sent, not from the reply.
            self.renewed_at = Some(now);
        }
        let completed = CompletedPoll {
            regular,
            renewed,
            sent_subscriptions,
            sent_at: boot_time(),
            ..CompletedPoll::default()
        };
        let inbox = self.inbox.clone();
        spawn_local(async move { send_poll(&db, &request, completed, &inbox).await });
    }

    /// Logs a refusal. After a poll without reply the next one renews the lease and sends all measurements again.
    pub(crate) fn poll_ended(&mut self, poll: &CompletedPoll, now: Instant) {
        match &poll.refusal {
            Some(text) if self.poll_errors.is_news(text, now) => {
                tracing::error!("the database refuses the polls of this monitor: {text}");
            }
            None if poll.reply.is_some() && self.poll_errors.end() => {
                tracing::info!("the database accepts the polls of this monitor again");
            }
            _ => {}
        }
        if poll.reply.is_none() {
            self.renewed_at = None;
            self.memory_and_cpu.resend_all();
        }
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
}
