//! A crowd: many connections that send a fleet's statements one after the other, as fast as they are
//! answered, and what each statement costs the server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use rework_core::{
    db::connect::Db,
    fleet::heartbeat::tick,
    task::{
        claim::{Claimant, ScanRanges, claim},
        complete::{Completion, Outcome},
        exchange::{Exchange, exchange},
        payload::Payload,
    },
};
use tokio::task::JoinSet;

use crate::{cpu::Cpu, fleet::Fleet};

/// A monitor renews its lease every fourth second.
const RENEWS: usize = 4;

/// Busy workers for which one connection speaks.
const SEATS: usize = 8;

/// Of the code that every task ran.
const REVISION: &str = "5f4dcc3b5aa7";

/// What it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// The look of each second of idle monitors.
    Tick,
    /// Their look at a hint, which watches no lease and counts nothing.
    Hint,
    /// Claims where nothing is ready.
    Look,
    /// Ends and the next claim of busy workers, so many tasks at a time.
    Exchange(i32),
}

/// The connections to one fleet's database.
pub(crate) struct Crowd {
    fleet: Arc<Fleet>,
    members: Vec<Member>,
}

struct Member {
    db: Db,
    random: fastrand::Rng,
    /// The hosts whose monitors it speaks for; nobody else does, where there are enough of them.
    hosts: Vec<usize>,
    ticks: usize,
    seats: Vec<Seat>,
}

/// A busy worker, and the ends of what it has.
struct Seat {
    who: Claimant,
    ends: Vec<Completion>,
}

/// What was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Of them a second.
    pub(crate) rate: f64,
    /// Microseconds of CPU of the server for one.
    pub(crate) cpu_us: f64,
}

impl Crowd {
    pub(crate) async fn gather(fleet: Arc<Fleet>, connections: usize) -> anyhow::Result<Crowd> {
        let mut members = Vec::new();
        for number in 0..connections {
            let mut random = fastrand::Rng::with_seed(number as u64);
            let seat = |_| Seat { who: fleet.worker(&mut random), ends: Vec::new() };
            let seats = (0..SEATS).map(seat).collect();
            let mut hosts: Vec<usize> = (number..fleet.hosts()).step_by(connections).collect();
            if hosts.is_empty() {
                hosts.push(number % fleet.hosts());
            }
            members.push(Member { db: fleet.connect().await?, random, hosts, ticks: 0, seats });
        }
        Ok(Crowd { fleet, members })
    }

    /// How many tasks are held at once where each claim takes so many.
    pub(crate) fn holds(&self, most: i32) -> i64 {
        (self.members.len() * SEATS) as i64 * i64::from(most)
    }

    /// All of them, for so long, or until nothing is left to do. What comes before is not counted:
    /// plans are made, and workers get something to end.
    pub(crate) async fn work(
        &mut self,
        work: Work,
        cpu: &Cpu,
        time: Duration,
    ) -> anyhow::Result<Done> {
        let first = if matches!(work, Work::Exchange(_)) { SEATS } else { 1 };
        self.all(work, Until::Steps(first)).await?;
        let (began, stopwatch) = (Instant::now(), cpu.start());
        let done = self.all(work, Until::Time(began + time)).await?;
        let (seconds, used) = (began.elapsed().as_secs_f64(), stopwatch.stop());
        if let Work::Exchange(_) = work {
            self.all(work, Until::Ended).await?;
        }
        ensure!(done > 0, "nothing was done");
        Ok(Done { rate: done as f64 / seconds, cpu_us: used.seconds * 1e6 / done as f64 })
    }

    async fn all(&mut self, work: Work, until: Until) -> anyhow::Result<usize> {
        let mut working = JoinSet::new();
        for member in self.members.drain(..) {
            working.spawn(member.work(Arc::clone(&self.fleet), work, until));
        }
        let mut done = 0;
        while let Some(ended) = working.join_next().await {
            let (member, by_it) = ended??;
            self.members.push(member);
            done += by_it;
        }
        Ok(done)
    }
}

/// How long.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// So many statements.
    Steps(usize),
    Time(Instant),
    /// Every seat has ended what it has, and claims nothing.
    Ended,
}

impl Until {
    /// Whether anything is to come after so many statements.
    fn is_to_come(self, steps: usize) -> bool {
        match self {
            Until::Steps(most) => steps < most,
            Until::Time(end) => Instant::now() < end,
            Until::Ended => steps < SEATS,
        }
    }
}

impl Member {
    /// Goes on until then, or until nothing is ready any more. How much it did: tasks, or statements.
    async fn work(
        mut self,
        fleet: Arc<Fleet>,
        work: Work,
        until: Until,
    ) -> anyhow::Result<(Member, usize)> {
        let (mut done, mut steps) = (0, 0);
        while until.is_to_come(steps) {
            match work {
                Work::Tick => self.tick(&fleet, true).await?,
                Work::Hint => self.tick(&fleet, false).await?,
                Work::Look => self.look(&fleet).await?,
                Work::Exchange(most) => {
                    let in_turn = !matches!(until, Until::Time(_));
                    let seat = if in_turn { steps } else { self.random.usize(..SEATS) };
                    let claims = !matches!(until, Until::Ended);
                    done += self.exchange(&fleet, seat, claims.then_some(most)).await?;
                    if claims && self.seats[seat].ends.is_empty() {
                        break;
                    }
                }
            }
            steps += 1;
        }
        let done = if let Work::Exchange(_) = work { done } else { steps };
        Ok((self, done))
    }

    async fn tick(&mut self, fleet: &Fleet, standing: bool) -> anyhow::Result<()> {
        let (host, round) = (self.ticks % self.hosts.len(), self.ticks / self.hosts.len());
        let renews = standing && (host + round).is_multiple_of(RENEWS);
        self.ticks += 1;
        let answer = tick(&self.db, &fleet.ask(self.hosts[host], renews, standing)).await?;
        ensure!(answer.held, "a lease was taken away");
        Ok(())
    }

    async fn look(&mut self, fleet: &Fleet) -> anyhow::Result<()> {
        let who = fleet.worker(&mut self.random);
        let claimed = claim(&self.db, &who, &fleet.batches(1), &ScanRanges::default()).await?;
        ensure!(claimed.is_empty(), "a task was ready");
        Ok(())
    }

    /// How many ends were recorded.
    async fn exchange(
        &mut self,
        fleet: &Fleet,
        seat: usize,
        most: Option<i32>,
    ) -> anyhow::Result<usize> {
        let Seat { who, ends } = &mut self.seats[seat];
        let (batches, ranges) = (fleet.batches(most.unwrap_or(1)), ScanRanges::default());
        let claims = most.map(|_| (&*who, &batches, &ranges));
        let next = Exchange { lines: &[], ends, after: None, claim: claims };
        let (recorded, claimed) = exchange(&self.db, next).await?;
        *ends = claimed
            .into_iter()
            .map(|task| Completion {
                output: Payload::Json("1".to_owned()),
                began: Some(Instant::now()),
                revision: Some(REVISION.to_owned()),
                ..Completion::new(task.fence, Outcome::Done, None)
            })
            .collect();
        Ok(recorded.len())
    }
}
