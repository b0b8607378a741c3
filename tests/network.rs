//! Faults of the network between the product and Postgres.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::Installation;
use crate::support::monitor::Monitor;
use crate::support::proxy::{Mode, Proxy};
use crate::support::{processes, scale, server, wait};

/// An installation that reaches its database by a wire.
fn wired() -> (Installation, Proxy) {
    let mut place = Installation::with_fixture();
    let proxy = Proxy::to(server::port());
    let dsn = proxy.dsn(place.dsn());
    place.use_dsn(&dsn);
    (place, proxy)
}

/// How often each has run.
fn times(path: &Path) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        *times.entry(line.parse().unwrap()).or_default() += 1;
    }
    times
}

/// Tasks run while replies to these statements are lost.
fn replies_are_lost_to(words: &'static str) {
    let (place, proxy) = wired();
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    let notes = place.folder().join("notes");
    let count = scale::count(15, 200);
    proxy.set(Mode::LoseReplies(words, count));
    let mut tasks = Vec::new();
    place.until("so many replies were lost", || {
        let inputs: Vec<Value> =
            (0..5).map(|n| json!({"path": notes, "number": tasks.len() + n})).collect();
        let some = place.schedule_many("notes", &inputs);
        for task in &some {
            place.done(*task);
        }
        tasks.extend(some);
        proxy.to_lose() == 0
    });
    for task in &tasks {
        let ended = place.done(*task);
        assert_eq!((ended.run, ended.attempt), (1, 1), "task {task}");
    }
    let ran = times(&notes);
    assert_eq!(ran.len(), tasks.len());
    assert!(ran.values().all(|times| *times == 1), "each ran once: {ran:?}");
    let runs: i64 = place.session().one("select count(*) from rework.run", &[]);
    assert_eq!(runs, 0, "no run was lost or given back");
}

#[test]
fn lost_replies_to_claims_do_no_harm() {
    replies_are_lost_to("rework.claim(");
}

#[test]
fn lost_replies_to_completions_do_no_harm() {
    replies_are_lost_to("rework.complete(");
}

#[test]
fn a_lost_reply_to_schedule_is_asked_again_with_its_key() {
    let (place, proxy) = wired();
    let count = scale::count(10, 200);
    proxy.set(Mode::LoseReplies("rework.schedule(", count));
    let mut scheduled = 0;
    while proxy.to_lose() > 0 {
        scheduled += 1;
        let key = format!("key {scheduled}");
        let schedule =
            || place.rework(["schedule", "double", "--input", "1", "--unique-key", &key]).run();
        let first = schedule();
        let second = schedule();
        let said = if first.code() == Some(0) { first } else { second };
        assert_eq!(said.code(), Some(0), "one of the two was answered: {said}");
    }
    let tasks: i64 = place.session().one("select count(*) from rework.task", &[]);
    assert_eq!(tasks, scheduled, "none twice");
}

#[test]
fn a_wire_that_resets_and_cuts_only_delays() {
    let (place, proxy) = wired();
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    let notes = place.folder().join("notes");
    let mut number = 0;
    for mode in [
        Mode::Reset,
        Mode::Delay(Duration::from_millis(20)),
        Mode::CutAfter(700),
        Mode::CutAfter(3_000),
        Mode::Reset,
    ] {
        let inputs: Vec<Value> =
            (0..20).map(|n| json!({"path": notes, "number": number + n})).collect();
        number += 20;
        let tasks = place.schedule_many("notes", &inputs);
        proxy.set(mode);
        // Long enough for every process to meet it.
        wait::stays("it lasts", wait::A_WHILE, || true);
        proxy.set(Mode::Pass);
        let back = Instant::now();
        for task in tasks {
            assert_eq!(place.done(task).attempt, 1);
        }
        assert!(back.elapsed() < Duration::from_secs(12), "{:?}", back.elapsed());
    }
    let ran = times(&notes);
    assert_eq!(ran.len(), number);
    assert!(ran.values().all(|times| *times == 1), "each ran once: {ran:?}");
}

#[test]
fn a_monitor_that_is_cut_off_kills_its_runs_in_time_and_comes_back() {
    let place = Installation::with_fixture();
    let proxy = Proxy::to(server::port());
    let lease = Duration::from_secs(if scale::soak() { 20 } else { 4 });
    let options = format!("{}s", lease.as_secs());
    let options = ["--domain", "default", "--maxworkers", "1", "--lease", &options];
    let other = format!("{}-b", place.host());
    place
        .rework(["register-operations", "--host", &other])
        .args([crate::support::installation::fixture().to_str().unwrap()])
        .ok();
    let mut process = place.process();
    process.env("REWORK_DSN", proxy.dsn(place.dsn())).args(["monitor", "--host", &other]);
    process.args(options);
    let mut there = Monitor::start(process, &place.folder().join("there.stderr"));
    let pid = there.pid();
    let _here = place.awaited_monitor(&options);
    let gate = place.folder().join("gate");
    let input = json!(gate).to_string();
    let task = place.rework(["schedule", "hold", "--host", &other, "--input", &input]).ok().id();
    place.writes(task, "holding");
    let worker: i32 = place.session().one(
        "select worker.pid from rework.task join rework.worker on worker.id = task.worker",
        &[],
    );
    proxy.set(Mode::BlackHole);
    let cut = Instant::now();
    place.until("its worker is dead", || !processes::is_alive(worker));
    assert!(cut.elapsed() < lease, "before others may take its runs: {:?}", cut.elapsed());
    let ended = place.ended_within(task, lease * 5 / 4 + Duration::from_secs(3));
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
    wait::stays("it is still cut off", lease * 2, || there.has_ended().is_none());
    proxy.set(Mode::Pass);
    std::fs::write(&gate, "").unwrap();
    let next = place.rework(["schedule", "double", "--host", &other, "--input", "2"]).ok().id();
    place.done(next);
    assert_eq!(there.pid(), pid, "it came back by itself:\n{}", there.said());
    assert!(there.has_ended().is_none());
    assert_eq!(place.task(task).state, State::Lost, "nothing of the old run was accepted");
}

#[test]
fn a_backend_that_hangs_delays_nobody_for_longer_than_the_deadline() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    place.done(place.schedule("double", 1));
    let backend = |who: &str| -> i32 {
        let sql = "select pid from pg_stat_activity where datname = current_database()
                      and application_name ~ $1";
        place.session().one(sql, &[&who])
    };
    for who in ["^rework worker \\d+$", "^rework monitor \\d+$"] {
        let stopped = backend(who);
        processes::signal(stopped, Signal::SIGSTOP);
        let begun = Instant::now();
        let task = place.schedule("double", 2);
        place.done(task);
        let long = begun.elapsed();
        processes::signal(stopped, Signal::SIGCONT);
        assert!(long < Duration::from_secs(13), "{who}: {long:?}");
        // What the backend still carries out is found again.
        for _ in 0..3 {
            place.done(place.schedule("double", 3));
        }
    }
    let runs: i64 = place.session().one("select max(run) from rework.task", &[]);
    assert_eq!(runs, 1);
}

/// A monitor of this host that reaches its database by a wire, with a task in hand.
struct OnTheWire {
    place: Installation,
    monitor: Monitor,
    worker: i32,
    task: i64,
}

impl OnTheWire {
    fn new(proxy: &Proxy) -> OnTheWire {
        let place = Installation::with_fixture();
        let mut process = place.process();
        process.env("REWORK_DSN", proxy.dsn(place.dsn()));
        process.args(["monitor", "--domain", "default", "--maxworkers", "1", "--lease", "2s"]);
        let monitor = Monitor::start(process, &place.folder().join("wired.stderr"));
        let task = place.schedule("hold", json!(place.folder().join("gate")));
        place.writes(task, "holding");
        let worker: i32 = place.session().one(
            "select worker.pid from rework.task join rework.worker on worker.id = task.worker",
            &[],
        );
        OnTheWire { place, monitor, worker, task }
    }
}

#[test]
fn who_is_asked_to_end_while_the_database_is_silent_ends() {
    let proxy = Proxy::to(server::port());
    let mut wired = OnTheWire::new(&proxy);
    proxy.set(Mode::BlackHole);
    wired.place.until("its worker is dead", || !processes::is_alive(wired.worker));
    wired.monitor.signal(Signal::SIGTERM);
    assert_eq!(wired.monitor.exit_code(), Some(0), "{}", wired.monitor.said());
}

#[test]
fn a_refusal_by_what_stands_between_is_no_word_of_the_server() {
    let proxy = Proxy::to(server::port());
    let wired = OnTheWire::new(&proxy);
    // Nobody listens at its port any more, as when a pooler was stopped.
    drop(proxy);
    let refused = Instant::now();
    wired.place.until("its worker is dead", || !processes::is_alive(wired.worker));
    assert!(refused.elapsed() < Duration::from_secs(2), "in time: {:?}", refused.elapsed());
    assert_eq!(wired.place.task(wired.task).state, State::Running, "nobody else is there");
}
