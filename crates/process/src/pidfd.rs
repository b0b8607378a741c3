//! Signals and waits through a pidfd. A pidfd refers to one process for good, so neither can reach a later process with
//! the same pid.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::exit::Exit;
use crate::identity::Identity;
use crate::procfs::{ProcessKey, Stat, is_alive};

/// A handle to a process of this pid namespace, which need not be a child of this process.
#[derive(Debug)]
pub struct ProcessHandle {
    fd: AsyncFd<OwnedFd>,
}

impl ProcessHandle {
    /// Opens a handle to exactly this process. Must be called inside a tokio runtime.
    ///
    /// Fails with `NotFound` if the process has ended and was reaped.
    pub fn open(identity: &Identity) -> io::Result<ProcessHandle> {
        let fd = open(identity.pid)?;
        // The check comes after the pidfd is open: from then on the pidfd cannot refer to another process.
        if Identity::of(identity.pid).as_ref() != Some(identity) {
            return Err(io::ErrorKind::NotFound.into());
        }
        ProcessHandle::from_pidfd(fd)
    }

    /// Waits until the process has ended. A zombie counts as ended. May be called again, and its
    /// future may be dropped at any point.
    pub async fn ended(&self) -> io::Result<()> {
        self.fd.readable().await.map(drop)
    }

    /// Returns the exit of a process that has ended, and reaps it. `None` if it still runs, is not a child of this
    /// process, or was reaped before.
    pub fn exit(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.fd.get_ref().as_fd()), options).ok()??;
        Some(Exit::from(&status))
    }

    /// Sends a signal to the process. Does nothing if it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        send_signal(&self.fd, signal)
    }

    #[expect(
        deprecated,
        reason = "its successor is unsafe, and an `OwnedFd` already gives the guarantee it asks for"
    )]
    pub(crate) fn from_pidfd(fd: OwnedFd) -> io::Result<ProcessHandle> {
        Ok(ProcessHandle { fd: AsyncFd::with_interest(fd, Interest::READABLE)? })
    }

    pub(crate) fn pidfd(&self) -> &OwnedFd {
        self.fd.get_ref()
    }
}

impl Identity {
    /// Returns whether `/proc` hides the process that has this pid now (the mount option `hidepid`): it runs, and it is
    /// not known whether it is this one. Monitors and workers are hidden even from other processes of their user.
    pub fn is_hidden(&self) -> bool {
        self.in_same_pid_namespace(&Identity::in_own_namespace(self.key()))
            && Stat::read(self.pid).is_none()
            && is_running(self.pid)
    }
}

/// Opens a pidfd of the process that has this pid now. Fails with `NotFound` if there is none.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|error| match error {
        rustix::io::Errno::SRCH => io::ErrorKind::NotFound.into(),
        other => other.into(),
    })
}

/// Returns whether the process that has this pid now runs, also if `/proc` hides it. A zombie does not run. If no pidfd
/// can be opened although there is such a process, it counts as running.
pub fn is_running(pid: i32) -> bool {
    match open(pid) {
        Ok(fd) => {
            // The pidfd becomes readable when the process ends.
            let mut polled = [PollFd::new(&fd, PollFlags::IN)];
            !matches!(poll(&mut polled, Some(&Timespec::default())), Ok(1..))
        }
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Sends a signal to the process of a pidfd. A process that has ended is not an error.
pub(crate) fn send_signal(fd: impl AsFd, signal: Signal) -> io::Result<()> {
    let signal = rustix::process::Signal::from_named_raw(signal as i32)
        .ok_or(io::ErrorKind::InvalidInput)?;
    match pidfd_send_signal(fd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sends a signal to exactly this process. A process that has ended is not an error.
pub(crate) fn signal_process(key: ProcessKey, signal: Signal) -> io::Result<()> {
    match open(key.pid) {
        Ok(fd) if is_alive(key) => send_signal(fd, signal),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
