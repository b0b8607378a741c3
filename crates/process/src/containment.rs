//! How the process trees of this host are contained: what holds the processes of a tree together, and what limits their
//! memory. `list-monitors` shows both. `probe.rs` finds out which methods this host offers.

use std::path::PathBuf;

use rework_wire::worker::MemoryMethod;

/// The containment method and the memory method of the process trees of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    /// The cgroup v2 directory below which each tree gets a cgroup. `None` if trees are held together by process
    /// groups, a subreaper and the process tag.
    pub cgroup: Option<PathBuf>,
    /// The method that limits the memory of a tree.
    pub memory: MemoryMethod,
}

impl Containment {
    /// Builds a containment from the values of [`Containment::parts`].
    pub fn from_parts(cgroup: Option<String>, memory: MemoryMethod) -> Containment {
        Containment { cgroup: cgroup.map(PathBuf::from), memory }
    }

    /// Returns the cgroup directory and the memory method, in the form in which a worker receives
    /// them and the database stores them. The directory is `None` if trees have no cgroup.
    pub fn parts(&self) -> (Option<String>, MemoryMethod) {
        let cgroup = self.cgroup.as_ref().map(|path| path.to_string_lossy().into_owned());
        (cgroup, self.memory.clone())
    }

    /// Returns `cgroup` or `processes`, as `list-monitors` shows it.
    pub fn name(&self) -> &'static str {
        if self.cgroup.is_some() { "cgroup" } else { "processes" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containment_built_from_its_parts_is_the_same() {
        let memory = MemoryMethod::CgroupV1("/sys/fs/cgroup/memory/a".to_owned());
        for cgroup in [None, Some(PathBuf::from("/sys/fs/cgroup/a"))] {
            let sent = Containment { cgroup, memory: memory.clone() };
            let (cgroup, memory) = sent.parts();
            assert_eq!(Containment::from_parts(cgroup, memory), sent);
        }
    }
}
