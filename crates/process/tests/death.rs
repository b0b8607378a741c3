//! Tests of killing process trees: all members die, whatever they do to escape. Each test runs with every containment
//! that this host allows.
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
    TIMEOUT, containments, has_zombies, is_root, pids, process_tag, rerun_as_nobody, run_alone,
    runs, shell, wait_until,
};
use tempfile::{TempDir, tempdir};

/// Starts processes that leave their process group, their parent or their environment, in every possible manner.
const ESCAPING_PROCESSES: &str = r#"
    write_pid='echo $$ >> '$DIR'/pids; exec sleep 1000'
    sh -c "$write_pid" &
    setsid sh -c "$write_pid" &
    nohup sh -c "$write_pid" >/dev/null &
    (setsid sh -c "$write_pid" &)
    (env -i PATH="$PATH" setsid sh -c "$write_pid" &)
    (setsid sh -c "(env -i PATH='$PATH' setsid sh -c '$write_pid' &)" &)
    echo $$ >> $DIR/pids
    wait
"#;

struct RunningTree {
    tree: Tree,
    runner: Child,
    dir: TempDir,
}

fn start(containment: &Containment, script: &str) -> RunningTree {
    start_tagged(containment, &process_tag(), 1, script)
}

fn start_tagged(
    containment: &Containment,
    process_tag: &str,
    number: u32,
    script: &str,
) -> RunningTree {
    let dir = tempdir().unwrap();
    let tree = Tree::new(containment, process_tag, number).unwrap();
    let runner = tree.launch(shell(script, dir.path())).unwrap();
    RunningTree { tree, runner, dir }
}

#[test]
fn kill_leaves_no_escaped_process_and_no_zombie() {
    run_alone(async {
        for containment in containments() {
            let mut running = start(&containment, ESCAPING_PROCESSES);
            let pids = pids(running.dir.path(), "pids", 7).await;
            wait_until("all processes run", || pids.iter().all(|pid| runs(*pid))).await;
            let started_at = Instant::now();
            running.tree.kill(TIMEOUT).await.unwrap();
            assert!(started_at.elapsed() < Duration::from_secs(1), "{:?}", started_at.elapsed());
            let left: Vec<_> = pids.into_iter().filter(|pid| runs(*pid)).collect();
            assert_eq!(left, [0; 0], "on {}", containment.name());
            let exit = running.runner.wait().await.unwrap();
            assert_eq!(exit, Exit::Signal { signal: 9, core: false });
            assert!(!has_zombies());
        }
    });
}

#[test]
fn processes_that_survive_their_runner_are_killed() {
    run_alone(async {
        for containment in containments() {
            let script = ESCAPING_PROCESSES
                .replace("wait", "while [ $(wc -l < $DIR/pids) -lt 7 ]; do :; done");
            let mut running = start(&containment, &script);
            assert_eq!(running.runner.wait().await.unwrap(), Exit::Code(0));
            let pids = pids(running.dir.path(), "pids", 7).await;
            running.tree.kill(TIMEOUT).await.unwrap();
            let left: Vec<_> = pids.into_iter().filter(|pid| runs(*pid)).collect();
            assert_eq!(left, [0; 0], "on {}", containment.name());
            assert!(!has_zombies());
        }
    });
}

#[test]
fn a_tree_that_ignores_sigterm_is_killed() {
    run_alone(async {
        for containment in containments() {
            let script = "trap '' TERM; echo $$ > $DIR/pids; while :; do sleep 1000; done";
            let mut running = start(&containment, script);
            pids(running.dir.path(), "pids", 1).await;
            running.tree.signal(Signal::SIGTERM).unwrap();
            assert_eq!(running.runner.try_wait().unwrap(), None);
            running.tree.kill(TIMEOUT).await.unwrap();
            let exit = running.runner.wait().await.unwrap();
            assert_eq!(exit, Exit::Signal { signal: 9, core: false });
        }
    });
}

#[test]
fn a_signal_reaches_all_members_with_a_cgroup_and_the_process_group_without_one() {
    run_alone(async {
        for containment in containments() {
            let script = "trap 'exit 7' TERM; sleep 1000 & echo $! > $DIR/near; \
                          setsid sleep 1000 & echo $! > $DIR/far; wait";
            let mut running = start(&containment, script);
            let near = pids(running.dir.path(), "near", 1).await[0];
            let far = pids(running.dir.path(), "far", 1).await[0];
            let comm = || fs::read_to_string(format!("/proc/{far}/comm")).unwrap_or_default();
            wait_until("the process in another group has executed", || comm() == "sleep\n").await;
            running.tree.signal(Signal::SIGTERM).unwrap();
            assert_eq!(running.runner.wait().await.unwrap(), Exit::Code(7));
            wait_until("the process in the same group has ended", || !runs(near)).await;
            if containment.cgroup.is_some() {
                wait_until("the process in another group has ended", || !runs(far)).await;
            }
            running.tree.kill(TIMEOUT).await.unwrap();
            assert!(!runs(far));
        }
    });
}

#[test]
fn kill_others_keeps_the_runner() {
    run_alone(async {
        for containment in containments() {
            let mut running =
                start(&containment, ESCAPING_PROCESSES.replace("wait", "exec sleep 1000").as_str());
            let pids = pids(running.dir.path(), "pids", 7).await;
            wait_until("all are found", || running.tree.others().len() == 6).await;
            assert_eq!(running.tree.kill_others(TIMEOUT).await.unwrap(), 6);
            assert_eq!(running.tree.others(), [0; 0]);
            let left: Vec<_> = pids.into_iter().filter(|pid| runs(*pid)).collect();
            assert_eq!(left, [running.runner.pid()], "on {}", containment.name());
            assert_eq!(running.runner.try_wait().unwrap(), None);
            running.tree.kill(TIMEOUT).await.unwrap();
        }
    });
}

#[test]
fn tagged_orphans_count_only_for_their_own_tree() {
    run_alone(async {
        for containment in containments() {
            let process_tag = process_tag();
            let mut idle = start_tagged(&containment, &process_tag, 1, "exec sleep 1000");
            let tagged: String = ESCAPING_PROCESSES
                .lines()
                .filter(|line| !line.contains("env -i"))
                .fold(String::new(), |all, line| all + line + "\n");
            let mut running = start_tagged(&containment, &process_tag, 2, &tagged);
            pids(running.dir.path(), "pids", 5).await;
            wait_until("all are found", || running.tree.others().len() == 4).await;
            assert_eq!(idle.tree.others(), [0; 0]);
            assert_eq!(idle.tree.kill_others(TIMEOUT).await.unwrap(), 0);
            running.tree.kill(TIMEOUT).await.unwrap();
            assert_eq!(idle.runner.try_wait().unwrap(), None);
            idle.tree.kill(TIMEOUT).await.unwrap();
        }
    });
}

#[test]
fn a_runner_that_left_its_cgroup_is_killed_with_its_children() {
    run_alone(async {
        for containment in containments() {
            let Some(cgroup) = &containment.cgroup else { continue };
            let script = "setsid sleep 1000 & echo $! > $DIR/pids; wait";
            let script = format!("echo 0 > {}/cgroup.procs; {script}", cgroup.display());
            let mut running = start(&containment, &script);
            let pids = pids(running.dir.path(), "pids", 1).await;
            assert_eq!(running.tree.others(), [0; 0], "the runner left its cgroup");
            running.tree.kill(TIMEOUT).await.unwrap();
            assert!(!runs(pids[0]));
            assert!(!runs(running.runner.pid()));
        }
    });
}

#[test]
fn a_fork_bomb_is_killed() {
    run_alone(async {
        for containment in containments() {
            let process_limit = ProcessLimit::new();
            let bomb = "use POSIX; open F, qq(>$ENV{DIR}/armed); print F qq($$\\n); close F; \
                        while (1) { my $p = fork; POSIX::setsid() if defined $p && $p == 0 }";
            let script = format!("{} env -i DIR=$DIR perl -e '{bomb}'", process_limit.prefix());
            let mut running = start(&containment, &script);
            pids(running.dir.path(), "armed", 1).await;
            wait_until("the fork bomb runs", || running.tree.others().len() > 20).await;
            running.tree.kill(TIMEOUT).await.unwrap();
            running.runner.wait().await.unwrap();
            assert_eq!(running.tree.others(), [0; 0]);
            assert!(!has_zombies());
        }
    });
}

#[test]
fn a_leftover_cgroup_is_emptied_and_reused() {
    run_alone(async {
        for containment in
            containments().into_iter().filter(|containment| containment.cgroup.is_some())
        {
            let process_tag = process_tag();
            let dir = tempdir().unwrap();
            let first = Tree::new(&containment, &process_tag, 1).unwrap();
            let mut runner = first.launch(shell("exec sleep 1000", dir.path())).unwrap();
            let mut second = Tree::new(&containment, &process_tag, 1).unwrap();
            let exit = runner.wait().await.unwrap();
            assert_eq!(exit, Exit::Signal { signal: 9, core: false });
            second.kill(TIMEOUT).await.unwrap();
            let name = format!("rework-{process_tag}-1");
            assert!(!containment.cgroup.as_ref().unwrap().join(name).exists());
        }
    });
}

#[test]
fn all_trees_die_for_an_ordinary_user_too() {
    if !is_root() {
        return;
    }
    run_alone(async { rerun_as_nobody() });
}

/// A limit of 100 processes. For root it needs a cgroup, because `prlimit` does not limit root.
struct ProcessLimit {
    folder: Option<std::path::PathBuf>,
}

impl ProcessLimit {
    fn new() -> ProcessLimit {
        let folder = Path::new("/sys/fs/cgroup/pids").join(process_tag());
        let folder = Some(folder).filter(|_| is_root());
        if let Some(folder) = &folder {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("pids.max"), "100").unwrap();
        }
        ProcessLimit { folder }
    }

    fn prefix(&self) -> String {
        match &self.folder {
            Some(folder) => format!("echo 0 > {}/cgroup.procs; exec", folder.display()),
            None => "exec prlimit --nproc=100".to_owned(),
        }
    }
}

impl Drop for ProcessLimit {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            drop(fs::remove_dir(folder));
        }
    }
}
