//! Two hosts on one database: what one of them had is closed by the other when it is lost, and nothing
//! is taken from one that lives.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::installation::{Installation, fixture};
use crate::support::monitor::Monitor;
use crate::support::session::Session;
use crate::support::{processes, scale, wait};

/// Leases of the defaults in full, shorter ones in the sample.
fn lease() -> Duration {
    Duration::from_secs(if scale::soak() { 20 } else { 4 })
}

/// A host that is gone is noticed in 25 s at the defaults, and the rest in proportion; a machine with other
/// work needs a moment more.
fn noticed() -> Duration {
    lease() * 5 / 4 + Duration::from_secs(if scale::soak() { 0 } else { 2 })
}

/// A monitor here, and one on another host.
struct Hosts {
    place: Installation,
    here: Monitor,
    there: Monitor,
    /// Its name.
    other: String,
    gate: PathBuf,
}

impl Hosts {
    fn new() -> Hosts {
        let lease = format!("{}s", lease().as_secs());
        Hosts::with_leases(&lease, &lease)
    }

    fn with_leases(here: &str, there: &str) -> Hosts {
        let place = Installation::with_fixture();
        let other = format!("{}-b", place.host());
        place
            .rework(["register-operations", "--host", &other])
            .args([fixture().to_str().unwrap()])
            .ok();
        let options = |lease| ["--domain", "default", "--lease", lease, "--maxworkers", "2"];
        let here = place.awaited_monitor(&options(here));
        let there = place.unawaited_monitor_on(&other, &options(there));
        place.until("both monitors are there", || {
            let sql = "select count(*) = 2 from rework.monitor where finished_at is null";
            place.session().one(sql, &[])
        });
        let gate = place.folder().join("gate");
        Hosts { place, here, there, other, gate }
    }

    /// A task that runs on the other host until the gate is open.
    fn holds_there(&self, operation: &str) -> i64 {
        let input = json!(self.gate).to_string();
        let place = ["--host", &self.other];
        let task = self.place.rework(["schedule", operation, "--input", &input]).args(place);
        let task = task.ok().id();
        self.place.writes(task, "holding");
        task
    }

    fn open_gate(&self) {
        std::fs::write(&self.gate, "").unwrap();
    }

    fn worker_pid(&self, task: i64) -> i32 {
        let sql = "select worker.pid from rework.task
                     join rework.worker on worker.id = task.worker where task.id = $1";
        self.place.session().one(sql, &[&task])
    }

    /// The processes whose parent is this one.
    fn children(pid: i32) -> Vec<i32> {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        list.unwrap_or_default().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }
}

#[test]
fn the_runs_of_a_host_that_is_lost_are_closed_by_another() {
    let mut hosts = Hosts::new();
    let lost = hosts.holds_there("hold");
    let again = hosts.holds_there("hold_again");
    let workers = [lost, again].map(|task| hosts.worker_pid(task));
    let runners: Vec<i32> = workers.iter().flat_map(|pid| Hosts::children(*pid)).collect();
    let begun = Instant::now();
    for pid in workers.iter().chain([&hosts.there.pid()]) {
        processes::signal(*pid, Signal::SIGKILL);
    }
    hosts.there.exit_code();
    let ended = hosts.place.ended_within(lost, noticed());
    // 1.1 leases after it was renewed last, which it was within the second before.
    let soonest = (lease() * 11 / 10).saturating_sub(Duration::from_secs(1));
    assert!(begun.elapsed() >= soonest, "not before its lease was over: {:?}", begun.elapsed());
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
    for runner in runners {
        assert!(!processes::is_alive(runner), "runner {runner} died with its worker");
    }
    hosts.place.until("the other one is queued again: it is pinned to the lost host", || {
        let retried = hosts.place.task(again);
        (retried.state, retried.run) == (State::Queued, 1)
    });
    hosts.place.until("the books say so", || {
        let sql = "select exists (select from rework.monitor
                                   where host = $1 and finished_at is not null and reason = 'host lost')
                      and not exists (select from rework.worker where host = $1 and finished_at is null)";
        hosts.place.session().one(sql, &[&hosts.other])
    });
}

#[test]
fn a_lost_run_with_retry_lost_goes_on_elsewhere() {
    let mut hosts = Hosts::new();
    // Until one of them was taken by the other host.
    let task = loop {
        let input = json!(hosts.gate).to_string();
        let task = hosts.place.rework(["schedule", "hold_again", "--input", &input]).ok().id();
        let ran_on = {
            hosts.place.writes(task, "holding");
            let sql = "select ran_on from rework.task where id = $1";
            hosts.place.session().one::<String>(sql, &[&task])
        };
        if ran_on == hosts.other {
            break task;
        }
    };
    let worker = hosts.worker_pid(task);
    processes::signal(hosts.there.pid(), Signal::SIGKILL);
    processes::signal(worker, Signal::SIGKILL);
    hosts.there.exit_code();
    hosts.open_gate();
    let ended = hosts.place.ended_within(task, noticed() + wait::PATIENCE);
    assert_eq!((ended.state, ended.run, ended.attempt), (State::Done, 2, 1), "{}", ended.reason());
    let sql = "select outcome || ': ' || reason from rework.run where task = $1";
    assert_eq!(hosts.place.session().one::<String>(sql, &[&task]), "lost: host lost");
}

#[test]
fn a_worker_that_is_stopped_dies_while_it_is_stopped() {
    let hosts = Hosts::new();
    let task = hosts.holds_there("hold");
    let worker = hosts.worker_pid(task);
    let runners = Hosts::children(worker);
    assert_eq!(runners.len(), 1);
    processes::signal(worker, Signal::SIGSTOP);
    let begun = Instant::now();
    hosts.place.until("the worker is dead", || !processes::is_alive(worker));
    let long = begun.elapsed();
    assert!(long < lease(), "before anybody takes its runs: {long:?}");
    hosts.open_gate();
    let ended = hosts.place.ended(task);
    assert_eq!((ended.state, ended.reason()), (State::Lost, "worker died: signal 9 (killed)"));
    assert!(!processes::is_alive(runners[0]), "its runner died with it");
    assert_eq!(hosts.place.log(task), ["holding"], "nothing of it was accepted");
    assert!(begun.elapsed() < noticed());
}

/// What befalls a monitor whose task goes on: it is killed, or stopped and then killed by its own timer.
fn a_task_outlives_its_monitor(signal: Signal) {
    let mut hosts = Hosts::new();
    let task = hosts.holds_there("hold");
    let aborted = hosts.holds_there("hold");
    hosts.there.signal(signal);
    assert_eq!(hosts.there.exit_code(), None, "it is dead, by a signal");
    let alone = "select count(*) from rework.worker join rework.lease on lease.id = worker.lease
                  where worker.finished_at is null and lease.holder like 'worker %'";
    hosts.place.until("both workers live by leases of their own", || {
        hosts.place.session().one::<i64>(alone, &[]) == 2
    });
    hosts.place.until("the monitor's lease was taken away", || {
        let sql = "select count(*) from rework.monitor where reason = 'host lost'";
        hosts.place.session().one::<i64>(sql, &[]) == 1
    });
    hosts.place.rework(["abort-task", &aborted.to_string()]).ok();
    let ended = hosts.place.ended(aborted);
    assert_eq!((ended.state, ended.reason()), (State::Aborted, "aborted from the command line"));
    // Longer than any lease; its owner renews.
    wait::stays("nobody takes what lives", lease() * 2, || {
        hosts.place.task(task).state == State::Running
    });
    hosts.open_gate();
    let ended = hosts.place.done(task);
    assert_eq!((ended.run, ended.attempt), (1, 1));
    // In full, a minute at the defaults.
    assert!(ended.seconds() >= (lease() * 3).as_secs_f64(), "{}", ended.seconds());
    assert_eq!(hosts.place.log(task), ["holding", "released"]);
    assert!(hosts.here.has_ended().is_none());
}

#[test]
fn a_task_outlives_its_monitor_that_was_killed() {
    a_task_outlives_its_monitor(Signal::SIGKILL);
}

#[test]
fn a_task_outlives_its_monitor_that_was_stopped() {
    a_task_outlives_its_monitor(Signal::SIGSTOP);
}

#[test]
fn placements_of_a_host_that_has_been_gone_for_a_day_are_swept() {
    let place = Installation::with_fixture();
    for host in ["gone", "new", "stopped-lately"] {
        let register = ["register-operations", "--host", host];
        place.rework(register).args([fixture().to_str().unwrap()]).ok();
    }
    let monitor = place.monitor(&["--maxworkers", "1"]);
    let mut other = place.unawaited_monitor_on("stopped-lately", &["--domain", "default"]);
    place.until("both are there", || {
        place.session().one("select count(*) = 2 from rework.monitor", &[])
    });
    other.signal(Signal::SIGTERM);
    other.exit_code();
    place.session().run(
        "update rework.placement set registered_at = now() - interval '2 days' where host <> 'new'",
    );
    let dsn = rework_core::db::dsn::Dsn::parse(place.dsn()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let swept = runtime.block_on(async {
        let db = rework_core::db::connect::Db::connect(&dsn, "test").await.unwrap();
        rework_core::admin::vacuum::placements(&db).await.unwrap()
    });
    assert_eq!(swept, ["gone"]);
    drop(monitor);
}

#[test]
fn hosts_with_shorter_leases_are_noticed_sooner() {
    let mut hosts = Hosts::with_leases("20s", "2s");
    let task = hosts.holds_there("hold");
    let worker = hosts.worker_pid(task);
    for pid in [worker, hosts.there.pid()] {
        processes::signal(pid, Signal::SIGKILL);
    }
    hosts.there.exit_code();
    let ended = hosts.place.ended_within(task, Duration::from_secs(10));
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
}

#[test]
fn a_row_that_somebody_holds_keeps_no_other_from_being_closed() {
    let mut hosts = Hosts::with_leases("2s", "2s");
    let (held, task) = (hosts.holds_there("hold"), hosts.holds_there("hold"));
    let session = Session::open(hosts.place.dsn());
    session.run(&format!("begin; select from rework.task where id = {held} for update"));
    for pid in [hosts.worker_pid(held), hosts.worker_pid(task), hosts.there.pid()] {
        processes::signal(pid, Signal::SIGKILL);
    }
    hosts.there.exit_code();
    assert_eq!(hosts.place.ended(task).reason(), "host lost");
    assert_eq!(hosts.place.task(held).state, State::Running);
    session.run("rollback");
    assert_eq!(hosts.place.ended(held).reason(), "host lost");
}

#[test]
fn tasks_spread_over_the_hosts() {
    let hosts = Hosts::new();
    let inputs = vec![json!(0.2); 12];
    let tasks = hosts.place.schedule_many("sleep", &inputs);
    for task in tasks {
        assert_eq!(hosts.place.done(task).run, 1);
    }
    let ran_on: i64 =
        hosts.place.session().one("select count(distinct ran_on) from rework.task", &[]);
    assert_eq!(ran_on, 2, "both took some");
}

#[test]
fn a_task_that_needs_a_capability_goes_where_it_is() {
    let place = Installation::with_fixture();
    let other = format!("{}-b", place.host());
    place
        .rework(["register-operations", "--host", &other])
        .args([fixture().to_str().unwrap()])
        .ok();
    let _plain = place.monitor(&["--maxworkers", "1"]);
    let needs = ["schedule", "double", "--input", "1", "--capability", "gpu"];
    let said = place.rework(needs).ok();
    let (task, warned) = (said.id(), said.stderr());
    assert!(warned.contains("no monitor serves domain `default` on a host with `gpu`"), "{warned}");
    place.done(place.schedule("double", 2));
    assert_eq!(place.task(task).state, State::Queued, "nobody here has one");
    let gifted = ["--domain", "default", "--maxworkers", "1", "--capability", "gpu"];
    let _gifted = place.unawaited_monitor_on(&other, &gifted);
    place.done(task);
    let sql = "select ran_on from rework.task where id = $1";
    assert_eq!(place.session().one::<String>(sql, &[&task]), other);
}
