//! Tests of detecting the containment methods of this host: the trials give the right answer and leave nothing behind.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::fs;

use rework_process::{Choice, Containment, ContainmentChoice, MemoryChoice, Tree};
use rework_wire::worker::MemoryMethod;
use support::{containments, is_root, process_tag, rerun_as_nobody, run_alone};

const PROCESSES_REFUSED: &str =
    "this host does not allow cgroups for processes (option --containment)";
const MEMORY_REFUSED: &str = "this host does not allow cgroups for memory limits (option --memory)";

#[test]
fn the_processes_method_always_works_and_samples_memory_by_default() {
    run_alone(async {
        let containment = ContainmentChoice::Processes;
        let found = Containment::detect(Choice { containment, ..Choice::default() }).unwrap();
        assert_eq!(found, Containment { cgroup: None, memory: MemoryMethod::Sampled });
        assert_eq!((found.name(), found.memory.name()), ("processes", "sampled"));
        let choice = Choice { containment, memory: MemoryChoice::Cgroup };
        match Containment::detect(choice) {
            Ok(found) => assert_eq!(found.memory.name(), "cgroup1"),
            Err(error) => assert_eq!(error.to_string(), MEMORY_REFUSED),
        }
    });
}

#[test]
fn choosing_a_cgroup_gives_the_same_as_auto_or_an_error() {
    run_alone(async {
        let best = Containment::detect(Choice::default()).unwrap();
        let choice = Choice { containment: ContainmentChoice::Cgroup, ..Choice::default() };
        match Containment::detect(choice) {
            Ok(found) => assert_eq!(found, best),
            Err(error) => {
                assert_eq!(best.name(), "processes");
                assert_eq!(error.to_string(), PROCESSES_REFUSED);
            }
        }
    });
}

#[test]
fn detection_leaves_no_cgroup_behind() {
    run_alone(async {
        for containment in containments() {
            let v1 = match &containment.memory {
                MemoryMethod::CgroupV1(folder) => Some(folder.into()),
                _ => None,
            };
            for folder in containment.cgroup.into_iter().chain(v1) {
                let probe = folder.join(format!("rework-probe-{}", std::process::id()));
                assert!(!fs::exists(probe).unwrap());
            }
        }
    });
}

#[test]
fn a_process_tag_that_is_not_a_directory_name_is_refused() {
    run_alone(async {
        for process_tag in ["", "a/b", "..", "a.b", "a b"] {
            for containment in containments() {
                assert!(Tree::new(&containment, process_tag, 1).is_err(), "{process_tag}");
            }
        }
        drop(Tree::new(&containments()[0], &process_tag(), 1).unwrap());
    });
}

#[test]
fn detection_works_for_an_ordinary_user() {
    if is_root() {
        run_alone(async { rerun_as_nobody() });
    }
}
