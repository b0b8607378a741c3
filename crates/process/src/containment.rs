//! What holds the trees of this machine's runners, and what limits their memory: the two ladders
//! that `list-monitors` shows, what may be wished of them, and how they are handed to a worker.

use std::path::PathBuf;
use std::str::FromStr;

use rework_core::wire::worker::MemoryRung;

use crate::probe::{self, DetectError};

/// The rungs that the trees of a host stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    /// The cgroup v2 folder in which each tree gets one of its own; none: trees are held by
    /// process groups, a subreaper and a mark.
    pub cgroup: Option<PathBuf>,
    /// How limits of memory are kept.
    pub memory: MemoryRung,
}

impl Containment {
    /// Tries what this machine lets us do; what is wished for and cannot be had is an error.
    /// It starts processes (that execute nothing) and, where only this process lives in its cgroup,
    /// may move it into a child `rework-monitor`, as cgroup v2 wants it.
    pub fn detect(wish: Wish) -> Result<Containment, DetectError> {
        probe::detect(wish)
    }

    /// What [`Containment::parts`] was made of.
    pub fn from_parts(cgroup: Option<String>, memory: MemoryRung) -> Containment {
        Containment { cgroup: cgroup.map(PathBuf::from), memory }
    }

    /// As it travels to a worker and into the database.
    pub fn parts(&self) -> (Option<String>, MemoryRung) {
        let cgroup = self.cgroup.as_ref().map(|path| path.to_string_lossy().into_owned());
        (cgroup, self.memory.clone())
    }

    /// `cgroup` or `processes`, as `list-monitors` shows it.
    pub fn name(&self) -> &'static str {
        if self.cgroup.is_some() { "cgroup" } else { "processes" }
    }
}

/// What is wished of both ladders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// What holds the trees.
    pub containment: ContainmentWish,
    /// What limits their memory.
    pub memory: MemoryWish,
}

/// What is to hold the trees: `auto`, `cgroup` or `processes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContainmentWish {
    /// The best that can be had.
    #[default]
    Auto,
    /// A cgroup, or an error.
    Cgroup,
    /// Process groups, a subreaper and a mark; and sampled memory, if nothing else is wished.
    Processes,
}

/// What is to limit memory: `auto`, `cgroup` or `sampled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MemoryWish {
    /// The best that can be had.
    #[default]
    Auto,
    /// A cgroup of either version, or an error.
    Cgroup,
    /// Looking at the tree.
    Sampled,
}

/// A word that names no rung.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is none of {known}")]
pub struct UnknownWish {
    given: String,
    known: &'static str,
}

impl FromStr for ContainmentWish {
    type Err = UnknownWish;

    fn from_str(text: &str) -> Result<ContainmentWish, UnknownWish> {
        match text {
            "auto" => Ok(ContainmentWish::Auto),
            "cgroup" => Ok(ContainmentWish::Cgroup),
            "processes" => Ok(ContainmentWish::Processes),
            _ => Err(UnknownWish { given: text.to_owned(), known: "auto, cgroup, processes" }),
        }
    }
}

impl FromStr for MemoryWish {
    type Err = UnknownWish;

    fn from_str(text: &str) -> Result<MemoryWish, UnknownWish> {
        match text {
            "auto" => Ok(MemoryWish::Auto),
            "cgroup" => Ok(MemoryWish::Cgroup),
            "sampled" => Ok(MemoryWish::Sampled),
            _ => Err(UnknownWish { given: text.to_owned(), known: "auto, cgroup, sampled" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_from_text() {
        assert_eq!("processes".parse(), Ok(ContainmentWish::Processes));
        assert_eq!("sampled".parse(), Ok(MemoryWish::Sampled));
        let error = "cgroups".parse::<ContainmentWish>().unwrap_err();
        assert_eq!(error.to_string(), "`cgroups` is none of auto, cgroup, processes");
    }

    #[test]
    fn what_travels_to_a_worker_comes_back_the_same() {
        let rung = MemoryRung::CgroupV1("/sys/fs/cgroup/memory/a".to_owned());
        for cgroup in [None, Some(PathBuf::from("/sys/fs/cgroup/a"))] {
            let sent = Containment { cgroup, memory: rung.clone() };
            let (cgroup, memory) = sent.parts();
            assert_eq!(Containment::from_parts(cgroup, memory), sent);
        }
    }
}
