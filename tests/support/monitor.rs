//! A running `rework monitor`: started with a host of its own, killed with everything that it
//! started when the test is over, however it ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::Signal;

use super::{processes, wait};

/// A monitor, for as long as the test wants it.
pub(crate) struct Monitor {
    child: Child,
    stderr: PathBuf,
}

impl Monitor {
    /// Starts one; what it says on standard error goes to a file.
    pub(crate) fn start(mut command: Command, stderr: &Path) -> Monitor {
        let said = File::create(stderr).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Monitor { child, stderr: stderr.to_owned() }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end: the exit code; none where a signal ended it.
    #[track_caller]
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let stderr = self.stderr.clone();
        let describe = || std::fs::read_to_string(&stderr).unwrap_or_default();
        let child = &mut self.child;
        let ended = || child.try_wait().unwrap();
        wait::until_some("the monitor ends", wait::PATIENCE, describe, ended).code()
    }

    /// Kills it as the out-of-memory killer would: it can say nothing any more.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.exit_code();
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
