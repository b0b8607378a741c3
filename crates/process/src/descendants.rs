//! The processes below a process, by parentage, and those that carry a tree's mark.

use std::collections::HashSet;
use std::fs;
use std::sync::OnceLock;

use crate::procfs::{Seen, Stat, pids, seen_alive, tree_of};

/// Everything that runs below a process, without itself.
pub(crate) fn below(root: i32) -> Vec<Seen> {
    let mut found = Vec::new();
    let mut known = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for pid in children_of(parent) {
            if let Some(seen) = seen_alive(pid).filter(|_| known.insert(pid)) {
                found.push(seen);
                open.push(pid);
            }
        }
    }
    found
}

/// The children of all threads of a process, zombies too.
pub(crate) fn children_of(pid: i32) -> Vec<i32> {
    if !kernel_lists_children() {
        return pids()
            .into_iter()
            .filter(|child| Stat::read(*child).is_some_and(|stat| stat.parent == pid))
            .collect();
    }
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        if let Ok(text) = fs::read_to_string(thread.path().join("children")) {
            children
                .extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
    }
    children
}

/// What runs and belongs, by its mark, to a tree that is wanted; never this process itself.
pub(crate) fn carrying(wanted: impl Fn(&str, u32) -> bool) -> Vec<Seen> {
    let own = std::process::id() as i32;
    pids()
        .into_iter()
        .filter(|pid| *pid != own)
        .filter(|pid| tree_of(*pid).is_some_and(|(mark, number)| wanted(&mark, number)))
        .filter_map(seen_alive)
        .collect()
}

/// A kernel may be built without `CONFIG_PROC_CHILDREN`.
fn kernel_lists_children() -> bool {
    static LISTS: OnceLock<bool> = OnceLock::new();
    *LISTS.get_or_init(|| {
        let own = std::process::id();
        fs::exists(format!("/proc/{own}/task/{own}/children")).unwrap_or(false)
    })
}
