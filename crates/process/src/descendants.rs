//! Finding processes: the descendants of a process by parentage, and the processes that carry the tag of a tree.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use crate::process_set::ProcessSet;
use crate::procfs::{Stat, pids, running_process, tree_of};

/// Adds all running descendants of a process, without the process itself.
pub(crate) fn add_descendants(root: i32, processes: &mut ProcessSet) {
    let mut unvisited = vec![root];
    while let Some(parent) = unvisited.pop() {
        for key in children_of(parent).into_iter().filter_map(running_process) {
            if processes.add(key) {
                unvisited.push(key.pid);
            }
        }
    }
}

/// Adds all processes of the trees for which `wanted(process tag, tree number)` is true. Reads every process of the
/// host. Never adds this process.
pub(crate) fn add_tagged(wanted: impl Fn(&str, u32) -> bool, processes: &mut ProcessSet) {
    let own = std::process::id() as i32;
    processes.add_pids(
        pids()
            .into_iter()
            .filter(|pid| *pid != own)
            .filter(|pid| tree_of(*pid).is_some_and(|(tag, number)| wanted(&tag, number))),
    );
}

/// Returns the children of all threads of a process, including zombies.
pub(crate) fn children_of(pid: i32) -> Vec<i32> {
    if !kernel_lists_children() {
        return children_by_search(pid);
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .flat_map(|thread| read_children(&format!("/proc/{pid}/task/{}", name(&thread))))
        .collect()
}

/// Returns the children that the main thread of this process started, and the orphans that this process adopted.
///
/// The file stays open because it is read after every task.
pub(crate) fn own_children() -> Vec<i32> {
    static LIST: OnceLock<Option<File>> = OnceLock::new();
    let own = std::process::id();
    let list = LIST.get_or_init(|| File::open(format!("/proc/{own}/task/{own}/children")).ok());
    match list {
        Some(list) => parse_children(&read_from_start(list)),
        None => children_by_search(own as i32),
    }
}

/// Reads the present content of an open file of `/proc`, from its first byte.
fn read_from_start(file: &File) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match file.read_at(&mut chunk, text.len() as u64) {
            Ok(read) if read > 0 => text.extend_from_slice(&chunk[..read]),
            _ => return String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

fn name(entry: &fs::DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

fn read_children(thread: &str) -> Vec<i32> {
    parse_children(&fs::read_to_string(format!("{thread}/children")).unwrap_or_default())
}

fn parse_children(text: &str) -> Vec<i32> {
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Finds the children of a process by reading the parent of every process of the host.
fn children_by_search(parent: i32) -> Vec<i32> {
    let is_child = |pid: &i32| Stat::read(*pid).is_some_and(|stat| stat.parent == parent);
    pids().into_iter().filter(is_child).collect()
}

/// Returns whether `/proc` has files `children`. Kernels built without `CONFIG_PROC_CHILDREN` have none.
fn kernel_lists_children() -> bool {
    static LISTS: OnceLock<bool> = OnceLock::new();
    *LISTS.get_or_init(|| {
        let own = std::process::id();
        fs::exists(format!("/proc/{own}/task/{own}/children")).unwrap_or(false)
    })
}
