//! The mounted cgroup hierarchies: finding the directory of this process in cgroup v2 and in the v1 `memory` hierarchy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the directory of this process in the v2 hierarchy. `None` if that is not mounted or does not show it.
pub(crate) fn own_v2() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    locate(path, |kind, _| kind == "cgroup2")
}

/// Returns the directory of this process in the v1 hierarchy with the `memory` controller. `None` if there is none.
pub(crate) fn own_v1_memory() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        controllers.split(',').any(|name| name == "memory").then(|| fields.next())?
    })?;
    locate(path, |kind, options| {
        kind == "cgroup" && options.split(',').any(|option| option == "memory")
    })
}

/// Returns the pids of the processes in a cgroup directory, without those outside of our pid namespace.
pub(crate) fn read_pids(folder: &Path) -> io::Result<Vec<i32>> {
    Ok(parse_pids(&fs::read_to_string(folder.join("cgroup.procs"))?))
}

/// Parses the text of a file `cgroup.procs`.
pub(crate) fn parse_pids(text: &str) -> Vec<i32> {
    // The kernel writes 0 for a process outside of our pid namespace.
    text.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter(|pid| *pid > 0)
        .collect()
}

/// Finds the directory in the file system for a path from `/proc/self/cgroup`.
///
/// In a container a mount may show only a part of the hierarchy. So each candidate is checked: the
/// right directory is the one whose `cgroup.procs` contains this process. `None` if there is none.
fn locate(path: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    let own = std::process::id() as i32;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = mounts.lines().filter_map(parse_mount);
    mounts.filter(|mount| wanted(mount.kind, mount.options)).find_map(|mount| {
        let below_root = Path::new(path).strip_prefix(mount.root).ok();
        let whole = Path::new(path.trim_start_matches('/'));
        below_root
            .into_iter()
            .chain([whole])
            .map(|relative| mount.point.join(relative))
            .find(|folder| read_pids(folder).is_ok_and(|pids| pids.contains(&own)))
    })
}

/// One line of `/proc/self/mountinfo`.
struct Mount<'a> {
    /// The directory of the mounted file system that is visible at `point`.
    root: &'a str,
    point: PathBuf,
    /// The type of the file system: `cgroup` for version 1, `cgroup2` for version 2.
    kind: &'a str,
    /// The options of the file system. For cgroup v1 they name the controllers.
    options: &'a str,
}

/// Parses a line such as `36 35 98:0 /root /point rw,noatime shared:1 - cgroup2 source rw`; see
/// proc(5). `None` if a field is missing.
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (mount_fields, filesystem_fields) = line.split_once(" - ")?;
    let mut mount_fields = mount_fields.split(' ').skip(3);
    let mut filesystem_fields = filesystem_fields.split(' ');
    Some(Mount {
        root: mount_fields.next()?,
        // The kernel writes a space in a path as `\040`.
        point: PathBuf::from(mount_fields.next()?.replace("\\040", " ")),
        kind: filesystem_fields.next()?,
        options: filesystem_fields.nth(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_line_is_parsed_with_and_without_optional_fields() {
        let line = "41 31 0:38 / /sys/fs/cgroup/my\\040own rw,relatime shared:9 - cgroup2 none rw";
        let mount = parse_mount(line).unwrap();
        assert_eq!(mount.point, Path::new("/sys/fs/cgroup/my own"));
        assert_eq!((mount.root, mount.kind, mount.options), ("/", "cgroup2", "rw"));
        let line = "35 31 0:32 /docker/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let mount = parse_mount(line).unwrap();
        assert_eq!((mount.root, mount.kind, mount.options), ("/docker/a", "cgroup", "rw,memory"));
    }

    #[test]
    fn pids_of_other_namespaces_are_skipped() {
        assert_eq!(parse_pids("12\n0\n7\n"), [12, 7]);
    }
}
