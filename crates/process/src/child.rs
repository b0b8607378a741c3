//! A process that we started: its end is waited for by pidfd, and it never stays a zombie.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::exit::Exit;
use crate::identity::Identity;
use crate::offspring;
use crate::pidfd::{self, Watch};
use crate::procfs::{Seen, Stat};

/// Until what a debugger holds is looked at again.
const HELD: Duration = Duration::from_millis(10);

/// A child of this process. Dropping it neither kills nor forgets it: once it has ended, it is
/// waited for on the next occasion.
#[derive(Debug)]
pub struct Child {
    seen: Seen,
    watch: Watch,
    exit: Option<Exit>,
}

impl Child {
    /// Takes up a child that this process has from before, as after it re-executed itself. To be
    /// called inside a tokio runtime.
    ///
    /// The error is of kind `NotFound` when there is no such child.
    pub fn reattach(pid: i32) -> io::Result<Child> {
        let stat = Stat::read(pid).filter(|stat| stat.parent == std::process::id() as i32);
        Child::of(stat.ok_or(io::ErrorKind::NotFound)?.seen)
    }

    /// Its pid: never to be used once [`Child::wait`] has returned.
    pub fn pid(&self) -> i32 {
        self.seen.pid
    }

    pub fn identity(&self) -> Identity {
        Identity::at_home(self.seen)
    }

    /// Waits for its end. May be dropped at any point and called again, also after the end.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            // The kernel is asked for more only then: this is polled at each turn of a run.
            self.watch.ended().await?;
            if self.try_wait()?.is_none() {
                // It has ended, and a debugger holds what is left of it.
                tokio::time::sleep(HELD).await;
            }
        }
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_none() {
            let fd = self.watch.pidfd().as_fd();
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            self.exit = waitid(WaitId::PidFd(fd), options)?.as_ref().map(Exit::from);
            if self.exit.is_some() {
                offspring::ended(self.seen);
            }
        }
        Ok(self.exit)
    }

    /// Sends a signal to the process alone; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.watch.signal(signal)
    }

    pub(crate) fn of(seen: Seen) -> io::Result<Child> {
        offspring::started(seen);
        let watch = Watch::over(pidfd::open(seen.pid)?)?;
        Ok(Child { seen, watch, exit: None })
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.try_wait()
            && let Ok(pidfd) = self.watch.pidfd().try_clone()
        {
            offspring::abandon(self.seen, pidfd);
        }
    }
}
