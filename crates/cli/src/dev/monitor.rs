//! Starts and stops the monitor that `rework dev` runs as a child process. Also kills a monitor that is still running
//! after an earlier `rework dev` was killed.

use std::{process::ExitStatus, process::Stdio, time::Duration};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::discover::Process;

/// The signals that stop a monitor, each with the time to wait for its exit afterwards.
///
/// The first SIGTERM lets running tasks finish within their grace period (25 s by default). The second one stops them
/// at once.
const GRACEFUL_STOP: [(Signal, Duration); 3] = [
    (Signal::SIGTERM, Duration::from_secs(30)),
    (Signal::SIGTERM, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// The signals if the database is gone. Waiting for tasks is useless then, because their results cannot be recorded.
const FAST_STOP: [(Signal, Duration); 3] = [
    (Signal::SIGTERM, Duration::from_millis(100)),
    (Signal::SIGTERM, Duration::from_secs(3)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// How long to wait for the exit of a process after SIGKILL. Usually it takes a few milliseconds.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval at which the exit of a process that is not a child is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A monitor that runs as a child process.
#[derive(Debug)]
pub(crate) struct MonitorProcess {
    child: Child,
}

impl MonitorProcess {
    /// Starts a monitor. `maxworkers` is the maximum number of workers per domain; `None` for the monitor's default.
    ///
    /// The monitor gets its own process group, so that Ctrl-C in the terminal reaches only `rework dev`, which then
    /// stops the monitor before the database.
    pub(crate) fn start(dsn: &str, maxworkers: Option<u32>) -> anyhow::Result<MonitorProcess> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("monitor").env("REWORK_DSN", dsn).stdin(Stdio::null()).process_group(0);
        if let Some(workers) = maxworkers {
            command.arg("--maxworkers").arg(workers.to_string());
        }
        let child = command.spawn().context("cannot run `rework monitor`")?;
        Ok(MonitorProcess { child })
    }

    /// Returns the identity of the process. `None` if it has exited.
    pub(crate) fn process(&self) -> Option<Process> {
        Process::find(self.child.id()? as i32)
    }

    /// Asks the monitor to drain and exit. A second call makes it stop its running tasks at once.
    pub(crate) fn request_stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits until the monitor exits.
    pub(crate) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().await.context("cannot wait for `rework monitor`")
    }

    /// Stops the monitor and waits for its exit. Returns at once if it has already exited.
    pub(crate) async fn stop_and_wait(&mut self, database_is_gone: bool) -> anyhow::Result<()> {
        for (signal, limit) in if database_is_gone { FAST_STOP } else { GRACEFUL_STOP } {
            self.signal(signal);
            if let Ok(exited) = timeout(limit, self.wait()).await {
                return exited.map(drop);
            }
        }
        anyhow::bail!("`rework monitor` did not exit after SIGKILL")
    }

    fn signal(&self, signal: Signal) {
        // The kernel does not reuse the pid of a child until the parent has waited for it. `id` is then `None`.
        if let Some(pid) = self.child.id() {
            // An error means that the process has just exited, which is the purpose of the signal.
            let _ = kill(Pid::from_raw(pid as i32), signal);
        }
    }
}

/// Kills the monitor of an earlier `rework dev` that was killed, because only one monitor may serve a domain on a host.
///
/// The idle workers of the killed monitor exit. The other workers finish their tasks, and the next monitor adopts them.
pub(crate) async fn kill_leftover(monitor: Process) -> anyhow::Result<()> {
    if !monitor.is_alive() {
        return Ok(());
    }
    let pid = monitor.pid;
    kill(Pid::from_raw(pid), Signal::SIGKILL).with_context(|| {
        format!("cannot kill the monitor of an earlier `rework dev`, process {pid}")
    })?;
    let exit = async {
        while monitor.is_alive() {
            sleep(POLL_INTERVAL).await;
        }
    };
    let exited = timeout(KILL_TIMEOUT, exit).await;
    exited.with_context(|| {
        format!("the monitor of an earlier `rework dev`, process {pid}, did not exit after SIGKILL")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_leftover_process_itself_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(child.id().unwrap() as i32).unwrap();
        kill_leftover(Process { started: process.started + 1, ..process }).await.unwrap();
        assert!(process.is_alive(), "a later process with the same pid");
        let (killed, status) = tokio::join!(kill_leftover(process), child.wait());
        killed.unwrap();
        assert!(!status.unwrap().success());
    }
}
