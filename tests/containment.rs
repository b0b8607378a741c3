//! What an abort ends: all of a task, on every rung that this machine has, within a second after
//! the grace, and whatever it does to escape. `aborted` is said when nothing of it is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rework_core::task::state::State;

use crate::support::containment_modes::{Rung, Standing, runners};
use crate::support::scale::count;
use crate::support::{Installation, installation, processes, wait};

/// From the end of the grace to `aborted`, in 99 of 100.
const PROMPTLY: Duration = Duration::from_secs(1);

/// An operation that is to be aborted.
struct Victim {
    operation: &'static str,
    /// The line that it writes when all of it is there.
    ready: &'static str,
    /// The processes that it says are its own.
    pids: usize,
    /// What it makes us wait for.
    grace: Duration,
}

const VICTIMS: [Victim; 6] = [
    Victim::new("polite", "ready", 1, 0),
    Victim::new("deaf", "ready", 1, 200),
    Victim::new("scattered", "ready", 6, 200),
    Victim::new("listens", "listening", 0, 0),
    // It never asked whether it is to end, and so gets no grace.
    Victim::new("forever", "for ever", 0, 0),
    Victim::new("heedless", "half", 1, 200),
];

impl Victim {
    const fn new(operation: &'static str, ready: &'static str, pids: usize, grace: u64) -> Victim {
        Victim { operation, ready, pids, grace: Duration::from_millis(grace) }
    }
}

#[test]
fn aborts_by_cgroup() {
    aborts_on(Rung::Cgroup);
}

#[test]
fn aborts_by_looking_for_processes() {
    aborts_on(Rung::Processes);
}

#[test]
fn aborts_by_an_ordinary_user() {
    aborts_on(Rung::Nobody);
}

fn aborts_on(rung: Rung) {
    if !Rung::available().contains(&rung) {
        eprintln!("this machine, or this user, has no {rung:?}");
        return;
    }
    let Standing { mut monitor, place } =
        rung.stand(&["--maxworkers", "1", "--shutdown-grace", "0s"]);
    let times = count(24, 204);
    let mut beyond: Vec<Duration> =
        VICTIMS.iter().cycle().take(times).map(|victim| abort(&place, victim)).collect();
    beyond.sort();
    let at = |percent: usize| beyond[(beyond.len() * percent).div_ceil(100) - 1];
    let figures = format!("{rung:?}: {times} aborts, p50 {:.0?}, p99 {:.0?}", at(50), at(99));
    eprintln!("{figures}, most {:.0?}", at(100));
    assert!(at(99) <= PROMPTLY, "{figures}");

    monitor.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(monitor.exit_code(), Some(0));
    place.assert_no_process_left();
}

/// Aborts a task of it: how long it took, beyond the grace, until `aborted` could be read.
fn abort(place: &Installation, victim: &Victim) -> Duration {
    let task = place.schedule_many(victim.operation, &[serde_json::Value::Null])[0];
    let pids = standing(place, task, victim);
    let asked = Instant::now();
    place.session().one::<String>("select rework.abort($1, 'in a test')", &[&task]);
    let ended = place.ended(task);
    let took = asked.elapsed();
    // What was asked for the state is asked for the processes at once.
    let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
    assert!(left.is_empty(), "{}: {left:?} live\n{}", victim.operation, place.scene());
    assert!(runners(place).is_empty(), "{}", place.scene());
    assert_eq!((ended.state, ended.reason()), (State::Aborted, "aborted in a test"));
    assert_eq!((ended.run, ended.attempt), (1, 1));
    took.saturating_sub(victim.grace)
}

/// Waits until it stands, and gives the processes that it named.
fn standing(place: &Installation, task: i64, victim: &Victim) -> Vec<i32> {
    let mut pids = Vec::new();
    place.until(&format!("task {task}, {}, stands", victim.operation), || {
        let log = place.log(task);
        pids = log.iter().filter_map(|line| line.strip_prefix("pid ")?.parse().ok()).collect();
        let ready = log.iter().any(|line| line == victim.ready);
        // A line that it began and holds back cannot be seen: then its pid must do.
        (ready || victim.ready == "half") && pids.len() == victim.pids
    });
    let dead: Vec<_> = pids.iter().filter(|pid| !processes::is_alive(**pid)).collect();
    assert!(dead.is_empty(), "{}: {dead:?} are dead before the abort", victim.operation);
    pids
}

#[test]
fn an_abort_while_the_runner_starts() {
    let place = Installation::new();
    // The program says `hello` when it is asked what it has, and not when a gate is closed.
    let [program, gate] = ["operations", "closed"].map(|name| place.folder().join(name));
    let wait = format!("while [ -e {} ]; do sleep 0.01; done", gate.display());
    let script = format!("#!/bin/sh\n{wait}\nexec {}\n", installation::fixture().display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    place.register([&program]);
    fs::write(&gate, "").unwrap();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule("double", 1);
    place.until("its runner starts", || !runners(&place).is_empty());
    let asked = Instant::now();
    place.rework(["abort-task", &task.to_string(), "--wait"]).ok();
    assert!(asked.elapsed() <= PROMPTLY, "{:?}", asked.elapsed());
    let aborted = place.task(task);
    assert_eq!((aborted.state, aborted.run), (State::Aborted, 1));
    assert!(aborted.started_at.is_none(), "its code never began");
    assert!(runners(&place).is_empty(), "{}", place.scene());
    fs::remove_file(&gate).unwrap();
    place.done(place.schedule("double", 1));
}

#[test]
fn what_a_task_leaves_behind_ends_with_it() {
    for rung in Rung::available() {
        let Standing { monitor: _monitor, place } = rung.stand(&["--maxworkers", "1"]);
        let task = place.done(place.schedule_many("leaves", &[serde_json::Value::Null])[0]);
        let pids: Vec<i32> = place
            .log(task.id)
            .iter()
            .filter_map(|line| line.strip_prefix("pid ")?.parse().ok())
            .collect();
        assert_eq!(pids.len(), 3, "{rung:?}: {:?}", place.log(task.id));
        let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
        assert!(left.is_empty(), "{rung:?}: {left:?} live\n{}", place.scene());
    }
}

#[test]
fn the_rung_is_told() {
    for rung in Rung::available() {
        let Standing { monitor: _monitor, place } = rung.stand(&["--maxworkers", "1"]);
        let told = place.rework(["list-monitors", "-o", "json"]).ok().json();
        let held = told[0]["containment"].as_str().unwrap();
        match rung {
            Rung::Cgroup => assert_eq!(held, "cgroup"),
            Rung::Processes => assert_eq!(held, "processes"),
            // An ordinary user may have been given a cgroup, and then it is used.
            Rung::Nobody => assert!(matches!(held, "cgroup" | "processes"), "{held}"),
        }
    }
}

#[test]
fn what_the_dead_have_left_is_swept_by_the_next_monitor() {
    for rung in Rung::available() {
        let Standing { mut monitor, place } = rung.stand(&["--maxworkers", "1"]);
        // Where only a mark leads back, what threw it off is nobody's when all are dead.
        let (operation, pids) = match rung {
            Rung::Cgroup => ("scattered", 6),
            Rung::Processes | Rung::Nobody => ("marked", 3),
        };
        let victim = Victim::new(operation, "ready", pids, 0);
        let task = place.schedule_many(operation, &[serde_json::Value::Null])[0];
        let pids = standing(&place, task, &victim);
        let worker: i32 = place.session().one("select pid from rework.worker", &[]);
        monitor.signal(nix::sys::signal::Signal::SIGSTOP);
        processes::signal(worker, nix::sys::signal::Signal::SIGKILL);
        monitor.kill();
        let left = pids.iter().filter(|pid| processes::is_alive(**pid)).count();
        assert!(left >= 2, "{rung:?}: they outlive both: {left}");
        assert_eq!(place.task(task).state, State::Running, "nobody is there to say it");

        let _next = rung.monitor(&place, &["--maxworkers", "1"]);
        let begun = Instant::now();
        let lost = place.ended(task);
        assert!(begun.elapsed() <= wait::A_WHILE, "{rung:?}: {:?}", begun.elapsed());
        let left: Vec<_> = pids.iter().filter(|pid| processes::is_alive(**pid)).collect();
        assert!(left.is_empty(), "{rung:?}: {left:?} live\n{}", place.scene());
        assert_eq!(lost.state, State::Lost, "{}", lost.reason());
        assert_eq!(lost.reason(), "worker died: end not seen");
        place.done(place.schedule("double", 1));
    }
}
