//! A child process that this crate started. Its exit is awaited through a pidfd, and it never stays a zombie.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::child_registry;
use crate::exit::Exit;
use crate::identity::Identity;
use crate::pidfd::{self, ProcessHandle};
use crate::procfs::{ProcessKey, Stat};

/// The pause between two attempts to read the exit of a process that has ended while a debugger traces it.
const TRACED_RETRY_PAUSE: Duration = Duration::from_millis(10);

/// A child of this process. Dropping a `Child` does not kill the process. A child that ends after the drop is reaped by
/// a later call of [`reap_adopted`](crate::reap_adopted).
#[derive(Debug)]
pub struct Child {
    key: ProcessKey,
    handle: ProcessHandle,
    exit: Option<Exit>,
}

impl Child {
    /// Attaches to a child that this process started before it executed its program again. Must be
    /// called inside a tokio runtime.
    ///
    /// Fails with `NotFound` if this process has no such child.
    pub fn attach(pid: i32) -> io::Result<Child> {
        let stat = Stat::read(pid).filter(|stat| stat.parent == std::process::id() as i32);
        Child::new(stat.ok_or(io::ErrorKind::NotFound)?.key)
    }

    /// Returns the pid. Do not use it after [`Child::wait`] has returned: it may then belong to another process.
    pub fn pid(&self) -> i32 {
        self.key.pid
    }

    pub fn identity(&self) -> Identity {
        Identity::in_own_namespace(self.key)
    }

    /// Waits until the child has ended and returns its exit. May be dropped at any point and called again, also after
    /// the end.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            // `waitid` follows only after the pidfd has become readable: this future is polled often, and each `waitid`
            // is a system call.
            self.handle.ended().await?;
            if self.try_wait()?.is_none() {
                // The process has ended, but a debugger still holds its exit.
                tokio::time::sleep(TRACED_RETRY_PAUSE).await;
            }
        }
    }

    /// Returns the exit of the child without waiting. `None` if the child still runs.
    pub fn try_wait(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_none() {
            let fd = self.handle.pidfd().as_fd();
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            self.exit = waitid(WaitId::PidFd(fd), options)?.as_ref().map(Exit::from);
            if self.exit.is_some() {
                child_registry::unregister(self.key);
            }
        }
        Ok(self.exit)
    }

    /// Sends a signal to this process alone. Does nothing if it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.handle.signal(signal)
    }

    pub(crate) fn new(key: ProcessKey) -> io::Result<Child> {
        child_registry::register(key);
        let handle = ProcessHandle::from_pidfd(pidfd::open(key.pid)?)?;
        Ok(Child { key, handle, exit: None })
    }

    pub(crate) fn key(&self) -> ProcessKey {
        self.key
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.try_wait()
            && let Ok(pidfd) = self.handle.pidfd().try_clone()
        {
            child_registry::reap_later(self.key, pidfd);
        }
    }
}
