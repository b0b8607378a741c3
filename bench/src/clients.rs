//! Many connections that send the statements of a fleet. Each connection sends its next statement
//! as soon as the last one is answered. Measures how many statements per second the server
//! executes, and how much CPU time of the server one statement takes. `scale.rs` uses it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use rework_core::{
    db::connect::Db,
    fleet::monitor_poll::poll,
    task::{
        claim::{Claimant, ScanRanges, claim},
        complete::{Completion, Outcome},
        exchange::{Exchange, exchange},
        payload::Payload,
    },
};
use tokio::task::JoinSet;

use crate::{cpu::Cpu, fleet::Fleet};

/// A monitor renews its lease in every fourth of its polls.
const POLLS_PER_RENEWAL: usize = 4;

/// Number of busy workers that share one connection. Their tasks are spread over the table as those of a real fleet.
const WORKERS_PER_CLIENT: usize = 8;

/// The revision of the code, which is the same for every task.
const REVISION: &str = "5f4dcc3b5aa7";

/// The kind of statements that the clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// The poll that an idle monitor sends each second.
    RegularPoll,
    /// The poll that an idle monitor sends after a notification. It observes no leases and counts no ready tasks.
    NotifiedPoll,
    /// A claim of an idle worker, while nothing is ready.
    EmptyClaim,
    /// The exchange of a busy worker: it records ends and claims this many tasks.
    Exchange(i32),
}

/// The connections to the database of one fleet.
pub(crate) struct Clients {
    fleet: Arc<Fleet>,
    clients: Vec<FleetClient>,
}

/// One connection, and the monitors and workers whose statements it sends.
struct FleetClient {
    db: Db,
    random: fastrand::Rng,
    /// Indices of the hosts for whose monitors this client polls. No other client polls for them,
    /// if there are enough hosts.
    hosts: Vec<usize>,
    /// Number of polls so far.
    polls: usize,
    workers: Vec<BusyWorker>,
}

/// A busy worker, and the ends of the tasks that it has claimed.
struct BusyWorker {
    claimant: Claimant,
    ends: Vec<Completion>,
}

/// The result of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientsResult {
    /// Statements per second, or tasks per second for exchanges.
    pub(crate) rate: f64,
    /// CPU time of the server for one statement (for exchanges: one task), in microseconds.
    pub(crate) cpu_us: f64,
}

impl Clients {
    pub(crate) async fn connect(fleet: Arc<Fleet>, connections: usize) -> anyhow::Result<Clients> {
        let mut clients = Vec::new();
        for number in 0..connections {
            let mut random = fastrand::Rng::with_seed(number as u64);
            let worker =
                |_| BusyWorker { claimant: fleet.random_worker(&mut random), ends: Vec::new() };
            let workers = (0..WORKERS_PER_CLIENT).map(worker).collect();
            let mut hosts: Vec<usize> = (number..fleet.hosts()).step_by(connections).collect();
            if hosts.is_empty() {
                hosts.push(number % fleet.hosts());
            }
            clients.push(FleetClient {
                db: fleet.connect().await?,
                random,
                hosts,
                polls: 0,
                workers,
            });
        }
        Ok(Clients { fleet, clients })
    }

    /// Returns how many tasks all workers have claimed at once if each claim takes `batch` tasks.
    pub(crate) fn claimed_tasks(&self, batch: i32) -> i64 {
        (self.clients.len() * WORKERS_PER_CLIENT) as i64 * i64::from(batch)
    }

    /// Sends a workload over all connections for `time`, or until nothing is ready, and measures it.
    ///
    /// A few statements are sent before the measurement, so that plans are made and the workers have tasks to end.
    pub(crate) async fn measure(
        &mut self,
        workload: Workload,
        cpu: &Cpu,
        time: Duration,
    ) -> anyhow::Result<ClientsResult> {
        let warm_up =
            if matches!(workload, Workload::Exchange(_)) { WORKERS_PER_CLIENT } else { 1 };
        self.run_all(workload, Until::Statements(warm_up)).await?;
        let (started, stopwatch) = (Instant::now(), cpu.start());
        let done = self.run_all(workload, Until::Time(started + time)).await?;
        let (seconds, used) = (started.elapsed().as_secs_f64(), stopwatch.stop());
        if let Workload::Exchange(_) = workload {
            self.run_all(workload, Until::AllEnded).await?;
        }
        ensure!(done > 0, "nothing was done");
        Ok(ClientsResult { rate: done as f64 / seconds, cpu_us: used.seconds * 1e6 / done as f64 })
    }

    /// Runs all clients concurrently, and returns how much they did together.
    async fn run_all(&mut self, workload: Workload, until: Until) -> anyhow::Result<usize> {
        let mut running = JoinSet::new();
        for client in self.clients.drain(..) {
            running.spawn(client.run(Arc::clone(&self.fleet), workload, until));
        }
        let mut total = 0;
        while let Some(ended) = running.join_next().await {
            let (client, done) = ended??;
            self.clients.push(client);
            total += done;
        }
        Ok(total)
    }
}

/// When a client stops.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// After this number of statements.
    Statements(usize),
    /// At this time.
    Time(Instant),
    /// When each worker has recorded the ends of its tasks, without claiming new ones.
    AllEnded,
}

impl Until {
    /// Returns whether a client that has sent this number of statements sends another one.
    fn continues_after(self, statements: usize) -> bool {
        match self {
            Until::Statements(limit) => statements < limit,
            Until::Time(end) => Instant::now() < end,
            Until::AllEnded => statements < WORKERS_PER_CLIENT,
        }
    }
}

impl FleetClient {
    /// Sends the statements of a workload. Returns itself, and the number of tasks (exchanges) or statements (others).
    async fn run(
        mut self,
        fleet: Arc<Fleet>,
        workload: Workload,
        until: Until,
    ) -> anyhow::Result<(FleetClient, usize)> {
        let (mut ended_tasks, mut statements) = (0, 0);
        while until.continues_after(statements) {
            match workload {
                Workload::RegularPoll => self.poll(&fleet, true).await?,
                Workload::NotifiedPoll => self.poll(&fleet, false).await?,
                Workload::EmptyClaim => self.claim_nothing(&fleet).await?,
                Workload::Exchange(batch) => {
                    // Outside of the measurement each worker comes exactly once, so that all get or end their tasks.
                    let in_order = !matches!(until, Until::Time(_));
                    let worker =
                        if in_order { statements } else { self.random.usize(..WORKERS_PER_CLIENT) };
                    let claims = !matches!(until, Until::AllEnded);
                    ended_tasks += self.exchange(&fleet, worker, claims.then_some(batch)).await?;
                    if claims && self.workers[worker].ends.is_empty() {
                        break;
                    }
                }
            }
            statements += 1;
        }
        let done = if let Workload::Exchange(_) = workload { ended_tasks } else { statements };
        Ok((self, done))
    }

    async fn poll(&mut self, fleet: &Fleet, regular: bool) -> anyhow::Result<()> {
        let (host, round) = (self.polls % self.hosts.len(), self.polls / self.hosts.len());
        // In each round every fourth host renews its lease, so that always a quarter of the polls
        // are renewals.
        let renew = regular && (host + round).is_multiple_of(POLLS_PER_RENEWAL);
        self.polls += 1;
        let reply = poll(&self.db, &fleet.poll_request(self.hosts[host], renew, regular)).await?;
        ensure!(reply.renewals.is_some(), "a lease was taken away");
        Ok(())
    }

    async fn claim_nothing(&mut self, fleet: &Fleet) -> anyhow::Result<()> {
        let claimant = fleet.random_worker(&mut self.random);
        let claimed =
            claim(&self.db, &claimant, &fleet.batch_limits(1), &ScanRanges::default()).await?;
        ensure!(claimed.is_empty(), "a task was ready");
        Ok(())
    }

    /// Records the ends of a worker's tasks, and claims `batch` tasks; `None` to claim none.
    /// Returns how many ends were recorded.
    async fn exchange(
        &mut self,
        fleet: &Fleet,
        worker: usize,
        batch: Option<i32>,
    ) -> anyhow::Result<usize> {
        let BusyWorker { claimant, ends } = &mut self.workers[worker];
        let (limits, ranges) = (fleet.batch_limits(batch.unwrap_or(1)), ScanRanges::default());
        let claim = batch.map(|_| (&*claimant, &limits, &ranges));
        let next = Exchange { lines: &[], ends, earliest_start: None, claim };
        let (recorded, claimed) = exchange(&self.db, next).await?;
        *ends = claimed
            .into_iter()
            .map(|task| Completion {
                output: Payload::Json("1".to_owned()),
                started: Some(Instant::now()),
                revision: Some(REVISION.to_owned()),
                ..Completion::new(task.fence, Outcome::Done, None)
            })
            .collect();
        Ok(recorded.len())
    }
}
