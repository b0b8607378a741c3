//! Process trees of rework: starting them, finding and killing all their processes, measuring what they use.
//!
//! A [`Tree`] holds one runner and all its descendants. Where this host allows it, a tree is a cgroup, and
//! `cgroup.kill` ends it. Otherwise this process is the subreaper of the tree, and finds the members by parentage and
//! by a tag in their environment. [`Containment`] holds which of the two is used. [`sweep`] kills the trees of a worker
//! that has died.
//!
//! [`WorkerFolder`] is the folder for temporary files of a worker, which also shows whether the worker lives.
//!
//! This crate is for programs that start all children on their main thread, because the kernel kills a runner when the
//! *thread* that started it ends. After [`become_subreaper`], a child of this process that this crate did not start
//! counts as left over from a tree and is killed with it, unless it was passed to [`exempt`].

mod cgroup;
mod child;
mod child_registry;
mod choice;
mod containment;
mod delegate;
mod descendants;
mod exit;
mod hierarchy;
mod identity;
mod inheritance;
mod kill;
mod launch;
mod limits;
mod members;
mod memory;
mod pidfd;
mod probe;
mod process_set;
mod procfs;
mod script;
mod self_kill;
mod sweep;
mod tree;
mod usage;
mod worker_folder;

pub use child::Child;
pub use child_registry::{become_subreaper, exempt, reap_adopted};
pub use choice::{Choice, ContainmentChoice, MemoryChoice, UnknownChoice};
pub use containment::Containment;
pub use exit::{Exit, signal_name};
pub use identity::{Identity, host_name};
pub use inheritance::{reset_child_signal, reset_inheritance};
pub use kill::Unkillable;
pub use launch::{Launch, LaunchError, launch};
pub use limits::{lower_limits, raise_limits};
pub use pidfd::{ProcessHandle, is_running};
pub use probe::DetectError;
pub use script::{ScriptFault, script_fault};
pub use self_kill::{SelfKill, boot_time};
pub use sweep::sweep;
pub use tree::Tree;
pub use usage::{Sample, Usage, cpu_percent};
pub use worker_folder::{WorkerFolder, dead_workers, remove_worker_folder};
