//! What workers leave that were killed with everything that would have cleared away after them:
//! cgroups and temporary folders. Each is named after the worker's mark.

use std::fs;
use std::path::{Path, PathBuf};

use super::session::Session;

/// Removes those of the workers of a database. One that is busy is only untidy.
pub(crate) fn remove(session: &Session) {
    let there = "select exists (select from pg_tables where schemaname = 'rework'
                                and tablename = 'worker')";
    if !session.try_one::<bool>(there, &[]).unwrap_or(false) {
        return;
    }
    let sql = "select mark::text, array_remove(array[cgroup, memory_cgroup], null)
                 from rework.worker";
    for worker in session.rows(sql, &[]) {
        let mark: String = worker.get(0);
        drop(fs::remove_dir_all(std::env::temp_dir().join(format!("rework-{mark}"))));
        for cgroup in worker.get::<_, Vec<String>>(1) {
            for tree in trees(Path::new(&cgroup), &mark) {
                drop(fs::remove_dir(tree));
            }
        }
    }
}

/// The cgroups of a worker's trees.
fn trees(place: &Path, mark: &str) -> Vec<PathBuf> {
    let prefix = format!("rework-{mark}-");
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&prefix);
    entries.flatten().filter(named).map(|entry| entry.path()).collect()
}
