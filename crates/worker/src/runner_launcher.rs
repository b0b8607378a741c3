//! Starts runners: the process of an operation's code, in a process tree of its own, with what it inherits.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File},
    io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::PathBuf,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use rework_process::{Containment, Launch, Tree};
use rework_wire::{
    connection::Frames,
    outbox::{OUTBOX_BYTES, Outbox},
    worker::{MemoryRung, Start},
};
use tokio::time::Instant;

use crate::{
    code::Code,
    environment::{Secrets, Variable, cleaned},
    revision::Revision,
    runner::{Runner, StartError},
    stream::Stream,
};

/// Starts the runners of a worker.
pub(crate) struct RunnerLauncher {
    containment: Containment,
    mark: String,
    page: File,
    secrets: Secrets,
    number: u32,
}

/// A program to start as a runner.
pub(crate) struct Program {
    /// A path, or a name to be found in `PATH`.
    pub executable: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its whole environment, but for what frames need.
    pub env: Vec<Variable>,
    /// Its fd 0.
    pub stdin: OwnedFd,
}

impl RunnerLauncher {
    /// A launcher with the containment and the names that the monitor gave this worker.
    pub(crate) fn new(start: &Start, page: File, secrets: Secrets) -> io::Result<RunnerLauncher> {
        let containment = Containment::from_parts(start.cgroup.clone(), start.memory.clone());
        let launcher =
            RunnerLauncher { containment, mark: start.mark.clone(), page, secrets, number: 0 };
        // Made here and nowhere else: a folder that somebody else made is not ours to trust.
        DirBuilder::new().mode(0o700).create(launcher.folder())?;
        Ok(launcher)
    }

    /// The page in which (task, run) is noted before its first instruction.
    pub(crate) fn page(&self) -> &File {
        &self.page
    }

    /// The folder of this worker's temporary files.
    pub(crate) fn folder(&self) -> PathBuf {
        std::env::temp_dir().join(format!("rework-{}", self.mark))
    }

    /// The worker's own environment, without what operation code must not see; what an operation
    /// lets through by name stays.
    pub(crate) fn environment(&self, lets_through: impl Fn(&str) -> bool) -> Vec<Variable> {
        cleaned(std::env::vars_os(), &self.secrets, lets_through)
    }

    /// What runs operations of an SDK.
    pub(crate) fn program(&self, code: &Code) -> io::Result<Program> {
        let (executable, args) = code.command();
        Ok(Program {
            executable,
            args,
            cwd: std::env::current_dir()?,
            env: self.environment(|_| false),
            stdin: File::open("/dev/null")?.into(),
        })
    }

    /// Starts a process in a tree of its own. With `speaks`, it is given a socket for frames.
    pub(crate) fn start(
        &mut self,
        program: Program,
        revision: Revision,
        speaks: bool,
        memory_bytes: Option<i64>,
    ) -> Result<Runner, StartError> {
        self.number += 1;
        let mut tree = Tree::new(&self.containment, &self.mark, self.number)?;
        tree.set_memory_limit(memory_bytes.map(i64::unsigned_abs))?;
        let (stdout, out) = Stream::new("stdout", "INFO")?;
        let (stderr, err) = Stream::new("stderr", "WARNING")?;
        let mut env = program.env;
        let mut fds = Vec::new();
        let mut frames = None;
        if speaks {
            let (mut ours, theirs) = Frames::pair()?;
            let outbox = outbox()?;
            ours.share(Outbox::of(&outbox)?);
            frames = Some(ours);
            for (fd, number, variable) in [
                (theirs, rework_wire::runner::SOCKET_FD, rework_wire::runner::SOCKET_FD_VAR),
                (
                    self.page.try_clone()?.into(),
                    rework_wire::runner::PAGE_FD,
                    rework_wire::runner::PAGE_FD_VAR,
                ),
                (outbox.into(), rework_wire::runner::OUTBOX_FD, rework_wire::runner::OUTBOX_FD_VAR),
            ] {
                fds.push((fd, number));
                env.push((variable.into(), number.to_string().into()));
            }
        }
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
        let used = Instant::now();
        let sampled = self.containment.memory == MemoryRung::Sampled;
        let (ahead, runs) = (false, 0);
        Ok(Runner { revision, child, tree, frames, stdout, stderr, ahead, sampled, runs, used })
    }
}

/// Memory that a new runner and the worker share as its outbox.
fn outbox() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create(c"rework-outbox", flags)?);
    file.set_len(OUTBOX_BYTES)?;
    // It is mapped here: an operation that made it shorter would end the worker.
    let size = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(size))?;
    Ok(file)
}
