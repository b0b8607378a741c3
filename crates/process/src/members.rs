//! Who belongs to a tree, on either rung, and how all of them are killed.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::cgroup::Group;
use crate::descendants::{below, carrying};
use crate::kill;
use crate::offspring::{self, adopted};
use crate::pidfd;
use crate::procfs::{Seen, is_alive, tree_of};
use crate::tree::Unkillable;

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
    /// All that runs in the tree, as far as a cheap look tells.
    pub(crate) fn all(&self) -> Vec<Seen> {
        let mut all = self.others();
        all.extend(self.live_runner());
        all
    }

    /// All but the runner.
    pub(crate) fn others(&self) -> Vec<Seen> {
        let runner = self.runner.get().copied();
        match &self.group {
            Some(group) => {
                group.members().into_iter().filter(|seen| Some(*seen) != runner).collect()
            }
            None => self.relatives(),
        }
    }

    /// Kills all of them; the tree is dead when this returns well.
    pub(crate) async fn kill(&self, patience: Duration) -> Result<(), Unkillable> {
        // Somebody may have moved the runner out of its cgroup, and its children went with it: then
        // only a look at every process finds them.
        let displaced = self.group.as_ref().is_none_or(|group| {
            self.live_runner().is_some_and(|runner| !group.members().contains(&runner))
        });
        self.strike_at_once();
        kill::until_gone(patience, || {
            if let Some(group) = self.group.as_ref().filter(|group| group.is_populated()) {
                group.kill();
            }
            self.remaining(displaced)
        })
        .await
        .map(drop)
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
        if let Some(runner) = self.runner.get().filter(|runner| offspring::is_kept(**runner)) {
            // A group that is empty already is no error.
            let _ = killpg(Pid::from_raw(runner.pid), signal);
        }
    }

    fn remaining(&self, everywhere: bool) -> Vec<Seen> {
        let mut found: BTreeSet<Seen> = self.relatives().into_iter().collect();
        found.extend(self.live_runner());
        found.extend(self.group.iter().flat_map(Group::members));
        if everywhere {
            found.extend(carrying(|mark, number| self.is_of(mark, number)));
        }
        found.into_iter().collect()
    }

    /// What is below the runner, and what we adopted, but not what belongs to another tree of ours.
    fn relatives(&self) -> Vec<Seen> {
        let runner = self.runner.get().filter(|runner| is_alive(**runner));
        let mut found = runner.map_or_else(Vec::new, |runner| below(runner.pid));
        for orphan in adopted() {
            let owner = tree_of(orphan.pid);
            if !owner.is_some_and(|(mark, number)| mark == self.mark && number != self.number) {
                found.push(orphan);
                found.extend(below(orphan.pid));
            }
        }
        found
    }

    fn live_runner(&self) -> Option<Seen> {
        self.runner.get().copied().filter(|runner| is_alive(*runner))
    }

    fn is_of(&self, mark: &str, number: u32) -> bool {
        mark == self.mark && number == self.number
    }
}

/// Sends SIGKILL to each, if it still is who it was.
pub(crate) fn strike_all(found: &[Seen], signal: Signal) {
    for seen in found {
        if let Err(error) = pidfd::strike(*seen, signal) {
            tracing::debug!(pid = seen.pid, %signal, %error, "cannot signal a process");
        }
    }
}
