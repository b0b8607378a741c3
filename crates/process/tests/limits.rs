//! Tests of memory limits and of measuring trees. Each test runs with every containment that this host allows.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use rework_process::{Containment, Exit, Sample, Tree, cpu_percent};
use support::{TIMEOUT, containments, process_tag, program, run_alone, shell, wait_until};
use tempfile::tempdir;

const MIB: u64 = 1 << 20;

/// Lets `tail` allocate 300 MiB: it keeps the last line in memory, and the input has no line end.
const ALLOCATE_300_MIB: &str =
    "head -c 300m /dev/zero | tail > /dev/null; echo $? > $DIR/ended; exit 5";

fn memory_limiting_containments() -> Vec<Containment> {
    containments()
        .into_iter()
        .filter(|containment| containment.memory.name() != "sampled")
        .collect()
}

#[test]
fn the_kernel_kills_a_tree_above_its_limit_and_the_kill_is_counted() {
    run_alone(async {
        for containment in memory_limiting_containments() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&containment, &process_tag(), 1).unwrap();
            tree.set_memory_limit(Some(64 * MIB)).unwrap();
            let mut runner = tree.launch(shell(ALLOCATE_300_MIB, dir.path())).unwrap();
            let exit = runner.wait().await.unwrap();
            let ended = std::fs::read_to_string(dir.path().join("ended")).unwrap_or_default();
            let one_killed = exit == Exit::Code(5) && ended == "137\n";
            let all_killed = exit == Exit::Signal { signal: 9, core: false };
            assert!(one_killed || all_killed, "{exit:?} {ended}");
            assert!(tree.oom_kills() >= 1);
            let bytes = tree.memory_exceeded().unwrap();
            assert!((60 * MIB..=70 * MIB).contains(&bytes), "{bytes}");
            tree.set_memory_limit(None).unwrap();
            assert_eq!(tree.memory_exceeded(), None, "a new limit starts a new count");
            tree.kill(TIMEOUT).await.unwrap();
        }
    });
}

#[test]
fn a_limit_can_be_removed_raised_and_lowered() {
    run_alone(async {
        for containment in containments() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&containment, &process_tag(), 1).unwrap();
            for limit in [Some(64), Some(600), Some(500), None, Some(400)] {
                tree.set_memory_limit(limit.map(|mib| mib * MIB)).unwrap();
            }
            let mut runner = tree.launch(shell(ALLOCATE_300_MIB, dir.path())).unwrap();
            assert_eq!(runner.wait().await.unwrap(), Exit::Code(5));
            assert_eq!((tree.oom_kills(), tree.memory_exceeded()), (0, None));
            tree.kill(TIMEOUT).await.unwrap();
        }
    });
}

#[test]
fn the_peak_starts_again_after_a_reset() {
    run_alone(async {
        for containment in containments() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&containment, &process_tag(), 1).unwrap();
            let script = "vec($x, 80 << 20, 8) = 1; open F, '>', \"$ENV{DIR}/grown\"; close F; \
                          select undef, undef, undef, 0.01 until -e \"$ENV{DIR}/shrink\"; undef $x; \
                          open F, '>', \"$ENV{DIR}/shrunk\"; close F; sleep 1000";
            let mut runner = tree.launch(program("perl", &["-e", script], dir.path())).unwrap();
            wait_until("the process has grown", || dir.path().join("grown").exists()).await;
            let grown = tree.usage().memory_bytes;
            assert!(grown > 80 * MIB, "{grown}");
            assert!(tree.memory_peak() > 80 * MIB);
            std::fs::write(dir.path().join("shrink"), "").unwrap();
            wait_until("the process has shrunk", || dir.path().join("shrunk").exists()).await;
            tree.reset_memory_peak();
            tree.usage();
            assert!(tree.memory_peak() < 60 * MIB, "{}", tree.memory_peak());
            tree.kill(TIMEOUT).await.unwrap();
            runner.wait().await.unwrap();
        }
    });
}

#[test]
fn sampled_memory_that_processes_share_counts_once_for_the_limit() {
    run_alone(async {
        let containment = containments().pop().unwrap();
        assert_eq!(containment.memory.name(), "sampled");
        let dir = tempdir().unwrap();
        let mut tree = Tree::new(&containment, &process_tag(), 1).unwrap();
        let script = "vec($x, 80 << 20, 8) = 1; fork; fork; sleep 1000";
        let mut runner = tree.launch(program("perl", &["-e", script], dir.path())).unwrap();
        wait_until("all have forked", || tree.usage().memory_bytes > 320 * MIB).await;
        tree.set_memory_limit(Some(160 * MIB)).unwrap();
        assert_eq!(tree.memory_exceeded(), None);
        tree.set_memory_limit(Some(70 * MIB)).unwrap();
        let bytes = tree.memory_exceeded().unwrap();
        assert!((80 * MIB..120 * MIB).contains(&bytes), "{bytes}");
        tree.kill(TIMEOUT).await.unwrap();
        runner.wait().await.unwrap();
    });
}

#[test]
fn cpu_time_is_summed_over_the_whole_tree() {
    run_alone(async {
        for containment in containments() {
            let dir = tempdir().unwrap();
            let mut tree = Tree::new(&containment, &process_tag(), 1).unwrap();
            let script = "setsid sh -c 'while :; do :; done' & wait";
            let mut runner = tree.launch(shell(script, dir.path())).unwrap();
            wait_until("200 ms of CPU time are used", || tree.usage().cpu_ms >= 200).await;
            let earlier = Sample::of(runner.pid());
            assert_eq!(earlier.processes, 2);
            assert!(earlier.usage.cpu_ms >= 150 && earlier.usage.memory_bytes > MIB / 2);
            let at_least = earlier.usage.cpu_ms + 200;
            wait_until("another 200 ms are used", || {
                Sample::of(runner.pid()).usage.cpu_ms >= at_least
            })
            .await;
            let percent = cpu_percent(&earlier, &Sample::of(runner.pid()));
            assert!((5.0..120.0).contains(&percent), "{percent}");
            tree.kill(TIMEOUT).await.unwrap();
            runner.wait().await.unwrap();
            assert_eq!(Sample::of(runner.pid()).processes, 0);
        }
    });
}
