//! A simulated host: a name, a monitor with a folder for temporary files, and a connection to Postgres, directly or
//! through a proxy. A monitor that has ended is started again, as a service manager does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::plan::{PROXIED_HOSTS, Target};
use crate::support::cluster::Cluster;
use crate::support::command;
use crate::support::installation::{Installation, fixture_program};
use crate::support::monitor::Monitor;
use crate::support::processes::{self, Process};
use crate::support::proxy::Proxy;
use crate::support::session::Session;
use crate::support::wait;

/// The pause before a monitor that has ended is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// How long a killed process may still be visible after the end of its monitor.
const DEATH_TIMEOUT: Duration = Duration::from_secs(5);

/// The options of each monitor. The lease is short, so that faults outlast it. No task is deleted, so that all of them
/// can be judged.
const MONITOR_OPTIONS: [&str; 10] = [
    "--domain",
    "default",
    "--maxworkers",
    "3",
    "--lease",
    "2s",
    "--shutdown-grace",
    "1s",
    "--vacuum",
    "never",
];

/// A host. All its processes are killed when the value is dropped.
pub(crate) struct Host {
    /// The name of the host, which is also the tag of its processes.
    name: String,
    /// The folder for temporary files of its monitor and workers.
    folder: PathBuf,
    dsn: String,
    /// `None` for a host that is connected directly.
    proxy: Option<Proxy>,
    /// `None` if the monitor has ended and is not started again yet.
    monitor: Option<Monitor>,
    /// The monitor is not started before this time.
    start_at: Instant,
    /// Whether SIGTERM was sent to the monitor.
    is_draining: bool,
    starts: usize,
    /// The monitors that exited although nothing had ended them.
    exits: Vec<String>,
}

impl Host {
    /// Makes the host with this number and registers the operations of `tests/operations` there. Starts nothing.
    pub(crate) fn new(setup: &Installation, cluster: &Cluster, number: usize) -> Host {
        let name = format!("{}-{number}", setup.host());
        let folder = setup.folder().join(&name);
        fs::create_dir(&folder).unwrap();
        setup.rework(["register-operations", "--host", &name]).args([fixture_program()]).run_ok();
        let proxy = (number < PROXIED_HOSTS).then(|| Proxy::to_port(cluster.port()));
        let direct = setup.dsn();
        let dsn = proxy.as_ref().map_or_else(|| direct.to_owned(), |proxy| proxy.dsn(direct));
        Host {
            name,
            folder,
            dsn,
            proxy,
            monitor: None,
            start_at: Instant::now(),
            is_draining: false,
            starts: 0,
            exits: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Returns how often the monitor was started.
    pub(crate) fn starts(&self) -> usize {
        self.starts
    }

    /// Returns the monitors that exited although nothing had ended them, one description each.
    pub(crate) fn exits(&self) -> &[String] {
        &self.exits
    }

    /// Starts the monitor if it does not run and may be started.
    pub(crate) fn keep_running(&mut self, setup: &Installation) {
        if let Some(status) = self.monitor.as_mut().and_then(Monitor::exit_status) {
            self.record_exit(status.code());
            self.monitor = None;
            self.start_at = self.start_at.max(Instant::now() + RESTART_PAUSE);
        }
        if self.monitor.is_none() && Instant::now() >= self.start_at {
            self.start(setup);
        }
    }

    fn start(&mut self, setup: &Installation) {
        let mut command = setup.bare_command();
        command
            .env("REWORK_DSN", &self.dsn)
            .env("REWORK_HOST", &self.name)
            .env("TMPDIR", &self.folder)
            .env(processes::TAG_VARIABLE, &self.name)
            .arg("monitor")
            .args(MONITOR_OPTIONS);
        self.monitor = Some(setup.spawn_prepared_monitor(command));
        self.is_draining = false;
        self.starts += 1;
    }

    /// Remembers an exit that nothing explains. A monitor that could not register may exit, because the database may be
    /// unavailable. One that has registered waits for the database, and exits only after SIGTERM, with code 0. `code`
    /// is `None` if a signal ended the monitor.
    fn record_exit(&mut self, code: Option<i32>) {
        let Some(code) = code else { return };
        let output = self.monitor.as_ref().map(Monitor::output).unwrap_or_default();
        let was_registered = output.contains(&format!(" on {}: ", self.name));
        if was_registered && !(self.is_draining && code == 0) {
            let last_line = output.lines().last().unwrap_or_default();
            self.exits.push(format!("host {}: exit code {code}: {last_line}", self.name));
        }
    }

    /// Returns whether the monitor runs and is registered, and the earlier monitors are recorded as ended.
    pub(crate) fn is_registered(&self, session: &Session) -> bool {
        let sql = "select pid from rework.monitor where host = $1 and finished_at is null";
        let Some(monitor) = &self.monitor else { return false };
        let Ok(rows) = session.try_query(sql, &[&self.name]) else { return false };
        let pids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        pids == [monitor.pid()]
    }

    /// Returns the pids of the processes of this kind that are alive, in ascending order.
    pub(crate) fn pids(&self, target: Target) -> Vec<i32> {
        let mut pids: Vec<i32> = match target {
            Target::Monitor => {
                let monitor = self.monitor.iter().map(Monitor::pid);
                monitor.filter(|pid| processes::is_alive(*pid)).collect()
            }
            Target::Worker => self.pids_of(&command::program(), Some("worker")),
            Target::Runner => self.pids_of(&fixture_program(), None),
        };
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Returns the processes of the host. Some of them are in the list twice.
    fn processes(&self) -> Vec<Process> {
        let mut found = processes::tagged(&self.name);
        // Only root can read the tag of a worker, because a worker hides its environment.
        found.extend(self.monitor.iter().flat_map(|monitor| processes::children(monitor.pid())));
        found
    }

    /// Returns the pids of the processes of a program, with this first argument if one is given.
    fn pids_of(&self, program: &Path, argument: Option<&str>) -> Vec<i32> {
        let is_wanted = |process: &Process| {
            let mut words = process.command.split(' ');
            let executable = Path::new(words.next().unwrap_or_default());
            executable.file_name() == program.file_name()
                && (argument.is_none() || words.next() == argument)
        };
        self.processes().into_iter().filter(is_wanted).map(|process| process.pid).collect()
    }

    /// Sends a signal to the monitor. Returns its pid. `None` if it does not run.
    pub(crate) fn signal_monitor(&mut self, signal: Signal) -> Option<i32> {
        let monitor = self.monitor.as_ref()?;
        monitor.signal(signal);
        self.is_draining |= signal == Signal::SIGTERM;
        Some(monitor.pid())
    }

    /// Kills every process of the host. Its monitor is not started again before `away` has passed. Returns the pids.
    pub(crate) fn lose(&mut self, away: Duration) -> Vec<i32> {
        self.start_at = Instant::now() + away;
        let mut pids = Vec::new();
        wait::until("every process of the lost host has ended", String::new, || {
            let left = self.processes();
            for process in &left {
                processes::signal(process.pid, Signal::SIGKILL);
                pids.push(process.pid);
            }
            left.is_empty()
        });
        pids
    }

    /// Waits until the monitor has exited after SIGTERM.
    pub(crate) fn wait_until_drained(&mut self) {
        if let Some(monitor) = &mut self.monitor {
            let code = monitor.wait_for_exit_code();
            self.record_exit(code);
        }
    }

    /// Describes the processes and files that are left after the end of the monitor. The descriptions contain the
    /// process tags of the workers that have left them.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let started = Instant::now();
        let mut left = processes::tagged(&self.name);
        while !left.is_empty() && started.elapsed() < DEATH_TIMEOUT {
            wait::let_time_pass(Duration::from_millis(5));
            left = processes::tagged(&self.name);
        }
        let files = fs::read_dir(&self.folder).unwrap().map(|file| file.unwrap().path());
        let files = files.map(|path| format!("file {}", path.display()));
        let describe = |process: &Process| format!("{process:?} {}", process_tag(process.pid));
        left.iter().map(describe).chain(files).collect()
    }
}

/// Returns the variable with the process tag of the worker by which a process was started. Empty if it has none.
fn process_tag(pid: i32) -> String {
    let environment = processes::environment(pid);
    let variables = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    variables.filter(|variable| variable.starts_with("REWORK_PROCESS_TAG=")).collect()
}

impl Drop for Host {
    fn drop(&mut self) {
        self.monitor = None;
        let left = processes::kill_tagged(&self.name);
        assert!(left.is_empty() || std::thread::panicking(), "SIGKILL did not end {left:?}");
    }
}
