//! Where runs come to their ends: a place with a monitor and two workers, one of which has a task
//! that nothing of it all may disturb.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use super::containment_modes::{Rung, Standing};
use super::installation::Installation;
use super::monitor::Monitor;
use super::processes;
use super::task::Task;

/// A place, and what has to stay as it is.
pub(crate) struct Stage {
    pub(crate) monitor: Monitor,
    pub(crate) place: Installation,
    bystander: i64,
    gate: PathBuf,
}

/// A run that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) task: i64,
    pub(crate) pid: i32,
    pub(crate) worker: i64,
}

/// From what happened to its record.
const PROMPTLY: TimeDelta = TimeDelta::seconds(1);

impl Stage {
    /// On the rung that the monitor finds by itself.
    pub(crate) fn new(args: &[&str]) -> Stage {
        let place = Installation::new();
        let files = ["falls.toml", "stubborn.toml"].map(super::installation::manifest);
        place.register(files.into_iter().chain([super::installation::fixture()]));
        let monitor = place.monitor(&[&["--maxworkers", "2"], args].concat());
        Stage::with_bystander(monitor, place)
    }

    /// On a rung.
    pub(crate) fn on(rung: Rung, args: &[&str]) -> Stage {
        let Standing { monitor, place } = rung.stand(&[&["--maxworkers", "2"], args].concat());
        Stage::with_bystander(monitor, place)
    }

    fn with_bystander(monitor: Monitor, place: Installation) -> Stage {
        let gate = place.folder().join("bystander");
        let bystander = place.schedule_many("hold", &[json!(gate)])[0];
        place.writes(bystander, "holding");
        Stage { monitor, place, bystander, gate }
    }

    /// Schedules an operation that says who it is, and waits until it has.
    #[track_caller]
    pub(crate) fn begin(&self, operation: &str, input: Value) -> Begun {
        self.begun(self.place.schedule_many(operation, &[input])[0])
    }

    /// Waits until a task that says who it is has said so, in its latest run.
    #[track_caller]
    pub(crate) fn begun(&self, task: i64) -> Begun {
        let mut begun = None;
        self.place.until(&format!("task {task} says who it is"), || {
            let sql = "select (array_agg(line order by log.id desc))[1] from rework.log
                         join rework.task on task.id = log.task and task.run = log.run
                        where log.task = $1 and line like 'pid %' and state = 'running'";
            let line: Option<Vec<u8>> = self.place.session().one(sql, &[&task]);
            let pid = line.and_then(|line| String::from_utf8(line).ok()?[4..].parse().ok());
            begun = pid.zip(self.place.task(task).worker);
            begun.is_some()
        });
        let (pid, worker) = begun.expect("it has begun");
        assert!(processes::is_alive(pid), "{pid} is dead already\n{}", self.place.scene());
        Begun { task, pid, worker }
    }

    /// The process of a worker.
    pub(crate) fn pid_of(&self, worker: i64) -> i32 {
        self.place.session().one("select pid from rework.worker where id = $1", &[&worker])
    }

    /// Waits for the end of a run that was begun, which had to be recorded at once, with nothing of
    /// it left, and with all that it wrote.
    #[track_caller]
    pub(crate) fn ended(&self, begun: &Begun, event: DateTime<Utc>, state: State) -> Task {
        let ended = self.place.ended(begun.task);
        let alive = processes::is_alive(begun.pid);
        assert_eq!(ended.state, state, "{}\n{}", ended.reason(), self.place.scene());
        assert!(!alive, "{} lives on\n{}", begun.pid, self.place.scene());
        let took = ended.ended() - event;
        assert!(took <= PROMPTLY, "recorded after {took}\n{}", self.place.scene());
        let log = self.place.log(begun.task);
        assert_eq!(log[0], format!("pid {}", begun.pid));
        assert!(log[1..].iter().any(|line| line == "half"), "what it wrote last: {log:?}");
        ended
    }

    /// The bystander has not been disturbed, and nothing is left when the monitor has gone.
    #[track_caller]
    pub(crate) fn leave(mut self) {
        assert_eq!(self.place.task(self.bystander).state, State::Running, "{}", self.place.scene());
        fs::write(&self.gate, "").unwrap();
        let done = self.place.done(self.bystander);
        assert_eq!((done.run, done.attempt), (1, 1));
        assert_eq!(self.place.log(self.bystander), ["holding", "released"]);
        self.monitor.signal(Signal::SIGTERM);
        assert_eq!(self.monitor.exit_code(), Some(0), "{}", self.monitor.said());
        self.place.assert_no_process_left();
    }
}
