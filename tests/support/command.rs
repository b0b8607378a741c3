//! A `rework` command as a real process: what it is given, what it said, how it ended.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{processes, wait};

/// The program under test.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_rework"))
}

/// A program of the workspace, which cargo builds beside the one under test.
pub(crate) fn sibling(name: &str) -> PathBuf {
    let path = program().with_file_name(name);
    assert!(path.exists(), "no {}: run the tests by `make test`", path.display());
    path
}

/// A command that is about to be run.
pub(crate) struct Call {
    command: Command,
    stdin: Vec<u8>,
}

impl Call {
    /// Of a prepared process.
    pub(crate) fn new(command: Command) -> Call {
        Call { command, stdin: Vec::new() }
    }

    /// More arguments.
    #[must_use]
    pub(crate) fn args<I: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = I>,
    ) -> Call {
        self.command.args(args);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: &str) -> Call {
        self.command.env(name, value);
        self
    }

    /// A variable that it does not see.
    #[must_use]
    pub(crate) fn without_env(mut self, name: &str) -> Call {
        self.command.env_remove(name);
        self
    }

    /// What stands on its standard input.
    #[must_use]
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Call {
        self.stdin = bytes.into();
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Said {
        let input = std::mem::take(&mut self.stdin);
        let line = format!("{:?}", self.command);
        let mut child = self.spawn();
        // It may end without having read all.
        let _ = child.stdin.take().expect("it is a pipe").write_all(&input);
        let pid = i32::try_from(child.id()).unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        let ended = receiver.recv_timeout(wait::PATIENCE * 4).unwrap_or_else(|_| {
            processes::signal(pid, Signal::SIGKILL);
            let output = receiver.recv().unwrap().unwrap();
            panic!("it did not end: {}", Said { line: line.clone(), output })
        });
        Said { line, output: ended.unwrap() }
    }

    /// Starts it, for those who look at it while it runs. They end it.
    pub(crate) fn spawn(mut self) -> Child {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.command))
    }

    /// Runs it to a good end.
    #[track_caller]
    pub(crate) fn ok(self) -> Said {
        self.exits(0)
    }

    /// Runs it to an end with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Said {
        let said = self.run();
        assert_eq!(said.code(), Some(code), "the exit code of {said}");
        said
    }
}

/// What a command said, and how it ended.
pub(crate) struct Said {
    line: String,
    output: Output,
}

impl Said {
    /// The exit code; none where a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// Its standard output.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Its standard output, to the byte.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.output.stdout
    }

    /// Its standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The lines of its standard output.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.stdout().lines().map(str::to_owned).collect()
    }

    /// Its standard output, as the one number that it is.
    #[track_caller]
    pub(crate) fn id(&self) -> i64 {
        self.stdout().trim().parse().unwrap_or_else(|_| panic!("no id alone from {self}"))
    }

    /// Its standard output, as the one JSON document that it is.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.bytes()).unwrap_or_else(|why| panic!("{why} from {self}"))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, status) = (&self.line, self.output.status);
        write!(f, "{line}\n{status}\nstdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr())
    }
}
