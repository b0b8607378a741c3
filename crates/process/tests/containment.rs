//! What this machine lets us stand on is found by trying, and nothing of the trial stays.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::fs;

use rework_process::{Containment, ContainmentWish, MemoryWish, Tree, Wish};
use rework_wire::worker::MemoryRung;
use support::{again_as_nobody, alone, is_root, mark, rungs};

const MEMORY_REFUSED: &str = "memory cannot be limited by a cgroup here";

#[test]
fn processes_can_always_be_had_and_limit_no_memory_unless_that_is_wished() {
    alone(async {
        let containment = ContainmentWish::Processes;
        let found = Containment::detect(Wish { containment, ..Wish::default() }).unwrap();
        assert_eq!(found, Containment { cgroup: None, memory: MemoryRung::Sampled });
        assert_eq!((found.name(), found.memory.name()), ("processes", "sampled"));
        let wish = Wish { containment, memory: MemoryWish::Cgroup };
        match Containment::detect(wish) {
            Ok(found) => assert_eq!(found.memory.name(), "cgroup1"),
            Err(error) => assert_eq!(error.to_string(), MEMORY_REFUSED),
        }
    });
}

#[test]
fn the_best_that_can_be_had_is_what_a_wish_for_it_gets() {
    alone(async {
        let best = Containment::detect(Wish::default()).unwrap();
        let wish = Wish { containment: ContainmentWish::Cgroup, ..Wish::default() };
        match Containment::detect(wish) {
            Ok(found) => assert_eq!(found, best),
            Err(error) => {
                assert_eq!(best.name(), "processes");
                assert_eq!(error.to_string(), "processes cannot be held by a cgroup here");
            }
        }
    });
}

#[test]
fn nothing_of_the_trial_stays() {
    alone(async {
        for rung in rungs() {
            let v1 = match &rung.memory {
                MemoryRung::CgroupV1(place) => Some(place.into()),
                _ => None,
            };
            for place in rung.cgroup.into_iter().chain(v1) {
                let probe = place.join(format!("rework-probe-{}", std::process::id()));
                assert!(!fs::exists(probe).unwrap());
            }
        }
    });
}

#[test]
fn a_mark_that_is_no_name_of_a_folder_is_refused() {
    alone(async {
        for mark in ["", "a/b", "..", "a.b", "a b"] {
            for rung in rungs() {
                assert!(Tree::new(&rung, mark, 1).is_err(), "{mark}");
            }
        }
        drop(Tree::new(&rungs()[0], &mark(), 1).unwrap());
    });
}

#[test]
fn an_ordinary_user_gets_what_it_may() {
    if is_root() {
        alone(async { again_as_nobody() });
    }
}
