//! Who belongs to a tree, on either rung, and how all of them are killed.

use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::cgroup::Group;
use crate::descendants::{add_below, add_carrying};
use crate::found::Found;
use crate::kill::{self, Unkillable};
use crate::offspring::{self, adopted};
use crate::procfs::{Seen, is_alive, tree_of};

/// What is known of a tree's processes.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) mark: String,
    pub(crate) number: u32,
    /// The cgroup v2 folder, where trees have one.
    pub(crate) group: Option<Group>,
    pub(crate) runner: OnceLock<Seen>,
}

impl Members {
    /// Adds all but the runner, as far as a cheap look tells.
    pub(crate) fn add_others(&self, found: &mut Found) {
        match &self.group {
            Some(group) => {
                let runner = self.kept_runner().map(|runner| runner.pid);
                found.add_pids(group.pids().into_iter().filter(|pid| Some(*pid) != runner));
            }
            None => self.add_relatives(found),
        }
    }

    /// The runner, if it runs.
    pub(crate) fn live_runner(&self) -> Option<Seen> {
        self.runner.get().copied().filter(|runner| is_alive(*runner))
    }

    /// Kills all of them; the tree is dead when this returns well.
    pub(crate) async fn kill(&self, patience: Duration) -> Result<(), Unkillable> {
        // Somebody may have moved the runner out of its cgroup, and its children went with it: then
        // only a look at every process finds them.
        let displaced = self.group.as_ref().is_none_or(|group| {
            self.live_runner().is_some_and(|runner| !group.pids().contains(&runner.pid))
        });
        self.strike_at_once();
        let look = |found: &mut Found| {
            if let Some(group) = self.group.as_ref().filter(|group| group.is_populated()) {
                group.kill();
                found.add_pids(group.pids());
            }
            self.add_relatives(found);
            self.live_runner().map(|runner| found.add(runner));
            if displaced {
                add_carrying(|mark, number| mark == self.mark && number == self.number, found);
            }
        };
        kill::until_gone(patience, look).await.map(drop)
    }

    /// Kills the runner's process group and the cgroup, without waiting: neither can be outrun by
    /// a process that forks.
    pub(crate) fn strike_at_once(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
        self.signal_group(Signal::SIGKILL);
    }

    /// Only while the runner has not been waited for: after that, its number may be another's.
    pub(crate) fn signal_group(&self, signal: Signal) {
        if let Some(runner) = self.kept_runner() {
            // A group that is empty already is no error.
            let _ = killpg(Pid::from_raw(runner.pid), signal);
        }
    }

    /// Adds what is below the runner, and what we adopted, but not what belongs to another tree of
    /// the same worker.
    fn add_relatives(&self, found: &mut Found) {
        if let Some(runner) = self.kept_runner() {
            add_below(runner.pid, found);
        }
        for orphan in adopted() {
            let owner = tree_of(orphan.pid);
            if !owner.is_some_and(|(mark, number)| mark == self.mark && number != self.number) {
                found.add(orphan);
                add_below(orphan.pid, found);
            }
        }
    }

    /// The runner while its pid is its own: nobody has waited for it.
    fn kept_runner(&self) -> Option<Seen> {
        self.runner.get().copied().filter(|runner| offspring::is_kept(*runner))
    }
}
