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

use crate::discover::Process;

/// How a monitor is stopped when nobody is there to say it a second time: asked, told, killed. Its
/// running tasks may take their grace first.
const PATIENT: [(Signal, Duration); 3] = [
    (Signal::SIGTERM, Duration::from_secs(30)),
    (Signal::SIGTERM, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// The same when its database is gone, so that nothing more can be recorded.
const HASTY: [(Signal, Duration); 3] = [
    (Signal::SIGTERM, Duration::from_millis(100)),
    (Signal::SIGTERM, Duration::from_secs(3)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// The kernel ends a killed process soon.
const KILLED: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

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
    pub(crate) async fn end(&mut self, database_is_gone: bool) -> anyhow::Result<()> {
        for (signal, limit) in if database_is_gone { HASTY } else { PATIENT } {
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

/// Kills a monitor that is nobody's child any more, since only one may serve this host. Its idle
/// workers leave; the others finish their tasks, and the next monitor counts them as its own.
pub(crate) async fn replace(left: Process) -> anyhow::Result<()> {
    if !left.lives() {
        return Ok(());
    }
    kill(Pid::from_raw(left.pid), Signal::SIGKILL)
        .with_context(|| format!("cannot stop the monitor left behind, process {}", left.pid))?;
    let gone = async {
        while left.lives() {
            sleep(POLL).await;
        }
    };
    let ended = timeout(KILLED, gone).await;
    ended.with_context(|| format!("the monitor left behind, process {}, does not end", left.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_left_is_killed_and_nothing_else() {
        let mut left = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::look(left.id().unwrap() as i32).unwrap();
        replace(Process { started: process.started + 1, ..process }).await.unwrap();
        assert!(process.lives(), "a later process with the same number");
        let (replaced, status) = tokio::join!(replace(process), left.wait());
        replaced.unwrap();
        assert!(!status.unwrap().success());
    }
}
