//! The plan of a chaos test: which faults happen, when, where, and for how long. It follows from a seed alone, so that
//! the faults of a failed test can be repeated.

use std::time::Duration;

use fastrand::Rng;

/// The seed of `make test`. In its plan every fault happens. A monitor is stopped, a host is away, and a network is
/// stalled for longer than a lease of 2 s.
pub(crate) const USUAL_SEED: u64 = 14_235;

/// How long faults happen in `make test`.
pub(crate) const USUAL_LENGTH: Duration = Duration::from_secs(10);

/// The number of hosts. Each has a monitor.
pub(crate) const HOSTS: usize = 3;

/// The number of hosts that reach Postgres through a proxy: the first ones. The last host is connected directly, so it
/// can prove that Postgres is down for everyone. The other hosts cannot.
pub(crate) const PROXIED_HOSTS: usize = 2;

/// The pause between the starts of two faults, in milliseconds. Many faults last longer, so they overlap.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 50..=330;

/// The shortest time that a fault lasts, unless it is over at once. With a lease of 2 s, a monitor polls every 100 ms.
/// So a fault of the network always meets some statements.
const MIN_LENGTH: Duration = Duration::from_millis(200);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL to one process.
    Kill(Target),
    /// SIGSTOP to one process, and SIGCONT at the end of the fault.
    Stop(Target),
    /// SIGKILL to every process of a host. Its monitor is not started again before the end of the fault.
    LoseHost,
    /// SIGTERM to a monitor: it drains, exits, and is started again.
    Drain,
    /// SIGHUP to a monitor: it executes its program again.
    Reload,
    /// Postgres is shut down cleanly, and started at the end of the fault.
    ShutDownPostgres,
    /// Postgres exits as in a crash, and is started at the end of the fault.
    CrashPostgres,
    /// Postgres ends a third of its connections.
    TerminateBackends,
    /// A transaction locks rows until the end of the fault.
    Lock(Rows),
    /// Postgres has no free connection until the end of the fault.
    FillConnections,
    /// The network between one host and Postgres fails until the end of the fault.
    Network(NetworkFault),
    /// Some unfinished tasks are aborted.
    Abort,
}

/// The kind of process that a signal is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Monitor,
    Worker,
    Runner,
}

/// The rows that a transaction locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    Tasks,
    Workers,
    Leases,
}

/// A fault of the network between a host and Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// Nothing arrives, and connections stay open.
    Stall,
    /// All connections are reset.
    Cut,
    /// Each connection is reset after some bytes.
    CutLater,
    /// All connections are reset, and nobody listens for new ones.
    Refuse,
    /// Everything arrives late.
    Delay,
    /// Some claims take effect, but their replies are lost.
    LoseClaims,
    /// Some ends of runs are recorded, but the replies are lost.
    LoseEnds,
}

/// A fault of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The start of the fault, counted from the start of the test.
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
    /// The number of the host. If the fault is not possible there, it happens to the next host. It has no meaning for a
    /// fault of Postgres.
    pub(crate) host: usize,
    /// Selects one of the processes, connections or tasks that exist when the fault starts.
    pub(crate) choice: usize,
    /// How long the fault lasts. Zero if it is over at once.
    pub(crate) length: Duration,
}

/// The faults of one round, and how often each happens in it. A round has every kind of fault.
const ROUND: [(Fault, usize); 24] = [
    (Fault::Kill(Target::Monitor), 3),
    (Fault::Kill(Target::Worker), 4),
    (Fault::Kill(Target::Runner), 5),
    (Fault::Stop(Target::Monitor), 2),
    (Fault::Stop(Target::Worker), 2),
    (Fault::Stop(Target::Runner), 2),
    (Fault::LoseHost, 1),
    (Fault::Drain, 1),
    (Fault::Reload, 1),
    (Fault::ShutDownPostgres, 1),
    (Fault::CrashPostgres, 1),
    (Fault::TerminateBackends, 3),
    (Fault::Lock(Rows::Tasks), 2),
    (Fault::Lock(Rows::Workers), 1),
    (Fault::Lock(Rows::Leases), 1),
    (Fault::FillConnections, 1),
    (Fault::Network(NetworkFault::Stall), 1),
    (Fault::Network(NetworkFault::Cut), 1),
    (Fault::Network(NetworkFault::CutLater), 1),
    (Fault::Network(NetworkFault::Refuse), 1),
    (Fault::Network(NetworkFault::Delay), 1),
    (Fault::Network(NetworkFault::LoseClaims), 1),
    (Fault::Network(NetworkFault::LoseEnds), 1),
    (Fault::Abort, 4),
];

impl Fault {
    /// Returns the name of the fault, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Kill(Target::Monitor) => "kill a monitor",
            Fault::Kill(Target::Worker) => "kill a worker",
            Fault::Kill(Target::Runner) => "kill a runner",
            Fault::Stop(Target::Monitor) => "stop a monitor",
            Fault::Stop(Target::Worker) => "stop a worker",
            Fault::Stop(Target::Runner) => "stop a runner",
            Fault::LoseHost => "lose a host",
            Fault::Drain => "drain a monitor",
            Fault::Reload => "reload a monitor",
            Fault::ShutDownPostgres => "shut down Postgres",
            Fault::CrashPostgres => "crash Postgres",
            Fault::TerminateBackends => "terminate backends",
            Fault::Lock(Rows::Tasks) => "lock tasks",
            Fault::Lock(Rows::Workers) => "lock workers",
            Fault::Lock(Rows::Leases) => "lock leases",
            Fault::FillConnections => "use up the connections",
            Fault::Network(NetworkFault::Stall) => "stall the network",
            Fault::Network(NetworkFault::Cut) => "cut the network",
            Fault::Network(NetworkFault::CutLater) => "cut connections after some bytes",
            Fault::Network(NetworkFault::Refuse) => "refuse connections",
            Fault::Network(NetworkFault::Delay) => "delay the network",
            Fault::Network(NetworkFault::LoseClaims) => "lose replies to claims",
            Fault::Network(NetworkFault::LoseEnds) => "lose replies to ends",
            Fault::Abort => "abort tasks",
        }
    }

    /// Returns the kind of process that a host must have, so that the fault can happen there. `None` for a fault of
    /// Postgres.
    pub(crate) fn target(self) -> Option<Target> {
        match self {
            Fault::Kill(target) | Fault::Stop(target) => Some(target),
            Fault::LoseHost | Fault::Drain | Fault::Reload | Fault::Network(_) => {
                Some(Target::Monitor)
            }
            Fault::ShutDownPostgres
            | Fault::CrashPostgres
            | Fault::TerminateBackends
            | Fault::Lock(_)
            | Fault::FillConnections
            | Fault::Abort => None,
        }
    }

    /// Returns how long the fault lasts, for a random share from 0 to 1.
    fn length(self, share: f64) -> Duration {
        let longest = self.max_length();
        // By the square, because most real faults are short.
        longest.mul_f64(share.powi(2)).max(MIN_LENGTH.min(longest))
    }

    /// Returns the longest time that the fault lasts. With a lease of 2 s, the longer ones end leases.
    fn max_length(self) -> Duration {
        Duration::from_millis(match self {
            Fault::LoseHost => 4_000,
            Fault::Stop(_) | Fault::Network(_) => 3_000,
            Fault::ShutDownPostgres
            | Fault::CrashPostgres
            | Fault::Lock(_)
            | Fault::FillConnections => 2_500,
            Fault::Kill(_)
            | Fault::Drain
            | Fault::Reload
            | Fault::TerminateBackends
            | Fault::Abort => 0,
        })
    }

    /// Returns the number of hosts that the fault can happen to: the first ones.
    pub(crate) fn hosts(self) -> usize {
        if matches!(self, Fault::Network(_)) { PROXIED_HOSTS } else { HOSTS }
    }
}

/// Returns the faults that start within `length`, in the order of their starts.
pub(crate) fn plan(seed: u64, length: Duration) -> Vec<Step> {
    let mut random = Rng::with_seed(seed);
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        let mut round = one_round();
        random.shuffle(&mut round);
        for fault in round {
            at += Duration::from_millis(random.u64(PAUSE_MS));
            if at >= length {
                return steps;
            }
            steps.push(Step {
                at,
                fault,
                host: random.usize(..fault.hosts()),
                choice: random.usize(..1_000_000),
                length: fault.length(random.f64()),
            });
        }
    }
}

fn one_round() -> Vec<Fault> {
    ROUND.iter().flat_map(|(fault, count)| std::iter::repeat_n(*fault, *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length within which every plan finishes its first round.
    fn length_of_round() -> Duration {
        Duration::from_millis(PAUSE_MS.end() * (one_round().len() as u64 + 1))
    }

    #[test]
    fn a_plan_follows_from_its_seed() {
        let length = Duration::from_secs(60);
        assert_eq!(plan(7, length), plan(7, length));
        assert_ne!(plan(7, length), plan(8, length));
    }

    #[test]
    fn a_longer_plan_begins_with_the_shorter_one_of_the_same_seed() {
        let short = plan(7, Duration::from_secs(10));
        let long = plan(7, Duration::from_secs(60));
        assert!(short.len() > 10, "{} faults", short.len());
        assert_eq!(long[..short.len()], short);
    }

    #[test]
    fn the_first_round_has_every_fault() {
        for seed in 0..20 {
            let steps = plan(seed, length_of_round());
            for (fault, _) in ROUND {
                let is_planned = steps.iter().any(|step| step.fault == fault);
                assert!(is_planned, "seed {seed}: {}", fault.name());
            }
        }
    }

    #[test]
    fn in_the_usual_plan_every_fault_happens_and_some_outlast_a_lease() {
        let steps = plan(USUAL_SEED, USUAL_LENGTH);
        let longest =
            |fault| steps.iter().filter(|step| step.fault == fault).map(|step| step.length).max();
        for (fault, _) in ROUND {
            assert!(longest(fault).is_some(), "{}", fault.name());
        }
        let stall = Fault::Network(NetworkFault::Stall);
        for fault in [Fault::Stop(Target::Monitor), Fault::LoseHost, stall] {
            assert!(longest(fault) > Some(Duration::from_secs(2)), "{}", fault.name());
        }
    }

    #[test]
    fn every_fault_happens_to_a_host_that_can_have_it_and_ends() {
        for step in plan(1, Duration::from_secs(600)) {
            assert!(step.host < HOSTS, "{step:?}");
            if matches!(step.fault, Fault::Network(_)) {
                assert!(step.host < PROXIED_HOSTS, "{step:?}");
            }
            let longest = step.fault.max_length();
            assert!((MIN_LENGTH.min(longest)..=longest).contains(&step.length), "{step:?}");
        }
    }
}
