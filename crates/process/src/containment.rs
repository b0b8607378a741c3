//! What holds the trees of this machine's runners, and what limits their memory: the two ladders
//! that `list-monitors` shows, and how they are handed to a worker.

use std::path::PathBuf;

use rework_wire::worker::MemoryRung;

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

#[cfg(test)]
mod tests {
    use super::*;

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
