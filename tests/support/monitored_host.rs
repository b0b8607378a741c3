//! A host for tests of how runs end: a monitor with two workers, and a background task that must stay undisturbed.
//!
//! The tests use operations that print `pid <pid>` and then `half`, a line without an end. Most of them are in
//! `tests/manifests/ends_on_demand.toml` and `tests/operations/src/ends_on_demand.rs`.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use super::containment_modes::{ContainmentMode, MonitoredSetup};
use super::installation::Installation;
use super::monitor::Monitor;
use super::processes;
use super::task::Task;

/// A monitor with at most two workers. One of them runs a background task that no other run may disturb.
pub(crate) struct MonitoredHost {
    pub(crate) monitor: Monitor,
    pub(crate) setup: Installation,
    background_task: i64,
    /// The background task ends when this file exists.
    gate: PathBuf,
}

/// A run whose operation has printed its pid.
#[derive(Debug)]
pub(crate) struct StartedRun {
    pub(crate) task: i64,
    pub(crate) pid: i32,
    pub(crate) worker: i64,
}

/// The longest permitted time from the event that ends a run to its `finished_at`. It takes milliseconds; a busy machine
/// may need seconds. An end that only the loss of the lease reveals takes 20 s.
pub(crate) const MAX_END_DELAY: TimeDelta = TimeDelta::seconds(5);

impl MonitoredHost {
    /// Starts a monitor that chooses its containment mode itself. `args` are more arguments for it.
    pub(crate) fn new(args: &[&str]) -> MonitoredHost {
        let setup = Installation::new();
        let files =
            ["ends_on_demand.toml", "hard_to_kill.toml"].map(super::installation::manifest_path);
        setup.register(files.into_iter().chain([super::installation::fixture_program()]));
        let monitor = setup.start_monitor(&[&["--maxworkers", "2"], args].concat());
        MonitoredHost::with_background_task(monitor, setup)
    }

    /// Starts a monitor in this containment mode. `args` are more arguments for it.
    pub(crate) fn on(mode: ContainmentMode, args: &[&str]) -> MonitoredHost {
        let MonitoredSetup { monitor, setup } =
            mode.start_setup(&[&["--maxworkers", "2"], args].concat());
        MonitoredHost::with_background_task(monitor, setup)
    }

    fn with_background_task(monitor: Monitor, setup: Installation) -> MonitoredHost {
        let gate = setup.folder().join("background_task");
        let background_task = setup.schedule_many("hold", &[json!(gate)])[0];
        setup.wait_until_logged(background_task, "holding");
        MonitoredHost { monitor, setup, background_task, gate }
    }

    /// Schedules an operation that prints its pid, and waits until its run has done so.
    #[track_caller]
    pub(crate) fn start_run(&self, operation: &str, input: Value) -> StartedRun {
        self.wait_until_started(self.setup.schedule_many(operation, &[input])[0])
    }

    /// Waits until the latest run of a task has printed its pid. Asserts that this process exists.
    #[track_caller]
    pub(crate) fn wait_until_started(&self, task: i64) -> StartedRun {
        let mut started = None;
        self.setup.wait_until(&format!("task {task} prints its pid"), || {
            let sql = "select (array_agg(line order by log.id desc))[1] from rework.log
                         join rework.task on task.id = log.task and task.run = log.run
                        where log.task = $1 and line like 'pid %' and state = 'running'";
            let line: Option<Vec<u8>> = self.setup.session().query_value(sql, &[&task]);
            let pid = line.and_then(|line| String::from_utf8(line).ok()?[4..].parse().ok());
            started = pid.zip(self.setup.task(task).worker);
            started.is_some()
        });
        let (pid, worker) = started.expect("the wait ended because the run has started");
        assert!(processes::is_alive(pid), "process {pid} has ended\n{}", self.setup.diagnostics());
        StartedRun { task, pid, worker }
    }

    /// Returns the pid of a worker.
    pub(crate) fn worker_pid(&self, worker: i64) -> i32 {
        self.setup.session().query_value("select pid from rework.worker where id = $1", &[&worker])
    }

    /// Waits until the task of a run has ended, and returns its row.
    ///
    /// Asserts that the task is in `state`, that it ended at most `MAX_END_DELAY` after `event`, that the process of
    /// the run has ended, and that the log has everything that the run wrote, including the line without an end.
    #[track_caller]
    pub(crate) fn wait_for_prompt_end(
        &self,
        run: &StartedRun,
        event: DateTime<Utc>,
        state: State,
    ) -> Task {
        let task = self.setup.wait_until_ended(run.task);
        let alive = processes::is_alive(run.pid);
        assert_eq!(task.state, state, "{}\n{}", task.reason(), self.setup.diagnostics());
        assert!(!alive, "process {} still runs\n{}", run.pid, self.setup.diagnostics());
        let delay = task.end_time() - event;
        assert!(delay <= MAX_END_DELAY, "recorded after {delay}\n{}", self.setup.diagnostics());
        let log = self.setup.log_lines(run.task);
        assert_eq!(log[0], format!("pid {}", run.pid));
        assert!(
            log[1..].iter().any(|line| line == "half"),
            "the last line of the run is missing: {log:?}"
        );
        task
    }

    /// Ends the test: lets the background task end and stops the monitor.
    ///
    /// Asserts that the background task was not disturbed, that the monitor exits with code 0, and that no process is
    /// left.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let background_task = self.setup.task(self.background_task);
        assert_eq!(background_task.state, State::Running, "{}", self.setup.diagnostics());
        fs::write(&self.gate, "").unwrap();
        let done = self.setup.wait_until_done(self.background_task);
        assert_eq!((done.run, done.attempt), (1, 1));
        assert_eq!(self.setup.log_lines(self.background_task), ["holding", "released"]);
        self.monitor.signal(Signal::SIGTERM);
        assert_eq!(self.monitor.wait_for_exit_code(), Some(0), "{}", self.monitor.output());
        self.setup.wait_until_no_process_left();
    }
}
