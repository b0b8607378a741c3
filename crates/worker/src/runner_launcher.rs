//! Starts runners: each is the process of an operation's code, in a process tree of its own. Also creates what a runner
//! inherits: its pipes, its socket, the send buffer and its environment.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::fd::{OwnedFd, RawFd},
    path::PathBuf,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use rework_process::{Containment, Launch, Tree, WorkerFolder, remove_worker_folder};
use rework_wire::{
    frame_socket::FrameSocket,
    runner as protocol,
    send_buffer::{SEND_BUFFER_BYTES, SendBuffer},
    worker::{MemoryMethod, Start},
};
use tokio::{task::spawn_blocking, time::Instant};

use crate::{
    code::Code,
    environment::{Secrets, Variable, cleaned},
    output_stream::OutputStream,
    revision::Revision,
    runner::Runner,
    start_error::StartError,
};

/// Starts the runners of a worker.
pub(crate) struct RunnerLauncher {
    containment: Containment,
    /// The tag in the names of the cgroups and in the environment of all processes of this worker's runners.
    process_tag: String,
    /// The folder for temporary files.
    folder: WorkerFolder,
    started_runs: File,
    secrets: Secrets,
    /// The number of the last runner.
    number: u32,
}

/// A program to start as a runner.
pub(crate) struct Program {
    /// A path, or a name to find in `PATH`.
    pub executable: OsString,
    /// The command-line arguments.
    pub args: Vec<OsString>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The complete environment, without the variables for frames.
    pub env: Vec<Variable>,
    /// The descriptor for standard input.
    pub stdin: OwnedFd,
}

impl RunnerLauncher {
    /// Creates a launcher with the settings that the monitor sent, and the folder for temporary files.
    pub(crate) fn new(
        start: &Start,
        started_runs: File,
        secrets: Secrets,
    ) -> io::Result<RunnerLauncher> {
        let containment =
            Containment::from_parts(start.cgroup.clone(), start.memory_method.clone());
        Ok(RunnerLauncher {
            containment,
            process_tag: start.process_tag.clone(),
            folder: WorkerFolder::create(&start.process_tag)?,
            started_runs,
            secrets,
            number: 0,
        })
    }

    /// Returns the shared memory of started runs.
    pub(crate) fn started_runs(&self) -> &File {
        &self.started_runs
    }

    /// Returns the folder for temporary files. Creates it again if somebody has deleted it.
    pub(crate) fn folder(&mut self) -> io::Result<PathBuf> {
        self.folder.restore()?;
        Ok(self.folder.path())
    }

    /// Deletes the folder for temporary files. The next monitor of this host deletes what is left. Another thread does it,
    /// because the folder may be large, and the lease must be renewed meanwhile.
    pub(crate) async fn remove_folder(&self) {
        let process_tag = self.process_tag.clone();
        let removed = spawn_blocking(move || remove_worker_folder(&process_tag)).await;
        if let Ok(Err(error)) = removed {
            let path = self.folder.path();
            tracing::debug!("`{}` cannot be deleted: {error}", path.display());
        }
    }

    /// Returns the worker's environment without the variables that operation code must not see. `passes_through`
    /// selects variables by name that stay.
    pub(crate) fn environment(&self, passes_through: impl Fn(&str) -> bool) -> Vec<Variable> {
        cleaned(std::env::vars_os(), &self.secrets, passes_through)
    }

    /// Returns the program that runs operations of an SDK.
    pub(crate) fn program(&self, code: &Code) -> io::Result<Program> {
        let (executable, args) = code.command();
        Ok(Program {
            executable,
            args,
            cwd: std::env::current_dir().map_err(|error| {
                with_context("the working directory of this worker cannot be found", &error)
            })?,
            env: self.environment(|_| false),
            stdin: File::open("/dev/null")
                .map_err(|error| with_context("cannot open `/dev/null`", &error))?
                .into(),
        })
    }

    /// Starts a program in a process tree of its own. `memory_bytes` is the memory limit; `None`
    /// for no limit. With `has_socket` the program receives a socket for frames, the shared memory
    /// of started runs, and a send buffer.
    pub(crate) fn start(
        &mut self,
        program: Program,
        revision: Revision,
        has_socket: bool,
        memory_bytes: Option<i64>,
    ) -> Result<Runner, StartError> {
        self.number += 1;
        let mut tree = Tree::new(&self.containment, &self.process_tag, self.number)?;
        tree.set_memory_limit(memory_bytes.map(i64::unsigned_abs))?;
        let (stdout, out) = OutputStream::new("stdout", "INFO")?;
        let (stderr, err) = OutputStream::new("stderr", "WARNING")?;
        let (mut env, mut fds) = (program.env, Vec::new());
        let frames = if has_socket { Some(self.connect(&mut env, &mut fds)?) } else { None };
        let child = tree.launch(Launch {
            program: program.executable,
            args: program.args,
            env,
            cwd: program.cwd,
            stdin: program.stdin,
            stdout: out,
            stderr: err,
            fds,
        })?;
        let last_used = Instant::now();
        let sampled = self.containment.memory == MemoryMethod::Sampled;
        let (accepts_runs_ahead, runs) = (false, 0);
        Ok(Runner {
            revision,
            child,
            tree,
            frames,
            stdout,
            stderr,
            accepts_runs_ahead,
            sampled,
            runs,
            last_used,
        })
    }

    /// Creates what the worker and an SDK share: a socket for frames, the memory of started runs and a send buffer.
    /// Adds the runner's file descriptors to `fds` and the variables that name them to `env`.
    fn connect(
        &self,
        env: &mut Vec<Variable>,
        fds: &mut Vec<(OwnedFd, RawFd)>,
    ) -> io::Result<FrameSocket> {
        let (mut ours, theirs) = FrameSocket::pair()?;
        let send_buffer = send_buffer()?;
        ours.attach_send_buffer(SendBuffer::map(&send_buffer)?);
        let started_runs = self.started_runs.try_clone()?;
        for (fd, number, variable) in [
            (theirs, protocol::SOCKET_FD, protocol::SOCKET_FD_VAR),
            (started_runs.into(), protocol::STARTED_RUNS_FD, protocol::STARTED_RUNS_FD_VAR),
            (send_buffer.into(), protocol::SEND_BUFFER_FD, protocol::SEND_BUFFER_FD_VAR),
        ] {
            fds.push((fd, number));
            env.push((variable.into(), number.to_string().into()));
        }
        Ok(ours)
    }
}

/// Returns an error of the system with a text that says what failed.
fn with_context(text: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{text}: {error}"))
}

/// Creates the memory of a send buffer, which a new runner and the worker share.
fn send_buffer() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create(c"rework-send-buffer", flags)?);
    file.set_len(SEND_BUFFER_BYTES)?;
    // Both processes map this memory. The seals keep an operation from shrinking it, which would kill the worker by
    // SIGBUS.
    let size = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(size))?;
    Ok(file)
}
