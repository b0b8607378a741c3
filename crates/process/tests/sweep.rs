//! What a dead worker leaves behind: its runners die with it, and the rest is swept by whoever is
//! left, on each rung that this machine has.
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
use support::{PATIENCE, alone, has_zombies, helper, pids, rungs, runs, shell, told, until};
use tempfile::tempdir;

/// The runner, a child, an orphan that carries the mark, and one that threw it off.
const SCRIPT: &str = r#"
    grep SigIgn /proc/self/status > $DIR/ignored
    say='echo $$ >> '$DIR'/pids; exec sleep 1000'
    echo $$ > $DIR/pids
    sh -c "$say" &
    (setsid sh -c "$say" &)
    while [ $(wc -l < $DIR/pids) -lt 3 ]; do :; done
    (env -i PATH="$PATH" setsid sh -c "$say" &)
    wait
"#;

/// The worker: it lives until it is killed.
#[test]
#[ignore = "other tests start it as a process of its own"]
fn a_worker_with_a_tree() {
    alone(async {
        let (dir, rung) = told();
        let tree = Tree::new(&rung, &mark_of(&dir), 3).unwrap();
        let mut runner = tree.launch(shell(SCRIPT, &dir)).unwrap();
        runner.wait().await.unwrap();
    });
}

#[test]
fn a_runner_dies_with_its_worker_and_the_monitor_sweeps_the_rest() {
    alone(async {
        for rung in rungs() {
            let dir = tempdir().unwrap();
            let (mut worker, pids) = start(&rung, dir.path()).await;
            worker.signal(Signal::SIGKILL).unwrap();
            worker.wait().await.unwrap();
            until("the runner has died of it", || !runs(pids[0])).await;
            assert!(pids[1..].iter().all(|pid| runs(*pid)));
            let killed = sweep(&rung, &mark_of(dir.path()), PATIENCE).await.unwrap();
            assert!(killed >= 3, "{killed} on {}", rung.name());
            assert!(!pids.iter().any(|pid| runs(*pid)), "on {}", rung.name());
            assert!(!has_zombies());
            assert_eq!(folders_left(&rung, &mark_of(dir.path())), 0);
            assert_eq!(sweep(&rung, &mark_of(dir.path()), PATIENCE).await.unwrap(), 0);
        }
    });
}

#[test]
fn the_next_monitor_finds_what_carries_the_mark_or_is_in_a_cgroup() {
    alone(async {
        for rung in rungs() {
            set_child_subreaper(false).unwrap();
            let dir = tempdir().unwrap();
            let (mut worker, pids) = start(&rung, dir.path()).await;
            worker.signal(Signal::SIGKILL).unwrap();
            worker.wait().await.unwrap();
            let killed = sweep(&rung, &mark_of(dir.path()), PATIENCE).await.unwrap();
            assert!(killed >= 2, "{killed}");
            assert!(!pids[..3].iter().any(|pid| runs(*pid)));
            // Without a cgroup, one who threw off the mark when nobody was left to adopt it is lost
            // to us. This test knows its pid.
            assert_eq!(runs(pids[3]), rung.cgroup.is_none());
            if runs(pids[3]) {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pids[3]), Signal::SIGKILL)
                    .unwrap();
            }
        }
    });
}

#[test]
fn a_runner_heeds_signals_that_its_worker_ignores() {
    alone(async {
        let rung = rungs().pop().unwrap();
        let dir = tempdir().unwrap();
        let (mut worker, _) = start(&rung, dir.path()).await;
        let ignored = |of: &str| {
            let text = fs::read_to_string(of).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
            // Those above 31 are not for programs to use.
            u64::from_str_radix(line.trim(), 16).unwrap() & 0x7fff_ffff
        };
        assert_ne!(ignored(&format!("/proc/{}/status", worker.pid())), 0);
        assert_eq!(ignored(dir.path().join("ignored").to_str().unwrap()), 0);
        worker.signal(Signal::SIGKILL).unwrap();
        worker.wait().await.unwrap();
        sweep(&rung, &mark_of(dir.path()), PATIENCE).await.unwrap();
    });
}

#[test]
fn a_sweep_spares_another_workers_tree() {
    alone(async {
        for rung in rungs() {
            let mut tree = Tree::new(&rung, "a-1", 5).unwrap();
            let mut runner = tree.launch(shell("exec sleep 1000", Path::new("/"))).unwrap();
            assert_eq!(sweep(&rung, "a", PATIENCE).await.unwrap(), 0);
            assert_eq!(runner.try_wait().unwrap(), None);
            tree.kill(PATIENCE).await.unwrap();
            runner.wait().await.unwrap();
        }
    });
}

async fn start(rung: &Containment, dir: &Path) -> (Child, Vec<i32>) {
    let worker = helper("a_worker_with_a_tree", dir, rung);
    let pids = pids(dir, "pids", 4).await;
    let comm = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    until("all have executed", || pids[1..].iter().all(|pid| comm(*pid) == "sleep\n")).await;
    (worker, pids)
}

/// A mark that the test and its helper both know.
fn mark_of(dir: &Path) -> String {
    let name = dir.file_name().unwrap().to_str().unwrap();
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn folders_left(rung: &Containment, mark: &str) -> usize {
    let (cgroup, memory) = rung.parts();
    let v1 = match memory {
        rework_wire::worker::MemoryRung::CgroupV1(place) => Some(place),
        _ => None,
    };
    let entries = cgroup.into_iter().chain(v1).flat_map(|place| fs::read_dir(place).unwrap());
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().contains(mark)).count()
}
