//! Processes held by a pidfd: it names one process for good, so that a signal or a wait can never
//! reach a later process with the same pid.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::Signal;
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::exit::Exit;
use crate::identity::Identity;
use crate::procfs::{Seen, is_alive};

/// Waits for the end of any process that we can see, our child or not.
#[derive(Debug)]
pub struct Watch {
    fd: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Watches this very process. To be called inside a tokio runtime.
    ///
    /// The error is of kind `NotFound` when it has ended and was waited for by its parent.
    pub fn open(identity: &Identity) -> io::Result<Watch> {
        let fd = open(identity.pid)?;
        // Asked after the pidfd is held: from here on it cannot be another process.
        if Identity::of(identity.pid).as_ref() != Some(identity) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Watch::over(fd)
    }

    /// Returns when the process has ended, waited for by its parent or not. May be called again,
    /// and dropped at any point.
    pub async fn ended(&self) -> io::Result<()> {
        self.fd.readable().await.map(drop)
    }

    /// How the process ended, where it has and is a child of ours: it is waited for, if nobody else did.
    pub fn exit(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.fd.get_ref().as_fd()), options).ok()??;
        Some(Exit::from(&status))
    }

    /// Sends a signal to the process; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        send(&self.fd, signal)
    }

    #[expect(deprecated, reason = "its successor is unsafe, for what an `OwnedFd` promises anyway")]
    pub(crate) fn over(fd: OwnedFd) -> io::Result<Watch> {
        Ok(Watch { fd: AsyncFd::with_interest(fd, Interest::READABLE)? })
    }

    pub(crate) fn pidfd(&self) -> &OwnedFd {
        self.fd.get_ref()
    }
}

/// A pidfd of whatever process has this pid now; `NotFound` if none.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|error| match error {
        rustix::io::Errno::SRCH => io::ErrorKind::NotFound.into(),
        other => other.into(),
    })
}

/// Sends a signal to the process of a pidfd; one that has ended is no error.
pub(crate) fn send(fd: impl AsFd, signal: Signal) -> io::Result<()> {
    let signal = rustix::process::Signal::from_named_raw(signal as i32)
        .ok_or(io::ErrorKind::InvalidInput)?;
    match pidfd_send_signal(fd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sends a signal to this very process, if it still runs.
pub(crate) fn strike(seen: Seen, signal: Signal) -> io::Result<()> {
    match open(seen.pid) {
        Ok(fd) if is_alive(seen) => send(fd, signal),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
