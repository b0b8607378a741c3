//! Process trees of rework: who a process is, what holds it, how all of it dies, what it uses.
//!
//! A [`Tree`] is what one runner and everything that descends from it live in. Where the machine
//! lets us, it is a cgroup, and `cgroup.kill` ends it; else we are its subreaper, and it is swept
//! by parentage and by a mark in the environment ([`Containment`] says which). [`sweep`] does the
//! same for the trees of a worker that has died.
//!
//! All of it is for single-threaded programs: every child is started on the main thread, because
//! the kernel kills a runner when the *thread* that started it ends. After [`become_subreaper`],
//! whatever is a child of this process and was neither started by this crate nor [`spare`]d counts
//! as left over from a tree, and dies with it.

mod cgroup;
mod child;
mod containment;
mod delegate;
mod descendants;
mod exit;
mod found;
mod hierarchy;
mod identity;
mod kill;
mod launch;
mod members;
mod memory;
mod offspring;
mod pidfd;
mod probe;
mod procfs;
mod self_kill;
mod sweep;
mod tree;
mod usage;
mod wish;

pub use child::Child;
pub use containment::Containment;
pub use exit::{Exit, signal_name};
pub use identity::{Identity, host_name};
pub use kill::Unkillable;
pub use launch::{Launch, LaunchError, launch};
pub use offspring::{become_subreaper, reap_adopted, spare};
pub use pidfd::Watch;
pub use probe::DetectError;
pub use self_kill::{SelfKill, boot_time};
pub use sweep::sweep;
pub use tree::Tree;
pub use usage::{Sample, Usage, cpu_percent};
pub use wish::{ContainmentWish, MemoryWish, UnknownWish, Wish};
