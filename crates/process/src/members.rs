//! The members of a process tree: finding them, with a cgroup or without one, and killing all of them.

use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::cgroup::Cgroup;
use crate::child_registry::{self, adopted};
use crate::descendants::{add_descendants, add_tagged};
use crate::kill::{self, Unkillable};
use crate::process_set::ProcessSet;
use crate::procfs::{ProcessKey, is_alive, tree_of};

/// Everything by which the processes of a tree are found.
#[derive(Debug)]
pub(crate) struct Members {
    /// The tag that the processes of all trees of the same worker carry.
    pub(crate) process_tag: String,
    /// The number of this tree among the trees of its worker.
    pub(crate) number: u32,
    /// The cgroup v2 directory of the tree. `None` if trees have none on this host.
    pub(crate) cgroup: Option<Cgroup>,
    pub(crate) runner: OnceLock<ProcessKey>,
}

impl Members {
    /// Adds all members but the runner, as far as a cheap search finds them.
    pub(crate) fn add_others(&self, processes: &mut ProcessSet) {
        match &self.cgroup {
            Some(cgroup) => {
                let runner = self.unreaped_runner().map(|runner| runner.pid);
                processes.add_pids(cgroup.pids().into_iter().filter(|pid| Some(*pid) != runner));
            }
            None => self.add_descendants_and_orphans(processes),
        }
    }

    /// Returns the runner. `None` if it has ended.
    pub(crate) fn live_runner(&self) -> Option<ProcessKey> {
        self.runner.get().copied().filter(|runner| is_alive(*runner))
    }

    /// Kills all members. Returns `Ok` when none is left.
    pub(crate) async fn kill(&self, timeout: Duration) -> Result<(), Unkillable> {
        // If something moved the runner out of its cgroup, the children of the runner left with it. Then only a search
        // through all processes of the host finds them. Without a cgroup this search is always necessary.
        let needs_full_search = self.cgroup.as_ref().is_none_or(|cgroup| {
            self.live_runner().is_some_and(|runner| !cgroup.pids().contains(&runner.pid))
        });
        self.send_kill();
        let search = |processes: &mut ProcessSet| {
            if let Some(cgroup) = self.cgroup.as_ref().filter(|cgroup| cgroup.is_populated()) {
                cgroup.kill();
                processes.add_pids(cgroup.pids());
            }
            self.add_descendants_and_orphans(processes);
            self.live_runner().map(|runner| processes.add(runner));
            if needs_full_search {
                let is_ours =
                    |tag: &str, number: u32| tag == self.process_tag && number == self.number;
                add_tagged(is_ours, processes);
            }
        };
        kill::kill_until_none(timeout, search).await.map(drop)
    }

    /// Kills the cgroup and the process group of the runner, without waiting. A process cannot escape either by
    /// forking, because the kernel signals the whole group at once.
    pub(crate) fn send_kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        self.signal_process_group(Signal::SIGKILL);
    }

    /// Signals the process group of the runner. Does nothing after the runner was reaped: another process group may
    /// have its number then.
    pub(crate) fn signal_process_group(&self, signal: Signal) {
        if let Some(runner) = self.unreaped_runner() {
            // An empty process group is not an error.
            let _ = killpg(Pid::from_raw(runner.pid), signal);
        }
    }

    /// Adds the descendants of the runner, and the adopted orphans with their descendants. Skips orphans that belong to
    /// another tree of the same worker.
    fn add_descendants_and_orphans(&self, processes: &mut ProcessSet) {
        if let Some(runner) = self.unreaped_runner() {
            add_descendants(runner.pid, processes);
        }
        for orphan in adopted() {
            let owner = tree_of(orphan.pid);
            let is_foreign =
                owner.is_some_and(|(tag, number)| tag == self.process_tag && number != self.number);
            if !is_foreign {
                processes.add(orphan);
                add_descendants(orphan.pid, processes);
            }
        }
    }

    /// Returns the runner until it is reaped: so long its pid cannot belong to another process.
    /// `None` before the runner is started and after it is reaped.
    fn unreaped_runner(&self) -> Option<ProcessKey> {
        self.runner.get().copied().filter(|runner| child_registry::is_unreaped(*runner))
    }
}
