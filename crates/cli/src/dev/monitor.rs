//! The monitor that `rework dev` runs as its child, and the one that a killed `rework dev` left.

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

use super::discover::Process;

/// How a monitor is stopped when nobody waits to say it a second time: asked, told, killed. Its
/// running tasks may take their grace first.
const STOPPING: [(Signal, Duration); 3] = [
    (Signal::SIGTERM, Duration::from_secs(30)),
    (Signal::SIGTERM, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
const POLL: Duration = Duration::from_millis(50);

/// A running monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    child: Child,
}

impl Monitor {
    /// Starts one. It has a process group of its own: Ctrl-C in the terminal is for us, and we
    /// pass it on in order.
    pub(crate) fn start(dsn: &str, maxworkers: Option<u32>) -> anyhow::Result<Monitor> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("monitor").env("REWORK_DSN", dsn).stdin(Stdio::null()).process_group(0);
        if let Some(workers) = maxworkers {
            command.arg("--maxworkers").arg(workers.to_string());
        }
        let child = command.spawn().context("cannot run `rework monitor`")?;
        Ok(Monitor { child })
    }

    /// Its process.
    pub(crate) fn process(&self) -> Option<Process> {
        Process::look(self.child.id()? as i32)
    }

    /// Asks it to drain; a second time: to stop now.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().await.context("cannot wait for `rework monitor`")
    }

    /// Stops it, whatever it is at; at once where it has ended already.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        for (signal, limit) in STOPPING {
            self.signal(signal);
            if let Ok(ended) = timeout(limit, self.ended()).await {
                return ended.map(drop);
            }
        }
        anyhow::bail!("`rework monitor` does not end")
    }

    fn signal(&self, signal: Signal) {
        // Until we have waited for it, its number belongs to nobody else.
        if let Some(pid) = self.child.id() {
            // It may end at this very moment, which is what we want.
            let _ = kill(Pid::from_raw(pid as i32), signal);
        }
    }
}

/// Stops a monitor that is nobody's child any more.
pub(crate) async fn stop_left(monitor: Process) -> anyhow::Result<()> {
    for (signal, limit) in STOPPING {
        if !monitor.lives() {
            return Ok(());
        }
        kill(Pid::from_raw(monitor.pid), signal)
            .with_context(|| format!("cannot stop the monitor left behind, {}", monitor.pid))?;
        let gone = async {
            while monitor.lives() {
                sleep(POLL).await;
            }
        };
        // In time or not, the next round looks.
        let _ = timeout(limit, gone).await;
    }
    anyhow::ensure!(!monitor.lives(), "process {} does not end", monitor.pid);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_left_is_stopped_and_nothing_else() {
        let mut left = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::look(left.id().unwrap() as i32).unwrap();
        stop_left(Process { started: process.started + 1, ..process }).await.unwrap();
        assert!(process.lives(), "a later process with the same number");
        let (stopped, status) = tokio::join!(stop_left(process), left.wait());
        stopped.unwrap();
        assert!(!status.unwrap().success());
    }
}
