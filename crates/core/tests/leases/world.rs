//! The simulated world: time, machines, the network, and what goes wrong with them.

mod births_and_deaths;
mod messages;

use std::{cmp::Reverse, collections::BinaryHeap};

use rework_core::lease;
use rework_wire::lease::Moment;

use crate::{
    cast::{Event, Process, What},
    database::{Database, Flaw},
    machine::{Machine, Time},
    process::Wish,
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

    fn led_by(&self, monitor: usize) -> Vec<usize> {
        let led = self.processes.iter().enumerate().filter(|(_, process)| {
            process.alive && matches!(process.what, What::Worker(_, of) if of == monitor)
        });
        led.map(|(number, _)| number).collect()
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
