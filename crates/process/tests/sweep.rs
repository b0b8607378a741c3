//! Tests of sweeping after a dead worker: its runners die with it, and the monitor kills the other processes. Each test
//! runs with every containment that this host allows.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::fs;
use std::path::Path;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use rework_process::{Child, Containment, Tree, sweep};
use support::{
    TIMEOUT, containments, has_zombies, helper, helper_context, pids, run_alone, runs, shell,
    wait_until,
};
use tempfile::tempdir;

/// Starts four processes: the runner, a child, an orphan with the process tag, and an orphan that removed the tag.
const SCRIPT: &str = r#"
    grep SigIgn /proc/self/status > $DIR/ignored
    write_pid='echo $$ >> '$DIR'/pids; exec sleep 1000'
    echo $$ > $DIR/pids
    sh -c "$write_pid" &
    (setsid sh -c "$write_pid" &)
    while [ $(wc -l < $DIR/pids) -lt 3 ]; do :; done
    (env -i PATH="$PATH" setsid sh -c "$write_pid" &)
    wait
"#;

/// Plays the worker, in a process of its own. Ends when it is killed.
#[test]
#[ignore = "other tests start it as a process of its own"]
fn a_worker_with_a_tree() {
    run_alone(async {
        let (dir, containment) = helper_context();
        let tree = Tree::new(&containment, &tag_of(&dir), 3).unwrap();
        let mut runner = tree.launch(shell(SCRIPT, &dir)).unwrap();
        runner.wait().await.unwrap();
    });
}

#[test]
fn a_runner_dies_with_its_worker_and_the_monitor_sweeps_the_other_processes() {
    run_alone(async {
        for containment in containments() {
            let dir = tempdir().unwrap();
            let (mut worker, pids) = start(&containment, dir.path()).await;
            worker.signal(Signal::SIGKILL).unwrap();
            worker.wait().await.unwrap();
            wait_until("the runner has died with it", || !runs(pids[0])).await;
            assert!(pids[1..].iter().all(|pid| runs(*pid)));
            let killed = sweep(&containment, &tag_of(dir.path()), TIMEOUT).await.unwrap();
            assert!(killed >= 3, "{killed} on {}", containment.name());
            assert!(!pids.iter().any(|pid| runs(*pid)), "on {}", containment.name());
            assert!(!has_zombies());
            assert_eq!(folders_left(&containment, &tag_of(dir.path())), 0);
            assert_eq!(sweep(&containment, &tag_of(dir.path()), TIMEOUT).await.unwrap(), 0);
        }
    });
}

#[test]
fn the_next_monitor_finds_tagged_processes_and_cgroup_members() {
    run_alone(async {
        for containment in containments() {
            set_child_subreaper(false).unwrap();
            let dir = tempdir().unwrap();
            let (mut worker, pids) = start(&containment, dir.path()).await;
            worker.signal(Signal::SIGKILL).unwrap();
            worker.wait().await.unwrap();
            let killed = sweep(&containment, &tag_of(dir.path()), TIMEOUT).await.unwrap();
            assert!(killed >= 2, "{killed}");
            assert!(!pids[..3].iter().any(|pid| runs(*pid)));
            // Without a cgroup, a process that removed its tag cannot be found if no subreaper adopted it. The test
            // kills it by its pid.
            assert_eq!(runs(pids[3]), containment.cgroup.is_none());
            if runs(pids[3]) {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pids[3]), Signal::SIGKILL)
                    .unwrap();
            }
        }
    });
}

#[test]
fn a_runner_does_not_ignore_the_signals_that_its_worker_ignores() {
    run_alone(async {
        let containment = containments().pop().unwrap();
        let dir = tempdir().unwrap();
        let (mut worker, _) = start(&containment, dir.path()).await;
        let ignored = |file: &str| {
            let text = fs::read_to_string(file).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
            // The signals above 31 are real-time signals, which are not reset.
            u64::from_str_radix(line.trim(), 16).unwrap() & 0x7fff_ffff
        };
        assert_ne!(ignored(&format!("/proc/{}/status", worker.pid())), 0);
        assert_eq!(ignored(dir.path().join("ignored").to_str().unwrap()), 0);
        worker.signal(Signal::SIGKILL).unwrap();
        worker.wait().await.unwrap();
        sweep(&containment, &tag_of(dir.path()), TIMEOUT).await.unwrap();
    });
}

#[test]
fn a_sweep_leaves_the_trees_of_other_workers_alone() {
    run_alone(async {
        for containment in containments() {
            let mut tree = Tree::new(&containment, "a-1", 5).unwrap();
            let mut runner = tree.launch(shell("exec sleep 1000", Path::new("/"))).unwrap();
            assert_eq!(sweep(&containment, "a", TIMEOUT).await.unwrap(), 0);
            assert_eq!(runner.try_wait().unwrap(), None);
            tree.kill(TIMEOUT).await.unwrap();
            runner.wait().await.unwrap();
        }
    });
}

async fn start(containment: &Containment, dir: &Path) -> (Child, Vec<i32>) {
    let worker = helper("a_worker_with_a_tree", dir, containment);
    let pids = pids(dir, "pids", 4).await;
    let comm = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    wait_until("all have executed", || pids[1..].iter().all(|pid| comm(*pid) == "sleep\n")).await;
    (worker, pids)
}

/// Derives a process tag from the name of the directory, which the test and its helper process both know.
fn tag_of(dir: &Path) -> String {
    let name = dir.file_name().unwrap().to_str().unwrap();
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn folders_left(containment: &Containment, process_tag: &str) -> usize {
    let (cgroup, memory) = containment.parts();
    let v1 = match memory {
        rework_wire::worker::MemoryMethod::CgroupV1(folder) => Some(folder),
        _ => None,
    };
    let entries = cgroup.into_iter().chain(v1).flat_map(|folder| fs::read_dir(folder).unwrap());
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(process_tag))
        .count()
}
