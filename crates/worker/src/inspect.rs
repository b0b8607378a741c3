//! Inspect: what an executable can run, as it says itself. It is started as a runner, with nothing
//! of ours in its environment, asked for its `hello`, and told to leave. What is not one of ours
//! does not answer; it is killed with all that it started, and what it wrote says why.

use std::{fs::File, io, path::Path, time::Duration};

use rework_core::values::validate::Schema;
use rework_process::{Child, Containment, Launch, LaunchError, Tree};
use rework_wire::{
    connection::{Frames, FramesError},
    operation::Definition,
    runner::{FromRunner, ToRunner},
    worker::MemoryRung,
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{self, Receiver},
    time::Instant,
};

use crate::{
    code::Code,
    environment::{Secrets, cleaned},
    runner::PATIENCE,
};

/// From the start of an executable to its `hello`, where nobody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Between two tries to start a file that is being written.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// The last lines of its stderr that are shown.
const LAST_LINES: usize = 5;

/// Bytes of its stderr that are kept for that.
const TAIL_BYTES: usize = 2000;

/// The operations of the executable at `path`, absolute. To be called on the main thread, inside
/// a tokio runtime.
pub async fn inspect(code: &Code, timeout: Duration) -> Result<Vec<Definition>, InspectError> {
    let fault = |why| InspectError { code: code.clone(), why };
    let mut probe = start_when_whole(code, timeout).await.map_err(fault)?;
    let heard = tokio::time::timeout(timeout, probe.hello()).await;
    let heard = heard.unwrap_or_else(|_| Err(Why::Late { timeout, said: probe.last_words() }));
    probe.dismiss(heard.is_ok()).await.map_err(fault)?;
    let operations = heard.map_err(fault)?;
    schemas_compile(&operations).map_err(fault)?;
    Ok(operations)
}

/// Starts it; while somebody still writes to it, as a linker does, a little later.
async fn start_when_whole(code: &Code, timeout: Duration) -> Result<Probe, Why> {
    let late = Instant::now() + timeout;
    loop {
        match Probe::start(code) {
            Err(Why::Launch(LaunchError::Program { source, .. }))
                if source.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < late =>
            {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            started => return started,
        }
    }
}

/// The executable at work.
struct Probe {
    tree: Tree,
    child: Child,
    frames: Frames,
    stderr: Receiver,
    /// The last that it wrote there.
    tail: Vec<u8>,
}

impl Probe {
    fn start(code: &Code) -> Result<Probe, Why> {
        let (program, args) = code.command();
        let mark = format!("inspect-{}", uuid::Uuid::new_v4());
        let tree = Tree::new(&Containment::from_parts(None, MemoryRung::Sampled), &mark, 0)?;
        let (frames, theirs) = Frames::pair()?;
        let (err, stderr) = pipe::pipe()?;
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
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
            stdin: nothing.try_clone()?.into(),
            stdout: nothing.into(),
            stderr: err.into_blocking_fd()?,
            fds: vec![(theirs, rework_wire::runner::SOCKET_FD)],
        })?;
        Ok(Probe { tree, child, frames, stderr, tail: Vec::new() })
    }

    /// Waits for its `hello`, or for its end.
    async fn hello(&mut self) -> Result<Vec<Definition>, Why> {
        let version = ToRunner::Hello { version: rework_wire::runner::VERSION };
        self.frames.send(&version, &[]).map_err(FramesError::from)?;
        let mut said = [0; TAIL_BYTES];
        let mut listening = true;
        loop {
            tokio::select! {
                frame = self.frames.next() => match frame? {
                    Some(frame) => return greeted(frame.message()),
                    None => break,
                },
                read = self.stderr.read(&mut said), if listening => {
                    let count = read?;
                    listening = count > 0;
                    self.keep_last(&said[..count]);
                }
            }
        }
        let exit = self.child.wait().await?;
        while let Ok(count @ 1..) = self.stderr.try_read(&mut said) {
            self.keep_last(&said[..count]);
        }
        Err(Why::Silent { exit: exit.to_string(), said: self.last_words() })
    }

    /// Lets it leave where it can be expected to, and sees to it that nothing of it is left.
    async fn dismiss(mut self, understands: bool) -> Result<(), Why> {
        if understands {
            self.frames.send(&ToRunner::Exit, &[]).map_err(FramesError::from)?;
            // One that stays is killed all the same: what it holds has been told.
            let _ = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        }
        self.tree.kill(PATIENCE).await.map_err(|left| Why::System(io::Error::other(left)))?;
        self.child.wait().await?;
        Ok(())
    }

    /// A program that writes without end must not fill our memory.
    fn keep_last(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
    }

    /// The last that it wrote, each line indented on a line of its own; or nothing.
    fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines[lines.len().saturating_sub(LAST_LINES)..].iter();
        shown.flat_map(|line| ["\n    ", line]).collect()
    }
}

fn greeted(
    hello: Result<FromRunner, rework_wire::frame::FrameError>,
) -> Result<Vec<Definition>, Why> {
    match hello {
        Ok(FromRunner::Hello { version: rework_wire::runner::VERSION, operations, .. }) => {
            Ok(operations)
        }
        Ok(FromRunner::Hello { version, sdk, .. }) => Err(Why::Version { version, sdk }),
        Ok(_) => Err(Why::NotHello),
        Err(error) => Err(Why::Protocol(error.into())),
    }
}

/// Workers hold every input against its schema: one that cannot be made ready is refused now.
fn schemas_compile(operations: &[Definition]) -> Result<(), Why> {
    for operation in operations {
        for schema in [&operation.input, &operation.output].into_iter().flatten() {
            Schema::compile(schema).map_err(|error| Why::Schema {
                operation: operation.name.clone(),
                why: error.to_string(),
            })?;
        }
    }
    Ok(())
}

/// An executable that did not say what it can run.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {why}", code.path.display())]
pub struct InspectError {
    code: Code,
    why: Why,
}

impl InspectError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        if let Some(interpreter) = &self.code.interpreter {
            return python_hint(&self.why, interpreter);
        }
        match &self.why {
            Why::Version { .. } => {
                Some("build it with the SDK of this version, or use the `rework` of its own".into())
            }
            Why::Launch(LaunchError::Program { .. }) => {
                Some("is it made for this machine? a command goes into a manifest (`.toml`)".into())
            }
            Why::Silent { .. } | Why::Late { .. } | Why::NotHello | Why::Protocol(_) => Some(
                "a program of operations calls `rework::run()`; any other command goes into a \
                 manifest (`.toml`)"
                    .into(),
            ),
            Why::Schema { .. } | Why::Launch(_) | Why::System(_) => None,
        }
    }
}

/// Of what a Python module is tried with.
fn python_hint(why: &Why, interpreter: &Path) -> Option<String> {
    let interpreter = interpreter.display();
    match why {
        Why::Launch(LaunchError::Program { .. }) => {
            Some(format!("`{interpreter}` is to run it: name another one with `--python PATH`"))
        }
        Why::Silent { said, .. } if said.contains("No module named 'rework") => Some(format!(
            "`{interpreter}` is to run it: `{interpreter} -m pip install rework-pg`, or name \
             another one with `--python PATH`"
        )),
        Why::Silent { .. } | Why::Late { .. } => {
            Some(format!("`{interpreter}` is to run it: see whether it can import the module"))
        }
        _ => None,
    }
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("cannot be started: {}", cause(.0))]
    Launch(#[from] LaunchError),
    #[error("cannot be inspected: {0}")]
    System(#[from] io::Error),
    #[error("ended ({exit}) without saying which operations it has{said}")]
    Silent { exit: String, said: String },
    #[error("did not say within {} s which operations it has{said}", timeout.as_secs())]
    Late { timeout: Duration, said: String },
    #[error(
        "speaks version {version} of the runner protocol ({sdk}), this `rework` version {}",
        rework_wire::runner::VERSION
    )]
    Version { version: u32, sdk: String },
    #[error("did not begin with `hello`")]
    NotHello,
    #[error("does not speak the runner protocol: {0}")]
    Protocol(#[from] FramesError),
    #[error("defines operation `{operation}`, whose schema is {why}")]
    Schema { operation: String, why: String },
}

/// The innermost cause: the system's own words.
fn cause(error: &LaunchError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests;
