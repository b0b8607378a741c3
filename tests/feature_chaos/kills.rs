//! The plan of a feature chaos test: which processes and backends are killed, and when. It follows from a seed alone.

use std::time::Duration;

use fastrand::Rng;

use crate::chaos::plan::{Fault, Step, Target};

/// The kills of one round, in a random order. A monitor is killed rarely, because a pause is not answered before the
/// lease of its host is renewed or taken away.
const ROUND: [Fault; 9] = [
    Fault::Kill(Target::Monitor),
    Fault::Kill(Target::Worker),
    Fault::Kill(Target::Worker),
    Fault::Kill(Target::Runner),
    Fault::Kill(Target::Runner),
    Fault::Kill(Target::Runner),
    Fault::TerminateBackends,
    Fault::TerminateBackends,
    Fault::TerminateBackends,
];

/// The pause between two kills, in milliseconds. A round is over within the time of `make test`.
const PAUSE_MS: std::ops::Range<u64> = 100..350;

/// Returns the kills that happen within `length` on this number of hosts, in the order of their times.
pub(crate) fn plan(seed: u64, hosts: usize, length: Duration) -> Vec<Step> {
    let mut random = Rng::with_seed(seed);
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        let mut round = ROUND;
        random.shuffle(&mut round);
        for fault in round {
            at += Duration::from_millis(random.u64(PAUSE_MS));
            if at >= length {
                return steps;
            }
            let (host, choice) = (random.usize(..hosts), random.usize(..1_000_000));
            steps.push(Step { at, fault, host, choice, length: Duration::ZERO });
        }
    }
}

#[test]
fn a_plan_follows_from_its_seed_and_its_first_round_has_every_kill() {
    let length = Duration::from_millis(PAUSE_MS.end * (ROUND.len() as u64 + 1));
    assert_eq!(plan(7, 2, length), plan(7, 2, length));
    assert_ne!(plan(7, 2, length), plan(8, 2, length));
    for seed in 0..20 {
        let steps = plan(seed, 2, length);
        assert!(ROUND.iter().all(|fault| steps.iter().any(|step| step.fault == *fault)), "{seed}");
    }
}
