//! How a child process is started: the only unsafe code of this crate.
//!
//! Between fork and exec the child puts itself where it belongs, in steps that are all safe there
//! (plain system calls, nothing allocated): it asks to die with its parent, enters its cgroups,
//! takes a process group of its own, has no signal ignored or blocked, and keeps open only what it
//! was given. A step that fails is told from an exec that fails by a number added to its `errno`.
#![expect(unsafe_code, reason = "what a child does before it executes cannot be said otherwise")]

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;

use crate::child::Child;
use crate::procfs::seen_now;

/// What to start, and with what.
#[derive(Debug)]
pub struct Launch {
    /// The program: a path, or a name that is looked for in `PATH` of `env`. A text without
    /// `#!` is given to `/bin/sh`, as a shell would.
    pub program: OsString,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing of ours is passed on.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its fd 0.
    pub stdin: OwnedFd,
    /// Its fd 1.
    pub stdout: OwnedFd,
    /// Its fd 2.
    pub stderr: OwnedFd,
    /// What else it inherits, and as which fd (3 or higher). It has no other fd open.
    pub fds: Vec<(OwnedFd, RawFd)>,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program is not there, or cannot be executed.
    #[error("cannot execute `{program}`")]
    Program {
        /// As it was given.
        program: String,
        /// `ENOENT`, `EACCES`…
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory `{}`", cwd.display())]
    Folder {
        /// As it was given.
        cwd: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The machine refused: no process, no memory or no file descriptor left, no such cgroup.
    #[error("cannot start a process")]
    System(#[source] io::Error),
}

/// Starts a process outside of any tree: in a process group of its own, outliving us. To be called
/// on the main thread, inside a tokio runtime.
pub fn launch(launch: Launch) -> Result<Child, LaunchError> {
    spawn(launch, &[], false)
}

/// Starts a process that enters these cgroups (their `cgroup.procs`, open for writing) first.
pub(crate) fn spawn(
    launch: Launch,
    groups: &[OwnedFd],
    dies_with_parent: bool,
) -> Result<Child, LaunchError> {
    let system = LaunchError::System;
    let highest = launch.fds.iter().map(|(_, target)| *target).max().unwrap_or(2);
    if launch.fds.iter().any(|(_, target)| *target <= 2) {
        return Err(system(io::ErrorKind::InvalidInput.into()));
    }
    let cwd = CString::new(launch.cwd.as_os_str().as_bytes())
        .map_err(|_| system(io::ErrorKind::InvalidInput.into()))?;
    // The pipe by which std learns of a failed exec must not lie where an inherited fd will go.
    let _reserved = occupy_up_to(highest).map_err(system)?;
    let mut prelude = Prelude {
        parent: dies_with_parent.then(|| std::process::id() as i32),
        groups: groups.iter().map(AsRawFd::as_raw_fd).collect(),
        fds: launch.fds.iter().map(|(fd, target)| (fd.as_raw_fd(), *target)).collect(),
        above: highest + 1,
        cwd,
    };
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).env_clear().envs(launch.env).process_group(0);
    command.stdin(Stdio::from(launch.stdin));
    command.stdout(Stdio::from(launch.stdout));
    command.stderr(Stdio::from(launch.stderr));
    // SAFETY: `run` makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(move || prelude.run()) };
    let mut process =
        command.spawn().map_err(|error| explain(&error, &launch.program, launch.cwd))?;
    seen_now(process.id() as i32).and_then(Child::of).map_err(|error| {
        // A process that we could not wait for must not run.
        drop(process.kill());
        drop(process.wait());
        system(error)
    })
}

/// Whether a child process of ours can enter a cgroup: it tries, and executes nothing.
pub(crate) fn try_entering(group: &OwnedFd) -> io::Result<()> {
    let group = group.as_raw_fd();
    let enter = move || enter(group).map_err(|error| at(IN_SYSTEM, error));
    let mut command = Command::new("/proc/self/no-such-program");
    // SAFETY: `enter` makes one system call; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(enter) };
    match command.spawn() {
        Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => Ok(()),
        Err(error) => {
            Err(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or_default() % STEP))
        }
        Ok(_) => Err(io::ErrorKind::Other.into()),
    }
}

/// What the child does before it executes.
struct Prelude {
    /// Whom it must not outlive.
    parent: Option<i32>,
    groups: Vec<RawFd>,
    /// From and to.
    fds: Vec<(RawFd, RawFd)>,
    /// Above all that `fds` goes to.
    above: RawFd,
    cwd: CString,
}

/// Added to the `errno` of a step that failed, times [`STEP`].
const STEP: i32 = 0x1_0000;
const IN_SYSTEM: i32 = 1;
const IN_FOLDER: i32 = 2;

impl Prelude {
    fn run(&mut self) -> io::Result<()> {
        self.die_with_parent().map_err(|error| at(IN_SYSTEM, error))?;
        self.enter_groups().map_err(|error| at(IN_SYSTEM, error))?;
        heed_signals();
        // SAFETY: the path ends in NUL and lives as long as we do.
        check(unsafe { libc::chdir(self.cwd.as_ptr()) }).map_err(|error| at(IN_FOLDER, error))?;
        self.place_fds().map_err(|error| at(IN_SYSTEM, error))
    }

    fn die_with_parent(&self) -> Result<(), Errno> {
        let Some(parent) = self.parent else { return Ok(()) };
        // SAFETY: no memory is passed.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
        // It may have ended before the kernel was asked.
        // SAFETY: no memory is passed.
        if unsafe { libc::getppid() } == parent { Ok(()) } else { Err(Errno::ESRCH) }
    }

    fn enter_groups(&self) -> Result<(), Errno> {
        self.groups.iter().try_for_each(|group| enter(*group))
    }

    /// First all above every target, so that none is overwritten before it is placed.
    fn place_fds(&mut self) -> Result<(), Errno> {
        for (from, _) in &mut self.fds {
            // SAFETY: no memory is passed.
            *from = check(unsafe { libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, self.above) })?;
        }
        // What somebody started us with, and forgot, is not handed on. Kernels before 5.11 cannot.
        // SAFETY: no memory is passed.
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        for (from, to) in &self.fds {
            // SAFETY: no memory is passed; what is overwritten belongs to this child alone.
            check(unsafe { libc::dup2(*from, *to) })?;
        }
        Ok(())
    }
}

fn enter(group: RawFd) -> Result<(), Errno> {
    // SAFETY: one byte of a constant is read.
    check(unsafe { libc::pwrite(group, c"0".as_ptr().cast(), 1, 0) } as i32).map(drop)
}

/// A signal that we ignore, or that whoever started us ignored, would be ignored by the program.
fn heed_signals() {
    for signal in 1..32 {
        // SAFETY: no handler is installed. It fails for SIGKILL and SIGSTOP, which need it not.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn check(result: i32) -> Result<i32, Errno> {
    Errno::result(result)
}

fn at(step: i32, error: Errno) -> io::Error {
    io::Error::from_raw_os_error(step * STEP + error as i32)
}

fn explain(error: &io::Error, program: &OsString, cwd: PathBuf) -> LaunchError {
    let code = error.raw_os_error().unwrap_or_default();
    let source = io::Error::from_raw_os_error(code % STEP);
    match code / STEP {
        IN_SYSTEM => LaunchError::System(source),
        IN_FOLDER => LaunchError::Folder { cwd, source },
        _ if is_about_program(code) => {
            LaunchError::Program { program: program.to_string_lossy().into_owned(), source }
        }
        _ => LaunchError::System(source),
    }
}

/// Whether an exec fails so because of what is to be executed; else the machine is at fault.
fn is_about_program(code: i32) -> bool {
    !matches!(
        Errno::from_raw(code),
        Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::UnknownErrno
    )
}

/// Takes every fd number up to `highest` that is free, until what it returns is dropped.
fn occupy_up_to(highest: RawFd) -> io::Result<Vec<OwnedFd>> {
    let mut taken = Vec::new();
    loop {
        // SAFETY: no memory is passed; what it returns is ours alone.
        let fd = unsafe {
            let fd = Errno::result(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 0))?;
            OwnedFd::from_raw_fd(fd)
        };
        if fd.as_raw_fd() > highest {
            return Ok(taken);
        }
        taken.push(fd);
    }
}
