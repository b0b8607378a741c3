//! Finds and removes cgroups and temporary folders of workers at the end of a test.
//!
//! Usually a monitor removes them. A test that kills its monitors and workers together has to remove them itself. The
//! names of these folders contain the worker's process tag.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_postgres::Row;

use super::session::Session;

/// Removes the cgroups and the temporary folders of all workers in the test's database. Errors are ignored, because a
/// folder that is left does not disturb other tests.
pub(crate) fn remove(session: &Session) {
    let has_schema = "select exists (select from pg_tables where schemaname = 'rework'
                                and tablename = 'worker')";
    if !session.try_query_value::<bool>(has_schema, &[]).unwrap_or(false) {
        return;
    }
    let process_tags = "select process_tag::text from rework.worker";
    for process_tag in session.query_values::<String>(process_tags, &[]) {
        drop(fs::remove_dir_all(std::env::temp_dir().join(format!("rework-{process_tag}"))));
    }
    for cgroup in cgroups(session) {
        drop(fs::remove_dir(cgroup));
    }
}

/// Returns the cgroups that exist and that the workers in the test's database have made for their runs.
pub(crate) fn cgroups(session: &Session) -> Vec<PathBuf> {
    let sql = "select process_tag::text, array_remove(array[cgroup, memory_cgroup], null)
                 from rework.worker";
    session.query(sql, &[]).iter().flat_map(cgroups_of_worker).collect()
}

/// Returns the cgroups of a worker, of which `row` has the process tag and the folders in which it makes cgroups.
fn cgroups_of_worker(row: &Row) -> Vec<PathBuf> {
    let (process_tag, parents): (String, Vec<String>) = (row.get(0), row.get(1));
    let prefix = format!("rework-{process_tag}-");
    parents.iter().flat_map(|parent| subfolders(Path::new(parent), &prefix)).collect()
}

/// Returns the folders in `parent` whose names start with `prefix`.
fn subfolders(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
    entries.flatten().filter(named).map(|entry| entry.path()).collect()
}
