//! Questions to the database of the simulated world, and its answers: each may be late or get lost.

use rework_core::lease::row::Lease;

use super::{Kind, WORKERS, World};
use crate::{
    cast::{Event, Process, What},
    database::{Answer, Ask},
    machine::Time,
};

impl World {
    pub(super) fn ask(&mut self, from: usize, ask: Ask) {
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

    pub(super) fn arrive(&mut self, from: usize, id: u64, ask: Ask, sent: Time) {
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

    pub(super) fn answered(&mut self, to: usize, id: u64, ask: Ask, answer: Answer) {
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

    pub(super) fn check_taken(&mut self, lease: Lease) {
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

    pub(super) fn travel(&mut self, machine: usize) -> Option<Time> {
        self.machines[machine].travel(self.now, &mut self.random)
    }
}
