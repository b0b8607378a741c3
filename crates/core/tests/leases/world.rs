//! The simulated world: time, machines, the network, and what goes wrong with them.

use std::{cmp::Reverse, collections::BinaryHeap};

use rework_core::lease::{self, row::Lease};
use rework_wire::lease::{Moment, Terms};

use crate::{
    cast::{Event, Process, What},
    database::{Answer, Ask, Database, Flaw},
    machine::{Machine, Time},
    process::{Monitor, Wish, Worker},
};

const MACHINES: usize = 3;
const WORKERS: usize = 3;
const TASKS: usize = 7;

/// Far beyond the end of the world.
const FOREVER: Moment = Moment::from_secs(1 << 30);

/// What may happen in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whatever the promise is made for.
    Usual,
    /// A machine stands still, its clock with it, for longer than a lease: runs may be doubled then, but
    /// nobody is robbed who renews, and nothing is recorded twice.
    Freezes,
}

pub(crate) struct World {
    pub(crate) steps: u64,
    pub(crate) runs: u64,
    random: fastrand::Rng,
    kind: Kind,
    flaw: Option<Flaw>,
    now: Time,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    events: std::collections::HashMap<u64, Event>,
    drawn: u64,
    database: Database,
    processes: Vec<Process>,
    machines: Vec<Machine>,
    away: (Time, Time),
}

impl World {
    pub(crate) fn new(seed: u64, kind: Kind, flaw: Option<Flaw>) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let machines = (0..MACHINES).map(|_| Machine::new(&mut random)).collect();
        let mut world = World {
            steps: 0,
            runs: 0,
            random,
            kind,
            flaw,
            now: 0,
            queue: BinaryHeap::new(),
            events: std::collections::HashMap::new(),
            drawn: 0,
            database: Database::with_tasks(TASKS),
            processes: Vec::new(),
            machines,
            away: (0, 0),
        };
        for machine in 0..MACHINES {
            world.start_monitor(machine);
        }
        world.later(1000, Event::Fault);
        world
    }

    /// Until so many events, or a fault.
    pub(crate) fn run(&mut self, events: u64) -> Option<String> {
        while self.steps < events {
            self.steps += 1;
            let Reverse((time, key)) = self.queue.pop()?;
            self.now = time;
            let event = self.events.remove(&key)?;
            self.happens(event);
            if let Some(fault) = self.database.fault.take() {
                return Some(format!("at {} ms, {fault}", self.now));
            }
        }
        None
    }

    fn happens(&mut self, event: Event) {
        let whom = match &event {
            Event::Wake(whom) | Event::Answered { to: whom, .. } | Event::Told { to: whom, .. } => {
                Some(*whom)
            }
            _ => None,
        };
        if let Some(process) = whom.map(|whom| &self.processes[whom]) {
            if !process.alive {
                return;
            }
            let until = process.stopped_until.max(self.machines[process.machine].thaws_at());
            if until > self.now {
                return self.later(until - self.now, event);
            }
        }
        match event {
            Event::Wake(whom) => self.wake(whom),
            Event::Arrive { from, id, ask, sent } => self.arrive(from, id, ask, sent),
            Event::Answered { to, id, ask, answer } => self.answered(to, id, ask, answer),
            Event::Told { to, until } => {
                let now = self.clock(to);
                if let What::Worker(worker, _) = &mut self.processes[to].what {
                    let wishes = worker.steps(lease::lifeline::Event::Told { until }, now);
                    self.grant(to, wishes);
                }
            }
            Event::Alarm { whom, armed } => self.alarm(whom, armed),
            Event::Kill(whom) => match self.thaws_in(whom) {
                0 => self.kill(whom),
                wait => self.later(wait, Event::Kill(whom)),
            },
            Event::Replace(machine) => self.start_monitor(machine),
            Event::Fault => self.go_wrong(),
        }
    }

    fn wake(&mut self, whom: usize) {
        let now = self.clock(whom);
        let pause = self.random.u64(300..1000);
        self.later(pause, Event::Wake(whom));
        let mother = match self.processes[whom].what {
            What::Monitor(_) => whom,
            What::Worker(_, mother) | What::Unborn(mother) => mother,
        };
        let has_monitor = self.processes[mother].alive;
        let wishes = match &mut self.processes[whom].what {
            What::Monitor(monitor) => monitor.on_time(now),
            What::Worker(worker, _) => worker.on_time(now, has_monitor),
            What::Unborn(_) => return self.bear(whom, mother),
        };
        self.grant(whom, wishes);
    }

    fn alarm(&mut self, whom: usize, armed: Moment) {
        let process = &self.processes[whom];
        if !process.alive || process.armed != armed || self.flaw == Some(Flaw::SelfKill) {
            return;
        }
        let left = self.machine(whom).until(armed, self.now);
        match self.thaws_in(whom).max(left) {
            0 => self.kill_soon(whom),
            wait => self.later(wait, Event::Alarm { whom, armed }),
        }
    }

    fn thaws_in(&self, whom: usize) -> Time {
        self.machine(whom).thaws_at().saturating_sub(self.now)
    }

    /// A worker's row is made by its monitor; here, as if that took no time.
    fn bear(&mut self, whom: usize, monitor: usize) {
        let now = self.clock(whom);
        let What::Monitor(mother) = &self.processes[monitor].what else { return };
        if !self.processes[monitor].alive {
            return self.kill(whom);
        }
        let (terms, Some(lease)) = (mother.terms, mother.lease) else { return };
        let until = if self.flaw == Some(Flaw::SelfKill) { FOREVER } else { mother.until() };
        if until <= now {
            return;
        }
        let Answer::Created(row) = self.database.answer(Ask::Create { lease }, None) else {
            return;
        };
        self.processes[whom].what =
            What::Worker(Worker::new(row, lease, terms, until, now), monitor);
        self.grant(whom, vec![Wish::Arm(until)]);
    }

    fn grant(&mut self, whom: usize, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Ask(ask) => self.ask(whom, ask),
                Wish::Arm(until) => {
                    self.processes[whom].armed = until;
                    let wait = self.machine(whom).until(until, self.now);
                    self.later(wait, Event::Alarm { whom, armed: until });
                }
                Wish::Die => self.kill_soon(whom),
                Wish::Tell(until) => {
                    for to in self.led_by(whom) {
                        self.later(0, Event::Told { to, until });
                    }
                }
                Wish::Begin { task, run } => self.begin(whom, task, run),
            }
        }
    }

    fn begin(&mut self, whom: usize, task: usize, run: u64) {
        self.runs += 1;
        let other = self.processes.iter().enumerate().find(|(number, process)| {
            *number != whom
                && process.alive
                && matches!(&process.what, What::Worker(worker, _)
                    if worker.runs(task))
        });
        if let Some((other, _)) = other.filter(|_| self.kind == Kind::Usual) {
            let fault = format!("task {task} has two live runs, in {other} and in {whom}");
            self.database.fault = Some(fault);
        }
        let (now, takes) = (self.clock(whom), self.random.u64(10..40_000));
        if let What::Worker(worker, _) = &mut self.processes[whom].what {
            worker.run = Some((task, run));
            worker.run_until = now + Moment::from_millis(takes);
        }
    }

    fn ask(&mut self, from: usize, ask: Ask) {
        self.drawn += 1;
        let (id, now) = (self.drawn, self.clock(from));
        match &mut self.processes[from].what {
            What::Monitor(monitor) => monitor.asked.sent(id, now),
            What::Worker(worker, _) => match ask {
                Ask::Adopt { .. } | Ask::Renew { .. } => worker.own.sent(id, now),
                _ => worker.work.sent(id, now),
            },
            What::Unborn(_) => return,
        }
        if let Some(delay) = self.travel(self.processes[from].machine) {
            self.later(delay, Event::Arrive { from, id, ask, sent: self.now });
        }
    }

    fn arrive(&mut self, from: usize, id: u64, ask: Ask, sent: Time) {
        let (left_at, back_at) = self.away;
        let is_away = self.now < back_at;
        // What was on its way when the server went is lost with the connection.
        if sent < left_at && self.now >= left_at {
            return;
        }
        let answer = if is_away { Answer::Away } else { self.database.answer(ask, self.flaw) };
        if let (Ask::Adopt { row, .. }, Answer::Adopted(Some(_))) = (ask, &answer)
            && self.database.has_ended(row)
            && self.processes[from].alive
        {
            let fault = format!("worker {from}, whose runs were taken away, lives on");
            self.database.fault = Some(fault);
        }
        for (lease, moved) in std::mem::take(&mut self.database.taken) {
            if moved || self.kind == Kind::Usual {
                self.check_taken(lease);
            }
        }
        if let Some(delay) = self.travel(self.processes[from].machine) {
            self.later(delay, Event::Answered { to: from, id, ask, answer });
        }
    }

    fn answered(&mut self, to: usize, id: u64, ask: Ask, answer: Answer) {
        let now = self.clock(to);
        let wishes = match &mut self.processes[to].what {
            What::Monitor(monitor) => {
                let began = matches!(answer, Answer::Begun(_));
                let wishes = monitor.on_answer(id, ask, answer, now);
                if began {
                    for _ in 0..WORKERS {
                        self.start_worker(to);
                    }
                }
                wishes
            }
            What::Worker(worker, _) => worker.on_answer(id, ask, answer, now),
            What::Unborn(_) => Vec::new(),
        };
        self.grant(to, wishes);
    }

    fn check_taken(&mut self, lease: Lease) {
        let lives_by_it = |process: &&Process| {
            process.alive
                && match &process.what {
                    What::Monitor(monitor) => monitor.lease == Some(lease),
                    What::Worker(worker, _) => worker.lease == lease,
                    What::Unborn(_) => false,
                }
        };
        if let Some(process) = self.processes.iter().find(lives_by_it) {
            self.database.fault =
                Some(format!("lease {} is taken and {:?} lives by it", lease.id, process.what));
        }
    }

    fn led_by(&self, monitor: usize) -> Vec<usize> {
        let led = self.processes.iter().enumerate().filter(|(_, process)| {
            process.alive && matches!(process.what, What::Worker(_, of) if of == monitor)
        });
        led.map(|(number, _)| number).collect()
    }

    fn kill_soon(&mut self, whom: usize) {
        // Up to a tenth of a lease.
        let length = length_at(self.processes[whom].machine).as_millis() as u64;
        let delay = self.random.u64(0..length * 19 / 200);
        self.later(delay, Event::Kill(whom));
    }

    fn kill(&mut self, whom: usize) {
        if !std::mem::take(&mut self.processes[whom].alive) {
            return;
        }
        match &self.processes[whom].what {
            What::Monitor(_) => {
                let (wait, machine) = (self.random.u64(500..5_000), self.processes[whom].machine);
                self.later(wait, Event::Replace(machine));
            }
            What::Worker(worker, monitor) => {
                let (row, monitor) = (worker.row, *monitor);
                if let What::Monitor(mother) = &mut self.processes[monitor].what {
                    mother.dead.push(row);
                }
                if self.processes[monitor].alive {
                    self.start_worker(monitor);
                }
            }
            What::Unborn(_) => {}
        }
    }

    fn start_monitor(&mut self, machine: usize) {
        let lives_forever = self.flaw == Some(Flaw::SelfKill);
        let mut monitor = Monitor::new(Terms { length: length_at(machine) });
        monitor.lives_forever = lives_forever;
        self.start(machine, What::Monitor(monitor));
    }

    fn start_worker(&mut self, monitor: usize) {
        self.start(self.processes[monitor].machine, What::Unborn(monitor));
    }

    fn start(&mut self, machine: usize, what: What) {
        let process = Process { machine, alive: true, stopped_until: 0, armed: Moment::ZERO, what };
        self.processes.push(process);
        self.later(1, Event::Wake(self.processes.len() - 1));
    }

    fn travel(&mut self, machine: usize) -> Option<Time> {
        self.machines[machine].travel(self.now, &mut self.random)
    }

    fn go_wrong(&mut self) {
        let next = self.random.u64(100..15_000);
        self.later(next, Event::Fault);
        let machine = self.random.usize(..MACHINES);
        let living: Vec<usize> =
            (0..self.processes.len()).filter(|number| self.processes[*number].alive).collect();
        let whom = living[self.random.usize(..living.len())];
        let long = self.random.u64(100..60_000);
        match self.random.u8(..20) {
            0..6 => self.machines[machine].cut(self.now + long),
            6 => self.away = (self.now, self.now + long / 2),
            7..12 if self.kind == Kind::Freezes && !self.machines[machine].is_frozen(self.now) => {
                let long = self.random.u64(5_000..40_000);
                self.machines[machine].freeze(self.now, long);
            }
            7..15 => self.processes[whom].stopped_until = self.now + long,
            _ => self.kill(whom),
        }
    }

    fn machine(&self, whom: usize) -> &Machine {
        &self.machines[self.processes[whom].machine]
    }

    fn clock(&self, whom: usize) -> Moment {
        self.machine(whom).clock(self.now)
    }

    fn later(&mut self, wait: Time, event: Event) {
        self.drawn += 1;
        self.queue.push(Reverse((self.now + wait, self.drawn)));
        self.events.insert(self.drawn, event);
    }
}

/// Some hosts have shorter leases than others.
fn length_at(machine: usize) -> Moment {
    Moment::from_secs([20, 20, 8][machine % 3])
}
