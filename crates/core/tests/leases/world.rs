//! The simulated world: its processes, its machines, the queue of events, and the faults that are injected.

mod faults;
mod lifecycle;
mod messages;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use rework_core::lease::lifeline::LifelineEvent;
use rework_wire::lease::BootTime;

use crate::{
    database::Database,
    event::Event,
    machine::{Machine, Time},
    process::{Effect, Process, Role},
    request::MissingSafeguard,
};

const MACHINES: usize = 3;
const WORKERS_PER_MONITOR: usize = 3;
/// The number of tasks, fewer than workers, so that workers compete for them.
const TASKS: usize = 7;

/// A moment far after the end of every world.
const FOREVER: BootTime = BootTime::from_secs(1 << 30);

/// The faults that may happen in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// All faults under which every promise holds.
    Usual,
    /// Also, machines and their clocks stand still for longer than a lease. A task may then run
    /// twice. But a lease that was renewed after the observer read it is not taken away, and no end
    /// is recorded twice.
    Freezes,
    /// Also, the server fails over to a standby that has not received the last transactions. All
    /// promises hold, unless the registration of a monitor is lost. Then others may claim the tasks
    /// of its workers before it notices. So a failover never loses a registration here.
    Failovers,
}

/// The time in milliseconds within which a process is dead whose lease has gone back. A kill takes less.
const DEATH_TIME: Time = 2_000;

pub(crate) struct World {
    /// The number of events so far.
    pub(crate) steps: u64,
    /// The number of runs that were started.
    pub(crate) runs: u64,
    random: fastrand::Rng,
    scenario: Scenario,
    missing: Option<MissingSafeguard>,
    now: Time,
    /// The time and the id of each future event.
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    events: std::collections::HashMap<u64, Event>,
    /// The id that was assigned last, to an event or to a request.
    last_id: u64,
    database: Database,
    processes: Vec<Process>,
    machines: Vec<Machine>,
    /// The start and the end of the last outage of the server.
    outage: (Time, Time),
    /// The moment until which the server accepts no new connections, because it has too many.
    full_until: Time,
    /// Earlier states of the database, each with its time, the oldest first.
    history: VecDeque<(Time, Database)>,
}

impl World {
    pub(crate) fn new(seed: u64, scenario: Scenario, missing: Option<MissingSafeguard>) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let machines = (0..MACHINES).map(|_| Machine::new(&mut random)).collect();
        let mut world = World {
            steps: 0,
            runs: 0,
            random,
            scenario,
            missing,
            now: 0,
            queue: BinaryHeap::new(),
            events: std::collections::HashMap::new(),
            last_id: 0,
            database: Database::with_tasks(TASKS),
            processes: Vec::new(),
            machines,
            outage: (0, 0),
            full_until: 0,
            history: VecDeque::new(),
        };
        for machine in 0..MACHINES {
            world.start_monitor(machine);
        }
        world.schedule(1000, Event::InjectFault);
        world
    }

    /// Simulates this number of events, or fewer if a promise is broken. Returns the violation.
    pub(crate) fn run(&mut self, events: u64) -> Option<String> {
        while self.steps < events {
            self.steps += 1;
            let Reverse((time, id)) = self.queue.pop()?;
            self.now = time;
            let Some(event) = self.events.remove(&id) else { continue };
            self.record_history();
            self.handle(event);
            if let Some(violation) = self.database.violation.take() {
                return Some(format!("at {} ms, {violation}", self.now));
            }
        }
        None
    }

    fn handle(&mut self, event: Event) {
        // A dead process ignores an event. A process that stands still handles it afterwards.
        let addressee = match &event {
            Event::Wake(pid)
            | Event::ReplyArrived { to: pid, .. }
            | Event::MonitorRenewed { to: pid, .. }
            | Event::CheckRuns { to: pid, .. }
            | Event::RunsChecked { to: pid, .. } => Some(*pid),
            _ => None,
        };
        if let Some(process) = addressee.map(|pid| &self.processes[pid]) {
            if !process.alive {
                return;
            }
            let until = process.stopped_until.max(self.machines[process.machine].thaws_at());
            if until > self.now {
                return self.schedule(until - self.now, event);
            }
        }
        match event {
            Event::Wake(pid) => self.wake(pid),
            Event::RequestArrived { from, id, request, sent } => {
                self.on_request(from, id, request, sent);
            }
            Event::ReplyArrived { to, id, request, reply } => self.on_reply(to, id, request, reply),
            Event::MonitorRenewed { to, until } => self.on_monitor_renewed(to, until),
            Event::CheckRuns { to, recovery } => {
                if let Role::Worker(worker, _) = &mut self.processes[to].role {
                    let effects = worker.check_run(recovery);
                    self.apply(to, effects);
                }
            }
            Event::RunsChecked { to, worker, recovery } => {
                if let Role::Monitor(monitor) = &mut self.processes[to].role
                    && monitor.recovery == Some(recovery)
                {
                    monitor.waits_for.remove(&worker);
                }
            }
            Event::KillTimer { pid, armed } => self.on_kill_timer(pid, armed),
            Event::Kill(pid) => match self.thaws_in(pid) {
                0 => self.kill(pid),
                wait => self.schedule(wait, Event::Kill(pid)),
            },
            Event::StartMonitor(machine) => self.start_monitor(machine),
            Event::InjectFault => self.inject_fault(),
        }
    }

    fn on_monitor_renewed(&mut self, worker: usize, until: BootTime) {
        let now = self.clock(worker);
        if let Role::Worker(role, _) = &mut self.processes[worker].role {
            let effects = role.step_lifeline(LifelineEvent::MonitorRenewed { until }, now);
            self.apply(worker, effects);
        }
    }

    fn wake(&mut self, pid: usize) {
        let went_back_at = self.processes[pid].went_back_at;
        if went_back_at.is_some_and(|at| self.now > at + DEATH_TIME) {
            let violation = format!("process {pid} lives on after its lease went back");
            self.database.violation = Some(violation);
        }
        let now = self.clock(pid);
        let pause = self.random.u64(300..1000);
        self.schedule(pause, Event::Wake(pid));
        let monitor = match self.processes[pid].role {
            Role::Monitor(_) => pid,
            Role::Worker(_, monitor) | Role::StartingWorker(monitor) => monitor,
        };
        let has_monitor = self.processes[monitor].alive;
        let effects = match &mut self.processes[pid].role {
            Role::Monitor(monitor) => monitor.on_time(now),
            Role::Worker(worker, _) => worker.on_time(now, has_monitor),
            Role::StartingWorker(_) => return self.finish_worker_start(pid, monitor),
        };
        self.apply(pid, effects);
    }

    fn on_kill_timer(&mut self, pid: usize, armed: BootTime) {
        let process = &self.processes[pid];
        let is_missing = self.missing == Some(MissingSafeguard::SelfKill);
        if !process.alive || process.armed != armed || is_missing {
            return;
        }
        let left = self.machine(pid).until(armed, self.now);
        match self.thaws_in(pid).max(left) {
            0 => self.kill_soon(pid),
            wait => self.schedule(wait, Event::KillTimer { pid, armed }),
        }
    }

    fn thaws_in(&self, pid: usize) -> Time {
        self.machine(pid).thaws_at().saturating_sub(self.now)
    }

    /// Carries out what a process has decided.
    fn apply(&mut self, pid: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(request) => self.send(pid, request),
                Effect::ArmKillTimer(until) => {
                    self.processes[pid].armed = until;
                    let wait = self.machine(pid).until(until, self.now);
                    self.schedule(wait, Event::KillTimer { pid, armed: until });
                }
                Effect::Die => self.kill_soon(pid),
                Effect::DieWithWorkers => {
                    self.kill_soon(pid);
                    for worker in self.workers_of(pid) {
                        self.kill_soon(worker);
                    }
                }
                Effect::CheckWorkers(recovery) => self.check_workers(pid, recovery),
                Effect::ReportChecked(recovery) => {
                    if let Role::Worker(_, monitor) = self.processes[pid].role {
                        let checked = Event::RunsChecked { to: monitor, worker: pid, recovery };
                        self.schedule(1, checked);
                    }
                }
                Effect::NotifyWorkers(until) => {
                    for to in self.workers_of(pid) {
                        self.schedule(0, Event::MonitorRenewed { to, until });
                    }
                }
                Effect::StartRun { task, run } => self.start_run(pid, task, run),
            }
        }
    }

    fn start_run(&mut self, pid: usize, task: usize, run: u64) {
        self.runs += 1;
        let other = self.processes.iter().enumerate().find(|(other, process)| {
            *other != pid
                && process.alive
                && matches!(&process.role, Role::Worker(worker, _) if worker.runs(task))
        });
        if let Some((other, _)) = other.filter(|_| self.scenario != Scenario::Freezes) {
            let violation = format!("task {task} has two live runs, in {other} and in {pid}");
            self.database.violation = Some(violation);
        }
        let (now, duration_ms) = (self.clock(pid), self.random.u64(10..40_000));
        if let Role::Worker(worker, _) = &mut self.processes[pid].role {
            worker.run = Some((task, run));
            worker.run_until = now + BootTime::from_millis(duration_ms);
        }
    }

    /// Has all workers of a monitor compare their runs with the database.
    fn check_workers(&mut self, pid: usize, recovery: u64) {
        let workers = self.workers_of(pid);
        if let Role::Monitor(monitor) = &mut self.processes[pid].role {
            monitor.waits_for = workers.iter().copied().collect();
        }
        for to in workers {
            self.schedule(1, Event::CheckRuns { to, recovery });
        }
    }

    fn workers_of(&self, monitor: usize) -> Vec<usize> {
        let workers = self.processes.iter().enumerate().filter(|(_, process)| {
            process.alive && matches!(process.role, Role::Worker(_, of) if of == monitor)
        });
        workers.map(|(pid, _)| pid).collect()
    }

    fn machine(&self, pid: usize) -> &Machine {
        &self.machines[self.processes[pid].machine]
    }

    /// The time on the clock of a process.
    fn clock(&self, pid: usize) -> BootTime {
        self.machine(pid).clock(self.now)
    }

    /// Has an event happen after `wait` milliseconds.
    fn schedule(&mut self, wait: Time, event: Event) {
        self.last_id += 1;
        self.queue.push(Reverse((self.now + wait, self.last_id)));
        self.events.insert(self.last_id, event);
    }
}
