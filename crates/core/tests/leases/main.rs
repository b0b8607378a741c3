//! Leases, simulated: monitors, workers and a database in a world of lost and late messages, stops,
//! wrong clocks and outages. The decisions are the product's own; all else is drawn from a seed.
//!
//! Never do two processes run one task, never is a lease taken away by which somebody lives, and
//! never is a run recorded that is not current. A machine that stands still for longer than a lease, its
//! clock with it, is the one exception of the first two: then nobody is robbed who has renewed, and
//! nobody lives on who was robbed. A world from which one safeguard is taken must show it.

mod cast;
mod database;
mod machine;
mod process;
mod world;

use database::Flaw;
use world::{Kind, World};

/// So many events in all, by seeds from 1 on; until the first fault.
fn simulate(events: u64, kind: Kind, flaw: Option<Flaw>) -> (u64, Option<String>) {
    let (mut done, mut runs) = (0, 0);
    for seed in 1.. {
        let mut world = World::new(seed, kind, flaw);
        let fault = world.run((events - done).min(40_000));
        done += world.steps;
        runs += world.runs;
        if let Some(fault) = fault {
            return (runs, Some(format!("seed {seed}: {fault}")));
        }
        if done >= events {
            break;
        }
    }
    (runs, None)
}

fn events() -> u64 {
    if std::env::var_os("REWORK_SOAK").is_some() { 5_000_000 } else { 500_000 }
}

#[test]
fn nothing_runs_twice_and_nobody_who_lives_is_robbed() {
    let (runs, fault) = simulate(events(), Kind::Usual, None);
    assert_eq!(fault, None);
    assert!(runs > events() / 1000, "the world is at work: {runs} runs");
    let (_, fault) = simulate(events() / 2, Kind::Freezes, None);
    assert_eq!(fault, None);
}

#[test]
fn without_one_of_the_safeguards_it_shows() {
    for (flaw, kind, words) in [
        (Flaw::Fence, Kind::Usual, "is not current"),
        (Flaw::Compare, Kind::Freezes, "lives by it"),
        (Flaw::SelfKill, Kind::Usual, "lives by it"),
        (Flaw::Guard, Kind::Freezes, "lives on"),
    ] {
        let (_, fault) = simulate(5_000_000, kind, Some(flaw));
        let fault = fault.unwrap_or_else(|| panic!("{flaw:?} goes unnoticed"));
        assert!(fault.contains(words), "{flaw:?}: {fault}");
    }
}
