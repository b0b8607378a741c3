//! Runs a command as a real process and gives access to its output and exit code.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{processes, wait};

/// Copies a program that is executed afterwards. A process of its own copies it: if this process had the new file open
/// for writing while another test starts a process, the file could not be executed as long as that process inherits it.
#[track_caller]
pub(crate) fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let status = Command::new("cp").args([from.as_ref(), to.as_ref()]).status().unwrap();
    assert!(status.success(), "cp {} {}: {status}", from.as_ref().display(), to.as_ref().display());
}

/// Returns the path of the program `rework` that the tests run.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_rework"))
}

/// Returns the path of another program of this workspace. Cargo builds it into the same folder.
pub(crate) fn workspace_program(name: &str) -> PathBuf {
    let path = program().with_file_name(name);
    assert!(path.exists(), "{} does not exist: run `make test`", path.display());
    path
}

/// A command that has not been started yet, usually made by `Installation::rework`.
pub(crate) struct TestCommand {
    command: Command,
    stdin: Vec<u8>,
}

impl TestCommand {
    pub(crate) fn new(command: Command) -> TestCommand {
        TestCommand { command, stdin: Vec::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args<I: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = I>,
    ) -> TestCommand {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: &str) -> TestCommand {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub(crate) fn without_env(mut self, name: &str) -> TestCommand {
        self.command.env_remove(name);
        self
    }

    /// Sets the bytes that the command can read from its standard input.
    #[must_use]
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> TestCommand {
        self.stdin = bytes.into();
        self
    }

    /// Runs the command and waits until it has ended, with any exit code. Kills it and panics if it takes longer than
    /// four times `wait::TIMEOUT`.
    pub(crate) fn run(mut self) -> CommandOutput {
        let input = std::mem::take(&mut self.stdin);
        let line = format!("{:?}", self.command);
        let mut child = self.spawn();
        // An error is ignored, because the command may end before it has read everything.
        let _ = child.stdin.take().expect("standard input is a pipe").write_all(&input);
        let pid = i32::try_from(child.id()).unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        let result = receiver.recv_timeout(wait::TIMEOUT * 4).unwrap_or_else(|_| {
            processes::signal(pid, Signal::SIGKILL);
            let output = receiver.recv().unwrap().unwrap();
            panic!("the command did not end: {}", CommandOutput { line: line.clone(), output })
        });
        CommandOutput { line, output: result.unwrap() }
    }

    /// Starts the command and does not wait for its end. The caller must end it.
    pub(crate) fn spawn(mut self) -> Child {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.command))
    }

    /// Runs the command, waits until it has ended, and asserts that its exit code is 0.
    #[track_caller]
    pub(crate) fn run_ok(self) -> CommandOutput {
        self.run_expecting(0)
    }

    /// Runs the command, waits until it has ended, and asserts that its exit code is `code`.
    #[track_caller]
    pub(crate) fn run_expecting(self, code: i32) -> CommandOutput {
        let output = self.run();
        assert_eq!(output.code(), Some(code), "the exit code of {output}");
        output
    }
}

/// The output and the exit status of a command that has ended.
pub(crate) struct CommandOutput {
    /// The command with its arguments, for messages.
    line: String,
    output: Output,
}

impl CommandOutput {
    /// Returns the exit code. `None` if a signal ended the command.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// Returns the standard output as text.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Returns the bytes of the standard output.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.output.stdout
    }

    /// Returns the standard error as text.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Returns the lines of the standard output.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.stdout().lines().map(str::to_owned).collect()
    }

    /// Returns the id that the command printed. Panics if the standard output is not a single number.
    #[track_caller]
    pub(crate) fn id(&self) -> i64 {
        self.stdout().trim().parse().unwrap_or_else(|_| panic!("the output is not an id: {self}"))
    }

    /// Returns the standard output as JSON. Panics if it is not a single JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.bytes()).unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl std::fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, status) = (&self.line, self.output.status);
        write!(f, "{line}\n{status}\nstdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr())
    }
}
