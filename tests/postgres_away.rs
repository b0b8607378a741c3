//! Postgres crashes, restarts and stays away: what runs goes on, nothing of it is lost, and nothing
//! runs twice.

use std::time::{Duration, Instant};

use rework_core::task::state::State;
use serde_json::json;

use crate::support::cluster::{Cluster, Stop};
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture};
use crate::support::{scale, wait};

fn installation(cluster: &Cluster) -> Installation {
    let place = Installation::on(Database::on(cluster));
    place.register([fixture()]);
    place
}

/// A task that counts aloud through whatever happens, and what it has counted at the end.
struct Counting {
    place: Installation,
    task: i64,
}

impl Counting {
    fn on(cluster: &Cluster) -> Counting {
        let place = installation(cluster);
        let task = place.schedule("counts", json!(place.folder().join("gate")));
        Counting { place, task }
    }

    fn ends_whole(&self) {
        std::fs::write(self.place.folder().join("gate"), "").unwrap();
        self.place.counted(self.task);
    }
}

#[test]
fn a_task_goes_on_through_a_crash_of_postgres() {
    let mut cluster = Cluster::new();
    let counting = Counting::on(&cluster);
    let _monitor = counting.place.monitor(&["--maxworkers", "1"]);
    counting.place.writes(counting.task, "20");
    for crash in 0..scale::count(2, 5) {
        cluster.stop(Stop::Immediate);
        cluster.start();
        let number = (100 * (crash + 1)).to_string();
        counting.place.writes(counting.task, &number);
    }
    counting.place.goes_on(counting.task);
    counting.ends_whole();
    counting.place.done(counting.place.schedule("double", 1));
}

#[test]
fn a_task_goes_on_while_postgres_is_away_for_longer_than_a_lease() {
    let mut cluster = Cluster::new();
    let counting = Counting::on(&cluster);
    // Three leases: in full, a minute at the defaults.
    let lease = if scale::soak() { "20s" } else { "2s" };
    let away = Duration::from_secs(if scale::soak() { 60 } else { 6 });
    let mut monitor = counting.place.monitor(&["--maxworkers", "2", "--lease", lease]);
    counting.place.writes(counting.task, "20");
    cluster.stop(Stop::Fast);
    wait::stays("the monitor waits", away, || monitor.has_ended().is_none());
    cluster.start();
    counting.ends_whole();
    counting.place.done(counting.place.schedule("double", 1));
    assert!(!monitor.said().contains("killed"), "{}", monitor.said());
}

#[test]
fn so_does_one_whose_monitor_is_gone() {
    let mut cluster = Cluster::new();
    let counting = Counting::on(&cluster);
    let mut monitor = counting.place.monitor(&["--maxworkers", "1", "--lease", "2s"]);
    counting.place.writes(counting.task, "20");
    cluster.stop(Stop::Fast);
    monitor.kill();
    wait::stays("Postgres is away", Duration::from_secs(6), || true);
    cluster.start();
    counting.ends_whole();
}

#[test]
fn tasks_end_once_through_many_crashes() {
    let mut cluster = Cluster::new();
    let place = installation(&cluster);
    let notes = place.folder().join("notes");
    let _monitor = place.monitor(&["--maxworkers", "4"]);
    let mut tasks = Vec::new();
    for _ in 0..scale::count(4, 20) {
        // The server crashes in the middle of them.
        for _ in 0..50 {
            let input = json!({"path": notes, "number": tasks.len()});
            tasks.push(place.session().one("select rework.schedule('notes', $1)", &[&input]));
        }
        cluster.stop(Stop::Immediate);
        cluster.start();
        let back = Instant::now();
        let probe = place.schedule("double", 1);
        place.done(probe);
        assert!(back.elapsed() < Duration::from_secs(5), "claiming goes on: {:?}", back.elapsed());
    }
    for task in &tasks {
        let ended = place.ended(*task);
        assert_eq!((ended.state, ended.attempt), (State::Done, 1), "{}", ended.reason());
    }
    let written = std::fs::read_to_string(&notes).unwrap();
    let mut numbers: Vec<usize> = written.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..tasks.len()).collect::<Vec<_>>(), "each ran once");
    let lost = "select count(*) from rework.run where outcome <> 'unbegun'";
    assert_eq!(place.session().one::<i64>(lost, &[]), 0, "no run was lost");
}
