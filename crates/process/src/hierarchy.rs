//! Where the cgroup hierarchies are mounted, and which folder of each we are in ourselves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of this process in the v2 hierarchy.
pub(crate) fn own_v2() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    locate(path, |kind, _| kind == "cgroup2")
}

/// The folder of this process in the v1 hierarchy that has the `memory` controller.
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

/// The pids of a cgroup folder; those outside of our pid namespace are left out.
pub(crate) fn read_pids(folder: &Path) -> io::Result<Vec<i32>> {
    Ok(parse_pids(&fs::read_to_string(folder.join("cgroup.procs"))?))
}

/// The lines of a `cgroup.procs`.
pub(crate) fn parse_pids(text: &str) -> Vec<i32> {
    text.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter(|pid| *pid > 0)
        .collect()
}

/// Where a path of `/proc/self/cgroup` lies in the file system. A mount in a container may show
/// only what is below its root, so the one is right in which we find ourselves.
fn locate(path: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    let own = std::process::id() as i32;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = mounts.lines().filter_map(parse_mount);
    mounts.filter(|mount| wanted(mount.kind, mount.options)).find_map(|mount| {
        let below = Path::new(path).strip_prefix(mount.root).ok();
        let whole = Path::new(path.trim_start_matches('/'));
        below
            .into_iter()
            .chain([whole])
            .map(|part| mount.point.join(part))
            .find(|folder| read_pids(folder).is_ok_and(|pids| pids.contains(&own)))
    })
}

struct Mount<'a> {
    root: &'a str,
    point: PathBuf,
    kind: &'a str,
    options: &'a str,
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - cgroup2 source rw`, as proc(5) has it.
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (place, about) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let mut about = about.split(' ');
    Some(Mount {
        root: place.next()?,
        point: PathBuf::from(place.next()?.replace("\\040", " ")),
        kind: about.next()?,
        options: about.nth(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_with_and_without_optional_fields() {
        let line = "41 31 0:38 / /sys/fs/cgroup/my\\040own rw,relatime shared:9 - cgroup2 none rw";
        let mount = parse_mount(line).unwrap();
        assert_eq!(mount.point, Path::new("/sys/fs/cgroup/my own"));
        assert_eq!((mount.root, mount.kind, mount.options), ("/", "cgroup2", "rw"));
        let line = "35 31 0:32 /docker/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let mount = parse_mount(line).unwrap();
        assert_eq!((mount.root, mount.kind, mount.options), ("/docker/a", "cgroup", "rw,memory"));
    }

    #[test]
    fn pids_of_other_namespaces_are_left_out() {
        assert_eq!(parse_pids("12\n0\n7\n"), [12, 7]);
    }
}
