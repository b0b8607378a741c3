//! A simulation of leases: monitors, workers and a database in a world of lost and late messages, stopped processes,
//! wrong clocks and outages. The decisions are those of `core/src/lease`; everything else is random, from a seed.
//!
//! The simulation checks three promises:
//!
//! - Two processes never run the same task.
//! - A lease is never taken away while a process that depends on it is alive.
//! - The end of a run is never recorded when the run is not current.
//!
//! There is one exception to the first two. If a machine and its clock stand still for longer than
//! a lease, the lease may be taken away while its holder is alive. Even then two things hold. A
//! lease that was renewed after the observer read it is not taken away. And a process whose lease
//! was taken away ends.
//!
//! A failover to a standby that has not received the last transactions breaks none of them, as long as it loses no
//! registration of a monitor.
//!
//! Each safeguard of the product can be left out. Then the simulation must find a violation.

mod database;
mod event;
mod machine;
mod monitor;
mod process;
mod request;
mod worker;
mod world;

use request::MissingSafeguard;
use world::{Scenario, World};

/// The number of events in one world. The next world then starts with another seed.
const EVENTS_PER_WORLD: u64 = 40_000;

/// Simulates worlds with the seeds 1, 2, … until this number of events has happened in all, or a promise is broken.
/// Returns the number of runs, and the violation with its seed.
fn simulate(
    events: u64,
    scenario: Scenario,
    missing: Option<MissingSafeguard>,
) -> (u64, Option<String>) {
    let (mut done, mut runs) = (0, 0);
    for seed in 1.. {
        let mut world = World::new(seed, scenario, missing);
        let violation = world.run((events - done).min(EVENTS_PER_WORLD));
        done += world.steps;
        runs += world.runs;
        if let Some(violation) = violation {
            return (runs, Some(format!("seed {seed}: {violation}")));
        }
        if done >= events {
            break;
        }
    }
    (runs, None)
}

/// The number of events to simulate. The environment variable `REWORK_SOAK` makes the test ten times as long.
fn events() -> u64 {
    if std::env::var_os("REWORK_SOAK").is_some() { 5_000_000 } else { 500_000 }
}

#[test]
fn no_task_runs_twice_and_no_live_process_loses_its_lease() {
    let (runs, violation) = simulate(events(), Scenario::Usual, None);
    assert_eq!(violation, None);
    assert!(runs > events() / 1000, "the workers must run tasks: {runs} runs");
    let (_, violation) = simulate(events() / 2, Scenario::Freezes, None);
    assert_eq!(violation, None);
}

#[test]
fn no_task_runs_twice_after_a_failover_that_has_lost_claims() {
    let (runs, violation) = simulate(events(), Scenario::Failovers, None);
    assert_eq!(violation, None);
    assert!(runs > events() / 4000, "tasks must be claimed again: {runs} runs");
}

#[test]
fn the_simulation_notices_each_missing_safeguard() {
    for (missing, scenario, text) in [
        (MissingSafeguard::Fence, Scenario::Usual, "is not current"),
        (MissingSafeguard::CompareAndSet, Scenario::Freezes, "lives by it"),
        (MissingSafeguard::SelfKill, Scenario::Usual, "lives by it"),
        (MissingSafeguard::Guard, Scenario::Freezes, "lives on"),
        (MissingSafeguard::RecoveryCheck, Scenario::Failovers, "two live runs"),
        (MissingSafeguard::WentBack, Scenario::Failovers, "lease went back"),
    ] {
        let (_, violation) = simulate(5_000_000, scenario, Some(missing));
        let violation = violation.unwrap_or_else(|| panic!("without {missing:?} nothing is found"));
        assert!(violation.contains(text), "{missing:?}: {violation}");
    }
}
