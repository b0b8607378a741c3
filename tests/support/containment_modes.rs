//! The rungs on which this machine can hold a tree of processes, each with a monitor that stands on
//! it: `cgroup`, `processes`, and `processes` as an ordinary user who may do nothing special.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::installation::{self, Installation};
use super::monitor::Monitor;
use super::{command, processes};

/// Where a monitor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung {
    /// The kernel knows the tree.
    Cgroup,
    /// It is looked for.
    Processes,
    /// As `nobody`, with whatever that user gets.
    Nobody,
}

/// A monitor on a rung, and the place that it serves: the operations of the fixture and of two
/// manifests.
pub(crate) struct Standing {
    pub(crate) monitor: Monitor,
    pub(crate) place: Installation,
}

/// Manifests that every place on a rung has.
const MANIFESTS: [&str; 2] = ["stubborn.toml", "falls.toml"];

impl Rung {
    /// Those that this machine has, for whoever runs the tests.
    pub(crate) fn available() -> Vec<Rung> {
        let mut rungs = vec![Rung::Processes];
        if can_make_cgroups() {
            rungs.insert(0, Rung::Cgroup);
        }
        if nix::unistd::Uid::effective().is_root() {
            rungs.push(Rung::Nobody);
        }
        rungs
    }

    /// A new place with a monitor on this rung.
    #[track_caller]
    pub(crate) fn stand(self, args: &[&str]) -> Standing {
        let place = Installation::new();
        let mut files: Vec<PathBuf> = MANIFESTS.map(installation::manifest).into();
        files.push(installation::fixture());
        place.register(files.iter().map(|file| self.readable(&place, file)));
        let monitor = self.monitor(&place, args);
        Standing { monitor, place }
    }

    /// A monitor on this rung in a place that is there.
    #[track_caller]
    pub(crate) fn monitor(self, place: &Installation, args: &[&str]) -> Monitor {
        let wish = match self {
            Rung::Cgroup => vec!["--containment", "cgroup"],
            Rung::Processes => vec!["--containment", "processes"],
            Rung::Nobody => return self.monitor_of_nobody(place, args),
        };
        place.monitor(&[&wish, args].concat())
    }

    fn monitor_of_nobody(self, place: &Installation, args: &[&str]) -> Monitor {
        let temporary = place.folder().join("tmp");
        if !temporary.exists() {
            fs::create_dir(&temporary).unwrap();
            open(&temporary, 0o777);
        }
        let program = self.readable(place, &command::program());
        let mut command = as_nobody(&place.process(), &program);
        command.env("REWORK_DSN", place.dsn()).env("TMPDIR", &temporary);
        command.args(["monitor", "--domain", "default"]).args(args);
        let monitors = "select count(*) from rework.monitor";
        let before: i64 = place.session().one(monitors, &[]);
        let mut monitor = Monitor::start(command, &place.folder().join("nobody.stderr"));
        place.until("the monitor of nobody is there", || {
            assert!(monitor.has_ended().is_none(), "the monitor ended:\n{}", monitor.said());
            place.session().one::<i64>(monitors, &[]) > before
        });
        monitor
    }

    /// A program or a manifest where the monitor on this rung can read it: `nobody` gets a copy, because
    /// the repository may lie in a home that only its owner may enter.
    fn readable(self, place: &Installation, file: &Path) -> PathBuf {
        if self != Rung::Nobody {
            return file.to_owned();
        }
        let copy = place.folder().join(file.file_name().expect("a file has a name"));
        if !copy.exists() {
            fs::copy(file, &copy).unwrap();
            open(&copy, 0o755);
            open(place.folder(), 0o755);
        }
        copy
    }
}

/// What belongs to a place, and is neither its monitor nor a worker.
pub(crate) fn runners(place: &Installation) -> Vec<processes::Process> {
    let ours = |command: &str| {
        let program = command.split(' ').next().unwrap_or_default();
        Path::new(program).file_name() == command::program().file_name()
    };
    processes::marked(place.host()).into_iter().filter(|found| !ours(&found.command)).collect()
}

fn as_nobody(inner: &Command, program: &Path) -> Command {
    let mut outer = Command::new("setpriv");
    outer.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Found by trying, without the product: a folder in our own cgroup that has a `cgroup.kill`.
fn can_make_cgroups() -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return false };
    let Ok(own) = fs::read_to_string("/proc/self/cgroup") else { return false };
    let mut kinds = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let Some(mount) = kinds.find(|words| words.get(2) == Some(&"cgroup2")) else { return false };
    let Some(own) = own.lines().find_map(|line| line.strip_prefix("0::/")) else { return false };
    let probe = Path::new(mount[1]).join(own).join(format!("rework-test-{}", std::process::id()));
    if fs::create_dir(&probe).is_err() {
        return false;
    }
    let can = probe.join("cgroup.kill").exists();
    fs::remove_dir(&probe).is_ok() && can
}
