//! The processes below a process, by parentage, and those that carry a tree's mark.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use crate::found::Found;
use crate::procfs::{Stat, pids, seen_alive, tree_of};

/// Adds everything that runs below a process, without itself.
pub(crate) fn add_below(root: i32, found: &mut Found) {
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for seen in children_of(parent).into_iter().filter_map(seen_alive) {
            if found.add(seen) {
                open.push(seen.pid);
            }
        }
    }
}

/// Adds what belongs, by its mark, to a tree that is wanted; never this process itself.
pub(crate) fn add_carrying(wanted: impl Fn(&str, u32) -> bool, found: &mut Found) {
    let own = std::process::id() as i32;
    found.add_pids(
        pids()
            .into_iter()
            .filter(|pid| *pid != own)
            .filter(|pid| tree_of(*pid).is_some_and(|(mark, number)| wanted(&mark, number))),
    );
}

/// The children of all threads of a process, zombies too.
pub(crate) fn children_of(pid: i32) -> Vec<i32> {
    if !kernel_lists_children() {
        return children_by_search(pid);
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .flat_map(|thread| read_children(&format!("/proc/{pid}/task/{}", name(&thread))))
        .collect()
}

/// The children of this process that were started by its main thread, and all that it adopted. Asked
/// after every task: the file is kept open.
pub(crate) fn own_children() -> Vec<i32> {
    static LIST: OnceLock<Option<File>> = OnceLock::new();
    let own = std::process::id();
    let list = LIST.get_or_init(|| File::open(format!("/proc/{own}/task/{own}/children")).ok());
    match list {
        Some(list) => parse_children(&read_again(list)),
        None => children_by_search(own as i32),
    }
}

/// What a file of the kernel says now.
fn read_again(file: &File) -> String {
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

fn children_by_search(parent: i32) -> Vec<i32> {
    let is_child = |pid: &i32| Stat::read(*pid).is_some_and(|stat| stat.parent == parent);
    pids().into_iter().filter(is_child).collect()
}

/// A kernel may be built without `CONFIG_PROC_CHILDREN`.
fn kernel_lists_children() -> bool {
    static LISTS: OnceLock<bool> = OnceLock::new();
    *LISTS.get_or_init(|| {
        let own = std::process::id();
        fs::exists(format!("/proc/{own}/task/{own}/children")).unwrap_or(false)
    })
}
