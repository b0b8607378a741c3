//! Removes cgroups and temporary folders of workers at the end of a test.
//!
//! Usually a monitor removes them. A test kills its monitors and workers together, and then nobody does. The names of
//! these folders contain the worker's process tag.

use std::fs;
use std::path::{Path, PathBuf};

use super::session::Session;

/// Removes the cgroups and the temporary folders of all workers in the test's database. Errors are ignored, because a
/// folder that is left does not disturb other tests.
pub(crate) fn remove(session: &Session) {
    let has_schema = "select exists (select from pg_tables where schemaname = 'rework'
                                and tablename = 'worker')";
    if !session.try_query_value::<bool>(has_schema, &[]).unwrap_or(false) {
        return;
    }
    let sql = "select process_tag::text, array_remove(array[cgroup, memory_cgroup], null)
                 from rework.worker";
    for worker in session.query(sql, &[]) {
        let process_tag: String = worker.get(0);
        drop(fs::remove_dir_all(std::env::temp_dir().join(format!("rework-{process_tag}"))));
        for cgroup in worker.get::<_, Vec<String>>(1) {
            for child in worker_cgroups(Path::new(&cgroup), &process_tag) {
                drop(fs::remove_dir(child));
            }
        }
    }
}

/// Returns the cgroups below `parent` that a worker has made for its runs.
fn worker_cgroups(parent: &Path, process_tag: &str) -> Vec<PathBuf> {
    let prefix = format!("rework-{process_tag}-");
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&prefix);
    entries.flatten().filter(named).map(|entry| entry.path()).collect()
}
