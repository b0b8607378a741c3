//! Inspects a module: starts its program like a runner, to learn which operations it contains. Used by `rework
//! register-operations`. The program must send `hello` and is then ordered to exit. A program that is not a runner
//! sends nothing; it is killed with all its processes, and its stderr becomes part of the error.

pub mod run_once;

use std::{fs::File, io, path::Path, time::Duration};

use rework_core::values::validate::Schema;
use rework_process::{Child, Containment, Launch, LaunchError, Tree};
use rework_wire::{
    frame_socket::{FrameSocket, FrameSocketError},
    operation::Definition,
    retry_policy::RetryFault,
    runner::{FromRunner, ToRunner},
    worker::MemoryMethod,
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{self, Receiver},
    time::Instant,
};

use crate::{
    code::Code,
    environment::{Secrets, cleaned},
    runner::KILL_TIMEOUT,
};

/// The default of the longest time from the start of a program to its `hello`.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before a program whose file is still open for writing is started again.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// The number of lines of stderr in an error.
const LAST_LINES: usize = 5;

/// The number of bytes of stderr that are kept for an error.
const TAIL_BYTES: usize = 2000;

/// Returns the operations of a program or Python module, whose path must be absolute. Must be called on the main
/// thread, inside a tokio runtime. `Err` if the program does not list them within `timeout`, or if a schema is invalid.
pub async fn inspect(code: &Code, timeout: Duration) -> Result<Vec<Definition>, InspectError> {
    let failed = |reason| InspectError { code: code.clone(), reason };
    let mut inspection = start_when_written(code, timeout).await.map_err(failed)?;
    let hello = tokio::time::timeout(timeout, inspection.hello()).await;
    let hello = hello
        .unwrap_or_else(|_| Err(Reason::TimedOut { timeout, stderr: inspection.stderr_tail() }));
    inspection.stop(hello.is_ok()).await.map_err(failed)?;
    let mut operations = hello.map_err(failed)?;
    check_definitions(&mut operations).map_err(failed)?;
    Ok(operations)
}

/// Starts the program. If a linker, for example, still writes to the file, tries again until `timeout`.
async fn start_when_written(code: &Code, timeout: Duration) -> Result<Inspection, Reason> {
    let deadline = Instant::now() + timeout;
    loop {
        match Inspection::start(code) {
            Err(Reason::Launch(LaunchError::Program { source, .. }))
                if source.kind() == io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < deadline =>
            {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            started => return started,
        }
    }
}

/// The running program.
struct Inspection {
    tree: Tree,
    child: Child,
    frames: FrameSocket,
    stderr: Receiver,
    /// The last bytes of stderr.
    tail: Vec<u8>,
}

impl Inspection {
    fn start(code: &Code) -> Result<Inspection, Reason> {
        let (program, args) = code.command();
        let process_tag = format!("inspect-{}", uuid::Uuid::new_v4());
        let tree =
            Tree::new(&Containment::from_parts(None, MemoryMethod::Sampled), &process_tag, 0)?;
        let (frames, theirs) = FrameSocket::pair()?;
        let (err, stderr) = pipe::pipe()?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let mut env = cleaned(std::env::vars_os(), &Secrets::new("", None), |_| false);
        env.push((
            rework_wire::runner::SOCKET_FD_VAR.into(),
            rework_wire::runner::SOCKET_FD.to_string().into(),
        ));
        let child = tree.launch(Launch {
            program,
            args,
            env,
            cwd: std::env::current_dir()?,
            stdin: null.try_clone()?.into(),
            stdout: null.into(),
            stderr: err.into_blocking_fd()?,
            fds: vec![(theirs, rework_wire::runner::SOCKET_FD)],
        })?;
        Ok(Inspection { tree, child, frames, stderr, tail: Vec::new() })
    }

    /// Waits for the `hello` of the program, or for its exit.
    async fn hello(&mut self) -> Result<Vec<Definition>, Reason> {
        let version = ToRunner::Hello { version: rework_wire::runner::VERSION };
        self.frames.send(&version, &[]).map_err(FrameSocketError::from)?;
        let mut stderr = [0; TAIL_BYTES];
        let mut stderr_open = true;
        loop {
            tokio::select! {
                frame = self.frames.next() => match frame? {
                    Some(frame) => return check_hello(frame.message()),
                    None => break,
                },
                read = self.stderr.read(&mut stderr), if stderr_open => {
                    let count = read?;
                    stderr_open = count > 0;
                    self.keep_last(&stderr[..count]);
                }
            }
        }
        let exit = self.child.wait().await?;
        while let Ok(count @ 1..) = self.stderr.try_read(&mut stderr) {
            self.keep_last(&stderr[..count]);
        }
        Err(Reason::NoHello { exit: exit.to_string(), stderr: self.stderr_tail() })
    }

    /// Tells a program that has sent `hello` to exit, then kills all that is left of its processes.
    async fn stop(mut self, speaks_protocol: bool) -> Result<(), Reason> {
        if speaks_protocol {
            self.frames.send(&ToRunner::Exit, &[]).map_err(FrameSocketError::from)?;
            // A program that does not exit is killed below. It has sent its list, so nothing is lost.
            let _ = tokio::time::timeout(KILL_TIMEOUT, self.child.wait()).await;
        }
        self.tree
            .kill(KILL_TIMEOUT)
            .await
            .map_err(|unkillable| Reason::System(io::Error::other(unkillable)))?;
        self.child.wait().await?;
        Ok(())
    }

    /// Keeps the last [`TAIL_BYTES`] bytes of stderr, so that a program that writes without end does not fill the
    /// memory.
    fn keep_last(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
    }

    /// Returns the last lines of stderr, each indented on a line of its own; empty if there are none.
    fn stderr_tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines[lines.len().saturating_sub(LAST_LINES)..].iter();
        shown.flat_map(|line| ["\n    ", line]).collect()
    }
}

/// Returns the operations in the first frame of the program.
fn check_hello(
    hello: Result<FromRunner, rework_wire::frame::FrameError>,
) -> Result<Vec<Definition>, Reason> {
    match hello {
        Ok(FromRunner::Hello { version: rework_wire::runner::VERSION, operations, .. }) => {
            Ok(operations)
        }
        Ok(FromRunner::Hello { version, sdk, .. }) => Err(Reason::Version { version, sdk }),
        Ok(_) => Err(Reason::NotHello),
        Err(error) => Err(Reason::Protocol(error.into())),
    }
}

/// Compiles the schemas, and compares `attempts` with the retry policy. Workers validate every input, so an invalid
/// schema is refused at registration.
fn check_definitions(operations: &mut [Definition]) -> Result<(), Reason> {
    for operation in operations {
        let settled = operation.limits.settle_attempts();
        settled.map_err(|fault| Reason::Retry { operation: operation.name.clone(), fault })?;
        for schema in [&operation.input, &operation.output].into_iter().flatten() {
            Schema::compile(schema).map_err(|error| Reason::Schema {
                operation: operation.name.clone(),
                reason: error.to_string(),
            })?;
        }
    }
    Ok(())
}

/// The error if a program could not list its operations.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {reason}", code.path.display())]
pub struct InspectError {
    code: Code,
    reason: Reason,
}

impl InspectError {
    /// Returns a suggestion for the user; `None` if there is nothing to suggest.
    pub fn hint(&self) -> Option<String> {
        if let Some(interpreter) = &self.code.interpreter {
            return python_hint(&self.reason, interpreter);
        }
        match &self.reason {
            Reason::Version { .. } => {
                Some("build it with the SDK of this version, or use the `rework` of the same version as its SDK".into())
            }
            Reason::Launch(LaunchError::Program { .. }) => {
                Some("check that it is built for this machine; a command is declared in a manifest (`.toml`)".into())
            }
            Reason::NoHello { .. }
            | Reason::TimedOut { .. }
            | Reason::NotHello
            | Reason::Protocol(_) => Some(
                "a program with operations calls `rework::run()`; any other command is declared in a \
                 manifest (`.toml`)"
                    .into(),
            ),
            Reason::Schema { .. }
            | Reason::Retry { .. }
            | Reason::Launch(_)
            | Reason::System(_) => None,
        }
    }
}

/// Returns a suggestion for a Python module, which names the interpreter; `None` if there is
/// nothing to suggest.
fn python_hint(reason: &Reason, interpreter: &Path) -> Option<String> {
    let interpreter = interpreter.display();
    match reason {
        Reason::Launch(LaunchError::Program { .. } | LaunchError::Script { .. }) => Some(format!(
            "`{interpreter}` runs it: choose another interpreter with `--python PATH`"
        )),
        Reason::NoHello { stderr, .. } if stderr.contains("No module named 'rework") => {
            Some(format!(
                "`{interpreter}` runs it: install rework there with `{interpreter} -m pip install rework-pg`, or \
             choose another interpreter with `--python PATH`"
            ))
        }
        Reason::NoHello { .. } | Reason::TimedOut { .. } => {
            Some(format!("`{interpreter}` runs it: check that it can import the module"))
        }
        _ => None,
    }
}

/// The reason for an [`InspectError`]. Each text continues a sentence that begins with the path.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("cannot be started: {}", innermost_cause(.0))]
    Launch(#[from] LaunchError),
    #[error("cannot be inspected: {0}")]
    System(#[from] io::Error),
    #[error("exited ({exit}) before it listed its operations{stderr}")]
    NoHello { exit: String, stderr: String },
    #[error("did not list its operations within {} s{stderr}", timeout.as_secs())]
    TimedOut { timeout: Duration, stderr: String },
    #[error(
        "speaks version {version} of the runner protocol ({sdk}), and this `rework` speaks version {}",
        rework_wire::runner::VERSION
    )]
    Version { version: u32, sdk: String },
    #[error("sent a first frame that is not `hello`")]
    NotHello,
    #[error("does not speak the runner protocol: {0}")]
    Protocol(#[from] FrameSocketError),
    #[error("defines operation `{operation}`, whose schema is {reason}")]
    Schema { operation: String, reason: String },
    #[error("defines operation `{operation}`, whose retry policy {fault}")]
    Retry { operation: String, fault: RetryFault },
}

/// Returns the innermost cause of an error: the text of the operating system.
fn innermost_cause(error: &LaunchError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests;
