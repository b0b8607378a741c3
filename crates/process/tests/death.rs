//! All of a tree dies, whatever its processes do to escape, on each rung that this machine has.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rework_process::{Child, Containment, Exit, Tree};
use support::{
    PATIENCE, again_as_nobody, alone, has_zombies, is_root, mark, pids, rungs, runs, shell, until,
};
use tempfile::{TempDir, tempdir};

/// Every way out of a process group, and out of the environment.
const ESCAPEES: &str = r#"
    say='echo $$ >> '$DIR'/pids; exec sleep 1000'
    sh -c "$say" &
    setsid sh -c "$say" &
    nohup sh -c "$say" >/dev/null &
    (setsid sh -c "$say" &)
    (env -i PATH="$PATH" setsid sh -c "$say" &)
    (setsid sh -c "(env -i PATH='$PATH' setsid sh -c '$say' &)" &)
    echo $$ >> $DIR/pids
    wait
"#;

struct Running {
    tree: Tree,
    runner: Child,
    dir: TempDir,
}

fn start(containment: &Containment, script: &str) -> Running {
    start_marked(containment, &mark(), 1, script)
}

fn start_marked(containment: &Containment, mark: &str, number: u32, script: &str) -> Running {
    let dir = tempdir().unwrap();
    let tree = Tree::new(containment, mark, number).unwrap();
    let runner = tree.launch(shell(script, dir.path())).unwrap();
    Running { tree, runner, dir }
}

#[test]
fn no_escapee_survives_and_no_zombie_stays() {
    alone(async {
        for rung in rungs() {
            let mut running = start(&rung, ESCAPEES);
            let pids = pids(running.dir.path(), "pids", 7).await;
            until("the cleared ones have executed", || pids.iter().all(|pid| runs(*pid))).await;
            let began = Instant::now();
            running.tree.kill(PATIENCE).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
            let left: Vec<_> = pids.into_iter().filter(|pid| runs(*pid)).collect();
            assert_eq!(left, [0; 0], "on {}", rung.name());
            let exit = running.runner.wait().await.unwrap();
            assert_eq!(exit, Exit::Signal { signal: 9, core: false });
            assert!(!has_zombies());
        }
    });
}

#[test]
fn what_outlives_its_runner_dies_too() {
    alone(async {
        for rung in rungs() {
            let script =
                ESCAPEES.replace("wait", "while [ $(wc -l < $DIR/pids) -lt 7 ]; do :; done");
            let mut running = start(&rung, &script);
            assert_eq!(running.runner.wait().await.unwrap(), Exit::Code(0));
            let pids = pids(running.dir.path(), "pids", 7).await;
            running.tree.kill(PATIENCE).await.unwrap();
            let left: Vec<_> = pids.into_iter().filter(|pid| runs(*pid)).collect();
            assert_eq!(left, [0; 0], "on {}", rung.name());
            assert!(!has_zombies());
        }
    });
}

#[test]
fn a_tree_that_ignores_sigterm_dies_of_kill() {
    alone(async {
        for rung in rungs() {
            let script = "trap '' TERM; echo $$ > $DIR/pids; while :; do sleep 1000; done";
            let mut running = start(&rung, script);
            pids(running.dir.path(), "pids", 1).await;
            running.tree.signal(Signal::SIGTERM).unwrap();
            assert_eq!(running.runner.try_wait().unwrap(), None);
            running.tree.kill(PATIENCE).await.unwrap();
            let exit = running.runner.wait().await.unwrap();
            assert_eq!(exit, Exit::Signal { signal: 9, core: false });
        }
    });
}

#[test]
fn a_signal_reaches_the_whole_tree_where_there_is_a_cgroup_and_the_group_elsewhere() {
    alone(async {
        for rung in rungs() {
            let script = "trap 'exit 7' TERM; sleep 1000 & echo $! > $DIR/near; \
                          setsid sleep 1000 & echo $! > $DIR/far; wait";
            let mut running = start(&rung, script);
            let near = pids(running.dir.path(), "near", 1).await[0];
            let far = pids(running.dir.path(), "far", 1).await[0];
            let comm = || fs::read_to_string(format!("/proc/{far}/comm")).unwrap_or_default();
            until("the far one has executed", || comm() == "sleep\n").await;
            running.tree.signal(Signal::SIGTERM).unwrap();
            assert_eq!(running.runner.wait().await.unwrap(), Exit::Code(7));
            until("the near one is gone", || !runs(near)).await;
            if rung.cgroup.is_some() {
                until("the far one is gone", || !runs(far)).await;
            }
            running.tree.kill(PATIENCE).await.unwrap();
            assert!(!runs(far));
        }
    });
}

#[test]
fn others_are_killed_and_the_runner_is_kept() {
    alone(async {
        for rung in rungs() {
            let mut running = start(&rung, ESCAPEES.replace("wait", "exec sleep 1000").as_str());
            let pids = pids(running.dir.path(), "pids", 7).await;
            until("all are seen", || running.tree.others().len() == 6).await;
            assert_eq!(running.tree.kill_others(PATIENCE).await.unwrap(), 6);
            assert_eq!(running.tree.others(), [0; 0]);
            let left: Vec<_> = pids.into_iter().filter(|pid| runs(*pid)).collect();
            assert_eq!(left, [running.runner.pid()], "on {}", rung.name());
            assert_eq!(running.runner.try_wait().unwrap(), None);
            running.tree.kill(PATIENCE).await.unwrap();
        }
    });
}

#[test]
fn a_tree_does_not_see_the_orphans_of_another_by_their_mark() {
    alone(async {
        for rung in rungs() {
            let mark = mark();
            let mut idle = start_marked(&rung, &mark, 1, "exec sleep 1000");
            let marked: String = ESCAPEES
                .lines()
                .filter(|line| !line.contains("env -i"))
                .fold(String::new(), |all, line| all + line + "\n");
            let mut running = start_marked(&rung, &mark, 2, &marked);
            pids(running.dir.path(), "pids", 5).await;
            until("all are seen", || running.tree.others().len() == 4).await;
            assert_eq!(idle.tree.others(), [0; 0]);
            assert_eq!(idle.tree.kill_others(PATIENCE).await.unwrap(), 0);
            running.tree.kill(PATIENCE).await.unwrap();
            assert_eq!(idle.runner.try_wait().unwrap(), None);
            idle.tree.kill(PATIENCE).await.unwrap();
        }
    });
}

#[test]
fn a_runner_that_was_moved_out_of_its_cgroup_dies_with_its_children() {
    alone(async {
        for rung in rungs() {
            let Some(cgroup) = &rung.cgroup else { continue };
            let script = "setsid sleep 1000 & echo $! > $DIR/pids; wait";
            let script = format!("echo 0 > {}/cgroup.procs; {script}", cgroup.display());
            let mut running = start(&rung, &script);
            let pids = pids(running.dir.path(), "pids", 1).await;
            assert_eq!(running.tree.others(), [0; 0], "it did leave");
            running.tree.kill(PATIENCE).await.unwrap();
            assert!(!runs(pids[0]));
            assert!(!runs(running.runner.pid()));
        }
    });
}

#[test]
fn a_fork_bomb_dies() {
    alone(async {
        for rung in rungs() {
            let bound = Bound::new();
            let bomb = "use POSIX; open F, qq(>$ENV{DIR}/armed); print F qq($$\\n); close F; \
                        while (1) { my $p = fork; POSIX::setsid() if defined $p && $p == 0 }";
            let script = format!("{} env -i DIR=$DIR perl -e '{bomb}'", bound.prefix());
            let mut running = start(&rung, &script);
            pids(running.dir.path(), "armed", 1).await;
            until("it has gone off", || running.tree.others().len() > 20).await;
            running.tree.kill(PATIENCE).await.unwrap();
            running.runner.wait().await.unwrap();
            assert_eq!(running.tree.others(), [0; 0]);
            assert!(!has_zombies());
        }
    });
}

#[test]
fn a_cgroup_that_was_left_over_is_emptied_and_used_again() {
    alone(async {
        for rung in rungs().into_iter().filter(|rung| rung.cgroup.is_some()) {
            let mark = mark();
            let dir = tempdir().unwrap();
            let first = Tree::new(&rung, &mark, 1).unwrap();
            let mut runner = first.launch(shell("exec sleep 1000", dir.path())).unwrap();
            let mut second = Tree::new(&rung, &mark, 1).unwrap();
            let exit = runner.wait().await.unwrap();
            assert_eq!(exit, Exit::Signal { signal: 9, core: false });
            second.kill(PATIENCE).await.unwrap();
            let name = format!("rework-{mark}-1");
            assert!(!rung.cgroup.as_ref().unwrap().join(name).exists());
        }
    });
}

#[test]
fn all_of_this_holds_for_an_ordinary_user() {
    if !is_root() {
        return;
    }
    alone(async { again_as_nobody() });
}

/// At most 100 processes: by a cgroup for root, whom nothing else binds.
struct Bound {
    folder: Option<std::path::PathBuf>,
}

impl Bound {
    fn new() -> Bound {
        let folder = Path::new("/sys/fs/cgroup/pids").join(mark());
        let folder = Some(folder).filter(|_| is_root());
        if let Some(folder) = &folder {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("pids.max"), "100").unwrap();
        }
        Bound { folder }
    }

    fn prefix(&self) -> String {
        match &self.folder {
            Some(folder) => format!("echo 0 > {}/cgroup.procs; exec", folder.display()),
            None => "exec prlimit --nproc=100".to_owned(),
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            drop(fs::remove_dir(folder));
        }
    }
}
