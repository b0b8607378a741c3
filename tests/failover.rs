//! Failover from a primary to its standby, both real servers, while tasks run. With synchronous replication no
//! acknowledged task is lost, and running tasks continue. With asynchronous replication the last transactions are lost,
//! with claims of running tasks among them; then these runs are killed before the tasks run again.
//!
//! The tasks write to a file what they do, so that the test needs no database to find overlapping runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::cluster::{Cluster, ShutdownMode};
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};
use crate::support::monitor::Monitor;
use crate::support::session::Session;
use crate::support::wait;

/// The length of the leases, and how long the primary is down before the standby is promoted: longer than a lease.
const LEASE: &str = "3s";
const OUTAGE: Duration = Duration::from_secs(4);

/// The number of tasks that run during the failover, on two hosts with three workers each.
const RUNNING: u32 = 4;

/// The number of tasks that are scheduled just before the failover.
const ACKNOWLEDGED: usize = 20;

/// One execution of a task, as the file shows it: its first and its last line, in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Execution {
    first: u128,
    last: u128,
}

/// A primary with a standby, two hosts that know both servers, and tasks that write to a file.
struct Failover {
    // Dropped first, while one of the servers runs.
    _monitors: [Monitor; 2],
    setup: Installation,
    primary: Cluster,
    standby: Cluster,
    file: PathBuf,
}

impl Failover {
    fn new(is_synchronous: bool) -> Failover {
        let primary = Cluster::new();
        drop(Database::on_cluster(&primary));
        let standby = primary.standby();
        let session = Session::open(&primary.dsn("postgres"));
        if is_synchronous {
            session.execute("alter system set synchronous_standby_names = '*'");
            session.execute("select pg_reload_conf()");
        }
        let expected = if is_synchronous { "sync" } else { "async" };
        wait::until("the standby replicates", String::new, || {
            let sql = "select count(*) from pg_stat_replication
                        where state = 'streaming' and sync_state = $1";
            session.query_value::<i64>(sql, &[&expected]) == 1
        });
        let setup = Installation::with_database(Database::on_servers(&[&primary, &standby]));
        let second_host = format!("{}-b", setup.host());
        setup.register([fixture_program()]);
        setup
            .rework(["register-operations", "--host", &second_host])
            .args([fixture_program()])
            .run_ok();
        let options = ["--domain", "default", "--maxworkers", "3", "--lease", LEASE];
        let first = setup.start_monitor_with_args(&options);
        let second = setup.spawn_monitor_on(&second_host, &options);
        setup.wait_until("both monitors are registered", || {
            setup.session().query_value("select count(*) = 2 from rework.monitor", &[])
        });
        let file = setup.folder().join("beats");
        Failover { _monitors: [first, second], setup, primary, standby, file }
    }

    /// Schedules the tasks that will run during the failover. They are not ready yet. Waits until the standby has them.
    fn schedule_running(&self) {
        for number in 0..RUNNING {
            let input = json!({"path": self.file, "number": number, "milliseconds": 600_000});
            let sql = "select rework.schedule('beats', $1::json,
                                              delayed_until => now() + interval '1 hour')";
            self.setup.session().query_value::<i64>(sql, &[&input]);
        }
        let position: String =
            self.setup.session().query_value("select pg_current_wal_lsn()::text", &[]);
        let standby = Session::open(&self.standby.dsn("jobs"));
        self.setup.wait_until("the standby has the tasks", || {
            let sql = "select pg_last_wal_replay_lsn() >= ($1::text)::pg_lsn";
            standby.query_value(sql, &[&position])
        });
    }

    /// Stops the replication, so that everything that is committed from now on is lost.
    fn stop_replication(&self) {
        let standby = Session::open(&self.standby.dsn("postgres"));
        standby.execute("alter system set primary_conninfo = ''");
        standby.execute("select pg_reload_conf()");
        self.setup.wait_until("the standby does not replicate any more", || {
            standby.query_value("select count(*) = 0 from pg_stat_wal_receiver", &[])
        });
    }

    /// Makes the tasks of `schedule_running` ready.
    fn make_ready(&self) {
        let sql = "update rework.task set delayed_until = now() where state = 'delayed'";
        self.setup.session().execute(sql);
    }

    /// Schedules tasks, and returns those whose ids were printed.
    fn schedule_acknowledged(&self) -> Vec<i64> {
        (0..ACKNOWLEDGED).map(|number| self.setup.schedule("double", number)).collect()
    }

    /// Kills the primary, waits for longer than a lease, and promotes the standby. Returns when that is done.
    fn fail_over(&mut self) -> Instant {
        self.primary.stop(ShutdownMode::Immediate);
        wait::let_time_pass(OUTAGE);
        self.standby.promote();
        Instant::now()
    }

    /// Returns the executions of each task so far, in the order of their first lines.
    fn executions(&self) -> BTreeMap<u32, Vec<Execution>> {
        let mut by_id = BTreeMap::<(u32, String), Execution>::new();
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        for (number, id, time) in text.lines().filter_map(beat) {
            let new = Execution { first: time, last: time };
            let execution = by_id.entry((number, id)).or_insert(new);
            execution.last = execution.last.max(time);
        }
        let mut by_number = BTreeMap::<u32, Vec<Execution>>::new();
        for ((number, _), execution) in by_id {
            by_number.entry(number).or_default().push(execution);
        }
        for executions in by_number.values_mut() {
            executions.sort_by_key(|execution| execution.first);
        }
        by_number
    }

    /// Returns how many tasks had two executions at the same time.
    fn overlaps(&self) -> usize {
        let executions = self.executions();
        let overlap =
            |all: &&Vec<Execution>| all.windows(2).any(|pair| pair[0].last >= pair[1].first);
        executions.values().filter(overlap).count()
    }

    /// Waits until each running task has this number of executions, and the last one has written a line after `time`.
    fn wait_for_executions(&self, count: usize, time: u128) {
        self.setup.wait_until(&format!("each task has {count} executions"), || {
            let executions = self.executions();
            let is_there = |all: &Vec<Execution>| {
                all.len() >= count && all.last().is_some_and(|execution| execution.last > time)
            };
            executions.len() == RUNNING as usize && executions.values().all(is_there)
        });
    }

    /// Waits until a new task is done, and returns the time since `promoted`.
    fn time_until_work(&self, promoted: Instant) -> Duration {
        self.setup.wait_until_done(self.setup.schedule("double", 1));
        promoted.elapsed()
    }

    /// Returns how many of these tasks the new primary does not have.
    fn lost(&self, tasks: &[i64]) -> i64 {
        let sql =
            "select cardinality($1::bigint[]) - count(*) from rework.task where id = any ($1)";
        self.setup.session().query_value(sql, &[&tasks])
    }

    /// Prints the figures of a failover.
    fn report(&self, replication: &str, lost: i64, time_until_work: Duration) {
        eprintln!(
            "failover, {replication}: {lost} of {ACKNOWLEDGED} acknowledged tasks lost; {} of {RUNNING} running \
             tasks overlapped; work went on {:.1} s after the promotion",
            self.overlaps(),
            time_until_work.as_secs_f64()
        );
    }
}

/// Reads a line of the file: the number of the task, the id of the execution, and the time. `None` if the line is not
/// complete yet.
fn beat(line: &str) -> Option<(u32, String, u128)> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [number, id, time] = fields[..] else { return None };
    Some((number.parse().ok()?, id.to_owned(), time.parse().ok()?))
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()
}

#[test]
fn a_synchronous_failover_loses_nothing_and_running_tasks_continue() {
    let mut failover = Failover::new(true);
    failover.schedule_running();
    failover.make_ready();
    failover.wait_for_executions(1, 0);
    let acknowledged = failover.schedule_acknowledged();
    let promoted = failover.fail_over();
    let time_until_work = failover.time_until_work(promoted);
    failover.wait_for_executions(1, now());
    let lost = failover.lost(&acknowledged);
    failover.report("synchronous", lost, time_until_work);
    assert_eq!(lost, 0);
    for (number, executions) in failover.executions() {
        assert_eq!(executions.len(), 1, "task {number} was interrupted: {executions:?}");
    }
    for task in acknowledged {
        assert_eq!(failover.setup.wait_until_done(task).run, 1);
    }
    let runs = "select max(run) from rework.task where state = 'running'";
    assert_eq!(failover.setup.session().query_value::<i64>(runs, &[]), 1);
}

#[test]
fn after_an_asynchronous_failover_runs_whose_claims_are_lost_end_before_their_tasks_run_again() {
    let mut failover = Failover::new(false);
    failover.schedule_running();
    failover.stop_replication();
    failover.make_ready();
    failover.wait_for_executions(1, 0);
    let acknowledged = failover.schedule_acknowledged();
    let promoted = failover.fail_over();
    // On the new primary, nobody has claimed these tasks.
    failover.make_ready();
    let time_until_work = failover.time_until_work(promoted);
    failover.wait_for_executions(2, now());
    let lost = failover.lost(&acknowledged);
    failover.report("asynchronous", lost, time_until_work);
    assert_eq!(lost, i64::try_from(ACKNOWLEDGED).unwrap(), "the replication was stopped before");
    assert_eq!(failover.overlaps(), 0, "{:?}", failover.executions());
}
