//! Crashes, restarts and long outages of Postgres: running tasks continue, no log line or result is lost, and no task
//! runs twice.

use std::time::{Duration, Instant};

use rework_core::task::state::State;
use serde_json::json;

use crate::support::cluster::{Cluster, ShutdownMode};
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};
use crate::support::{scale, wait};

fn installation(cluster: &Cluster) -> Installation {
    let setup = Installation::with_database(Database::on_cluster(cluster));
    setup.register([fixture_program()]);
    setup
}

/// A task that logs increasing numbers until its gate file exists, to check that no line is lost during an outage.
struct CountingTask {
    setup: Installation,
    task: i64,
}

impl CountingTask {
    fn schedule(cluster: &Cluster) -> CountingTask {
        let setup = installation(cluster);
        let task = setup.schedule("counts_until_file", json!(setup.folder().join("gate")));
        CountingTask { setup, task }
    }

    /// Opens the gate, waits until the task is done, and asserts that it ran once and that its log is complete.
    fn finish(&self) {
        std::fs::write(self.setup.folder().join("gate"), "").unwrap();
        self.setup.wait_until_count_complete(self.task);
    }
}

#[test]
fn a_task_continues_while_postgres_crashes_and_restarts() {
    let mut cluster = Cluster::new();
    let counting = CountingTask::schedule(&cluster);
    let _monitor = counting.setup.start_monitor(&["--maxworkers", "1"]);
    counting.setup.wait_until_logged(counting.task, "20");
    for crash in 0..scale::count(2, 5) {
        cluster.stop(ShutdownMode::Immediate);
        cluster.start();
        let number = (100 * (crash + 1)).to_string();
        counting.setup.wait_until_logged(counting.task, &number);
    }
    counting.setup.assert_keeps_running(counting.task);
    counting.finish();
    counting.setup.wait_until_done(counting.setup.schedule("double", 1));
}

#[test]
fn a_task_continues_while_postgres_is_down_for_longer_than_a_lease() {
    let mut cluster = Cluster::new();
    let counting = CountingTask::schedule(&cluster);
    // Three times the lease. In `make soak` the lease has its default.
    let lease = if scale::is_soak() { "20s" } else { "2s" };
    let outage = Duration::from_secs(if scale::is_soak() { 60 } else { 6 });
    let mut monitor = counting.setup.start_monitor(&["--maxworkers", "2", "--lease", lease]);
    counting.setup.wait_until_logged(counting.task, "20");
    cluster.stop(ShutdownMode::Fast);
    wait::assert_stays_true("the monitor waits for Postgres", outage, || {
        monitor.exit_status().is_none()
    });
    cluster.start();
    counting.finish();
    counting.setup.wait_until_done(counting.setup.schedule("double", 1));
    assert!(!monitor.output().contains("killed"), "{}", monitor.output());
}

#[test]
fn a_task_continues_while_postgres_is_down_and_its_monitor_is_killed() {
    let mut cluster = Cluster::new();
    let counting = CountingTask::schedule(&cluster);
    let mut monitor = counting.setup.start_monitor(&["--maxworkers", "1", "--lease", "2s"]);
    counting.setup.wait_until_logged(counting.task, "20");
    cluster.stop(ShutdownMode::Fast);
    monitor.kill();
    // Three times the lease.
    wait::let_time_pass(Duration::from_secs(6));
    cluster.start();
    counting.finish();
}

#[test]
fn each_task_runs_once_while_postgres_crashes_repeatedly() {
    let mut cluster = Cluster::new();
    let setup = installation(&cluster);
    let number_file = setup.folder().join("numbers");
    let _monitor = setup.start_monitor(&["--maxworkers", "4"]);
    let mut tasks = Vec::new();
    for _ in 0..scale::count(4, 20) {
        // The server crashes while these tasks are claimed and run.
        for _ in 0..50 {
            let input = json!({"path": number_file, "number": tasks.len()});
            tasks.push(
                setup
                    .session()
                    .query_value("select rework.schedule('appends_number', $1::json)", &[&input]),
            );
        }
        cluster.stop(ShutdownMode::Immediate);
        cluster.start();
        let restarted = Instant::now();
        let probe = setup.schedule("double", 1);
        setup.wait_until_done(probe);
        assert!(
            restarted.elapsed() < Duration::from_secs(5),
            "tasks are claimed again: {:?}",
            restarted.elapsed()
        );
    }
    for task in &tasks {
        let ended = setup.wait_until_ended(*task);
        assert_eq!((ended.state, ended.attempt), (State::Done, 1), "{}", ended.reason());
    }
    let written = std::fs::read_to_string(&number_file).unwrap();
    let mut numbers: Vec<usize> = written.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..tasks.len()).collect::<Vec<_>>(), "each ran once");
    let count_lost = "select count(*) from rework.run where outcome <> 'not_started'";
    assert_eq!(setup.session().query_value::<i64>(count_lost, &[]), 0, "no run was lost");
}
