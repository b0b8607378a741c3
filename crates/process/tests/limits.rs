//! Memory is limited and counted on each rung of the ladder that this machine has, and what a tree
//! uses is told.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use rework_process::{Containment, Exit, Sample, Tree, cpu_percent};
use support::{PATIENCE, alone, mark, program, rungs, shell, until};
use tempfile::tempdir;

const MIB: u64 = 1 << 20;

/// `tail` keeps what has no end of line.
const HUNGRY: &str = "head -c 300m /dev/zero | tail > /dev/null; echo $? > $DIR/ended; exit 5";

fn limiting() -> Vec<Containment> {
    rungs().into_iter().filter(|rung| rung.memory.name() != "sampled").collect()
}

#[test]
fn the_kernel_kills_what_passes_its_limit_and_the_kill_is_counted() {
    alone(async {
        for rung in limiting() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&rung, &mark(), 1).unwrap();
            tree.set_memory_limit(Some(64 * MIB)).unwrap();
            let mut runner = tree.launch(shell(HUNGRY, dir.path())).unwrap();
            let exit = runner.wait().await.unwrap();
            let ended = std::fs::read_to_string(dir.path().join("ended")).unwrap_or_default();
            let alone_killed = exit == Exit::Code(5) && ended == "137\n";
            let all_killed = exit == Exit::Signal { signal: 9, core: false };
            assert!(alone_killed || all_killed, "{exit:?} {ended}");
            assert!(tree.oom_kills() >= 1);
            let bytes = tree.exceeded().unwrap();
            assert!((60 * MIB..=70 * MIB).contains(&bytes), "{bytes}");
            tree.set_memory_limit(None).unwrap();
            assert_eq!(tree.exceeded(), None, "a new limit is a new beginning");
            tree.kill(PATIENCE).await.unwrap();
        }
    });
}

#[test]
fn a_limit_can_be_lifted_raised_and_lowered() {
    alone(async {
        for rung in rungs() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&rung, &mark(), 1).unwrap();
            for limit in [Some(64), Some(600), Some(500), None, Some(400)] {
                tree.set_memory_limit(limit.map(|mib| mib * MIB)).unwrap();
            }
            let mut runner = tree.launch(shell(HUNGRY, dir.path())).unwrap();
            assert_eq!(runner.wait().await.unwrap(), Exit::Code(5));
            assert_eq!((tree.oom_kills(), tree.exceeded()), (0, None));
            tree.kill(PATIENCE).await.unwrap();
        }
    });
}

#[test]
fn the_peak_counts_anew_after_a_reset() {
    alone(async {
        for rung in rungs() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&rung, &mark(), 1).unwrap();
            let script = "vec($x, 80 << 20, 8) = 1; open F, '>', \"$ENV{DIR}/grown\"; close F; \
                          select undef, undef, undef, 0.01 until -e \"$ENV{DIR}/shrink\"; undef $x; \
                          open F, '>', \"$ENV{DIR}/shrunk\"; close F; sleep 1000";
            let mut runner = tree.launch(program("perl", &["-e", script], dir.path())).unwrap();
            until("it has grown", || dir.path().join("grown").exists()).await;
            let grown = tree.usage().memory_bytes;
            assert!(grown > 80 * MIB, "{grown}");
            assert!(tree.memory_peak() > 80 * MIB);
            std::fs::write(dir.path().join("shrink"), "").unwrap();
            until("it has shrunk", || dir.path().join("shrunk").exists()).await;
            tree.memory_peak_reset();
            tree.usage();
            assert!(tree.memory_peak() < 60 * MIB, "{}", tree.memory_peak());
            tree.kill(PATIENCE).await.unwrap();
            runner.wait().await.unwrap();
        }
    });
}

#[test]
fn sampled_memory_that_processes_share_counts_once_for_the_limit() {
    alone(async {
        let rung = rungs().pop().unwrap();
        assert_eq!(rung.memory.name(), "sampled");
        let dir = tempdir().unwrap();
        let mut tree = Tree::new(&rung, &mark(), 1).unwrap();
        let script = "vec($x, 80 << 20, 8) = 1; fork; fork; sleep 1000";
        let mut runner = tree.launch(program("perl", &["-e", script], dir.path())).unwrap();
        until("all have forked", || tree.usage().memory_bytes > 320 * MIB).await;
        tree.set_memory_limit(Some(160 * MIB)).unwrap();
        assert_eq!(tree.exceeded(), None);
        tree.set_memory_limit(Some(70 * MIB)).unwrap();
        let bytes = tree.exceeded().unwrap();
        assert!((80 * MIB..120 * MIB).contains(&bytes), "{bytes}");
        tree.kill(PATIENCE).await.unwrap();
        runner.wait().await.unwrap();
    });
}

#[test]
fn cpu_time_is_that_of_the_whole_tree() {
    alone(async {
        for rung in rungs() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&rung, &mark(), 1).unwrap();
            let script = "setsid sh -c 'while :; do :; done' & wait";
            let mut runner = tree.launch(shell(script, dir.path())).unwrap();
            until("it has spun", || tree.usage().cpu_ms >= 200).await;
            let earlier = Sample::of(runner.pid());
            assert_eq!(earlier.processes, 2);
            assert!(earlier.usage.cpu_ms >= 150 && earlier.usage.memory_bytes > MIB / 2);
            let at_least = earlier.usage.cpu_ms + 200;
            until("it has spun on", || Sample::of(runner.pid()).usage.cpu_ms >= at_least).await;
            let percent = cpu_percent(&earlier, &Sample::of(runner.pid()));
            assert!((5.0..120.0).contains(&percent), "{percent}");
            tree.kill(PATIENCE).await.unwrap();
            runner.wait().await.unwrap();
            assert_eq!(Sample::of(runner.pid()).processes, 0);
        }
    });
}
