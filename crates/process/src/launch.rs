//! Starting a child process. This file has the only unsafe code of the crate.
//!
//! Between `fork` and `exec` the child prepares itself. It asks the kernel to kill it when its parent ends, enters its
//! cgroups, starts a new process group, resets all signals to their defaults, gets back the limits that this process
//! has raised for itself, and keeps only the descriptors that it was given. Each step consists of plain system calls:
//! nothing else is safe between `fork` and `exec`. To distinguish a failed step from a failed `exec`, a number is added
//! to the `errno` of the step.
#![expect(unsafe_code, reason = "code between `fork` and `exec` cannot be written without it")]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;

use crate::child::Child;
use crate::limits::{self, InheritedLimit};
use crate::procfs::process_with_pid;
use crate::script::{ScriptFault, script_fault};

/// A program to start, with its arguments, environment and descriptors.
#[derive(Debug)]
pub struct Launch {
    /// The program: a path, or a name that is searched in the `PATH` of `env`. If the file is a text without `#!`,
    /// `/bin/sh` runs it, as in a shell.
    pub program: OsString,
    /// The arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The whole environment. No variable of this process is added.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// Further descriptors to inherit, each with its number in the child (3 or higher). The child has no others.
    pub fds: Vec<(OwnedFd, RawFd)>,
}

/// The error if a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program is missing, or cannot be executed.
    #[error("cannot execute `{program}`")]
    Program {
        /// The program as given in [`Launch`].
        program: String,
        /// The error of `exec`, such as `ENOENT` or `EACCES`.
        #[source]
        source: io::Error,
    },
    /// The program is a script that the system cannot interpret.
    #[error("cannot execute `{program}`")]
    Script {
        /// The program as given in [`Launch`].
        program: String,
        source: ScriptFault,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory `{}`", cwd.display())]
    Folder {
        cwd: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The system refused, for example because it has no process, memory or file descriptor left, or because the cgroup
    /// does not exist.
    #[error("cannot start a process")]
    System(#[source] io::Error),
}

/// Starts a process that belongs to no tree, in a new process group. It survives the end of this process. Must be
/// called on the main thread, inside a tokio runtime.
pub fn launch(launch: Launch) -> Result<Child, LaunchError> {
    spawn(launch, &[], false)
}

/// Starts a process that enters these cgroups first. Each one is given by its `cgroup.procs`, open for writing.
pub(crate) fn spawn(
    launch: Launch,
    cgroups: &[OwnedFd],
    dies_with_parent: bool,
) -> Result<Child, LaunchError> {
    let system = LaunchError::System;
    let highest = launch.fds.iter().map(|(_, target)| *target).max().unwrap_or(2);
    if launch.fds.iter().any(|(_, target)| *target <= 2) {
        return Err(system(io::ErrorKind::InvalidInput.into()));
    }
    let cwd = CString::new(launch.cwd.as_os_str().as_bytes())
        .map_err(|error| LaunchError::Folder { cwd: launch.cwd.clone(), source: error.into() })?;
    // The standard library reports a failed exec through a pipe. The pipe must not get the number of an inherited
    // descriptor, so these numbers are occupied until the child has started.
    let _reserved = occupy_fds_up_to(highest).map_err(system)?;
    let mut child_setup = ChildSetup {
        parent: dies_with_parent.then(|| std::process::id() as i32),
        cgroups: cgroups.iter().map(AsRawFd::as_raw_fd).collect(),
        fds: launch.fds.iter().map(|(fd, target)| (fd.as_raw_fd(), *target)).collect(),
        above_targets: highest + 1,
        limits: limits::inherited(),
        cwd,
    };
    let path = launch.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).env_clear().envs(launch.env).process_group(0);
    command.stdin(Stdio::from(launch.stdin));
    command.stdout(Stdio::from(launch.stdout));
    command.stderr(Stdio::from(launch.stderr));
    // SAFETY: `run` makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(move || child_setup.run()) };
    let mut process = command
        .spawn()
        .map_err(|error| explain(error, &launch.program, path.as_deref(), launch.cwd))?;
    process_with_pid(process.id() as i32).and_then(Child::new).map_err(|error| {
        // Without a `Child`, nothing would wait for the process. So it must not run.
        drop(process.kill());
        drop(process.wait());
        system(error)
    })
}

/// Checks that a child of this process can enter a cgroup. A child tries it and then executes a program that does not
/// exist, so the error `ENOENT` means success.
pub(crate) fn check_can_enter(cgroup: &OwnedFd) -> io::Result<()> {
    let cgroup = cgroup.as_raw_fd();
    let enter = move || enter(cgroup).map_err(|error| step_error(STEP_SYSTEM, error));
    let mut command = Command::new("/proc/self/no-such-program");
    // SAFETY: `enter` makes one system call; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(enter) };
    match command.spawn() {
        Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => Ok(()),
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or_default() % STEP_FACTOR;
            Err(io::Error::from_raw_os_error(errno))
        }
        Ok(_) => Err(io::ErrorKind::Other.into()),
    }
}

/// The steps of the child before `exec`.
struct ChildSetup {
    /// The pid of the parent that the child must not outlive. `None` if it may.
    parent: Option<i32>,
    /// The files `cgroup.procs` of the cgroups to enter.
    cgroups: Vec<RawFd>,
    /// The inherited descriptors: the number in the parent, and the number in the child.
    fds: Vec<(RawFd, RawFd)>,
    /// A number above all numbers that `fds` has in the child.
    above_targets: RawFd,
    /// The limits that this process inherited and has raised for itself.
    limits: &'static [InheritedLimit],
    cwd: CString,
}

/// The factor of a step's number in the sum of number and `errno`. It is above every `errno`.
const STEP_FACTOR: i32 = 0x1_0000;

/// The number of all steps that fail only for reasons of the system.
const STEP_SYSTEM: i32 = 1;

/// The number of the step that enters the working directory.
const STEP_FOLDER: i32 = 2;

impl ChildSetup {
    fn run(&mut self) -> io::Result<()> {
        self.die_with_parent().map_err(|error| step_error(STEP_SYSTEM, error))?;
        self.enter_cgroups().map_err(|error| step_error(STEP_SYSTEM, error))?;
        reset_signals(1..=LAST_SIGNAL);
        // SAFETY: the path ends in NUL and lives as long as `self`.
        check(unsafe { libc::chdir(self.cwd.as_ptr()) })
            .map_err(|error| step_error(STEP_FOLDER, error))?;
        self.move_fds().map_err(|error| step_error(STEP_SYSTEM, error))?;
        // Last, because this process may have more open descriptors than the limit of the child allows.
        limits::restore(self.limits).map_err(|error| step_error(STEP_SYSTEM, error))
    }

    fn die_with_parent(&self) -> Result<(), Errno> {
        let Some(parent) = self.parent else { return Ok(()) };
        // SAFETY: no memory is passed.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
        // The parent may have ended before `prctl`. Then the kernel has given the child another parent.
        // SAFETY: no memory is passed.
        if unsafe { libc::getppid() } == parent { Ok(()) } else { Err(Errno::ESRCH) }
    }

    fn enter_cgroups(&self) -> Result<(), Errno> {
        self.cgroups.iter().try_for_each(|cgroup| enter(*cgroup))
    }

    /// Moves the inherited descriptors to their numbers in the child. All are first moved above every target number, so
    /// that none is overwritten before it is moved.
    fn move_fds(&mut self) -> Result<(), Errno> {
        for (from, _) in &mut self.fds {
            // SAFETY: no memory is passed.
            *from =
                check(unsafe { libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, self.above_targets) })?;
        }
        // Descriptors that this process itself inherited by mistake must not reach the child.
        close_descriptors_on_exec();
        for (from, to) in &self.fds {
            // SAFETY: no memory is passed. An overwritten descriptor belongs to this child alone.
            check(unsafe { libc::dup2(*from, *to) })?;
        }
        Ok(())
    }
}

fn enter(cgroup: RawFd) -> Result<(), Errno> {
    // SAFETY: the kernel reads one byte of a constant.
    check(unsafe { libc::pwrite(cgroup, c"0".as_ptr().cast(), 1, 0) } as i32).map(drop)
}

/// The highest number of a signal.
const LAST_SIGNAL: i32 = 64;

/// Lets the kernel close all descriptors but stdin, stdout and stderr when this process executes a program. Kernels
/// before 5.11 do not have this flag; there the call has no effect.
pub(crate) fn close_descriptors_on_exec() {
    // SAFETY: no memory is passed.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Resets signals to their default actions. Otherwise a program would ignore the signals that this process ignores.
pub(crate) fn reset_signals(signals: impl IntoIterator<Item = i32>) {
    for signal in signals {
        // SAFETY: no handler is installed. The call fails for SIGKILL and SIGSTOP, which cannot be ignored anyway.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn check(result: i32) -> Result<i32, Errno> {
    Errno::result(result)
}

fn step_error(step: i32, error: Errno) -> io::Error {
    io::Error::from_raw_os_error(step * STEP_FACTOR + error as i32)
}

/// Explains the error of starting a program. `path` is the variable `PATH` of its environment, `None` if that has none.
fn explain(error: io::Error, program: &OsStr, path: Option<&OsStr>, cwd: PathBuf) -> LaunchError {
    let name = program.to_string_lossy().into_owned();
    // The standard library refuses arguments with a NUL byte itself.
    let Some(code) = error.raw_os_error() else {
        return LaunchError::Program { program: name, source: error };
    };
    let source = io::Error::from_raw_os_error(code % STEP_FACTOR);
    match code / STEP_FACTOR {
        STEP_SYSTEM => LaunchError::System(source),
        STEP_FOLDER => LaunchError::Folder { cwd, source },
        _ if !is_about_program(code) => LaunchError::System(source),
        _ => match script_fault(program, path, &cwd) {
            Some(fault) if source.kind() == io::ErrorKind::NotFound => {
                LaunchError::Script { program: name, source: fault }
            }
            _ => LaunchError::Program { program: name, source },
        },
    }
}

/// Returns whether an `errno` of `exec` says that this program cannot be executed. `false` if the
/// system is short of memory, processes or descriptors, or if the `errno` is unknown.
fn is_about_program(code: i32) -> bool {
    !matches!(
        Errno::from_raw(code),
        Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::UnknownErrno
    )
}

/// Occupies every free descriptor number up to `highest`, until the result is dropped.
fn occupy_fds_up_to(highest: RawFd) -> io::Result<Vec<OwnedFd>> {
    let mut occupied = Vec::new();
    loop {
        // SAFETY: no memory is passed. Nothing else owns the new descriptor.
        let fd = unsafe {
            let fd = Errno::result(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 0))?;
            OwnedFd::from_raw_fd(fd)
        };
        if fd.as_raw_fd() > highest {
            return Ok(occupied);
        }
        occupied.push(fd);
    }
}
