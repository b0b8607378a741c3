//! A `rework monitor` process of a test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::Signal;

use super::{processes, wait};

/// A monitor process. It is killed when the value is dropped; `Installation` then kills the workers and runners
/// that it started.
pub(crate) struct Monitor {
    child: Child,
    output_file: PathBuf,
}

impl Monitor {
    /// Starts a monitor. Its standard output and standard error go to `output_file`.
    pub(crate) fn start(mut command: Command, output_file: &Path) -> Monitor {
        let output = File::create(output_file).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Monitor { child, output_file: output_file.to_owned() }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Returns everything that the monitor has written so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.output_file).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    /// Returns how the monitor ended. `None` if it still runs.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until the monitor has ended, and returns its exit code. `None` if a signal ended it.
    #[track_caller]
    pub(crate) fn wait_for_exit_code(&mut self) -> Option<i32> {
        let file = self.output_file.clone();
        let describe = || std::fs::read_to_string(&file).unwrap_or_default();
        let child = &mut self.child;
        let exit_status = || child.try_wait().unwrap();
        wait::until_some("the monitor ends", wait::TIMEOUT, describe, exit_status).code()
    }

    /// Sends SIGKILL, as the out-of-memory killer does, and waits until the monitor has ended.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_for_exit_code();
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
