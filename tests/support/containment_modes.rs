//! The containment modes that this machine supports, and installations with a monitor in one of them.
//!
//! Containment is how a monitor finds and kills all processes of a run: by a cgroup, or by the processes in `/proc`.
//! Tests of containment run once in each available mode.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::copy_program;
use super::installation::{self, Installation};
use super::monitor::Monitor;
use super::{command, processes};

/// How a monitor of a test contains runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContainmentMode {
    /// `--containment cgroup`: the kernel knows which processes belong to a run.
    Cgroup,
    /// `--containment processes`: the monitor finds the processes of a run in `/proc`.
    Processes,
    /// The monitor runs as user `nobody` and chooses the mode itself. Usually this user may not make cgroups.
    AsNobody,
}

/// An installation with a monitor. The operations of `tests/operations` and of `MANIFESTS` are registered.
pub(crate) struct MonitoredSetup {
    pub(crate) monitor: Monitor,
    pub(crate) setup: Installation,
}

/// Files of `tests/manifests` whose operations leave processes behind or end in unusual ways.
const MANIFESTS: [&str; 2] = ["hard_to_kill.toml", "ends_on_demand.toml"];

impl ContainmentMode {
    /// Returns the modes that are possible on this machine for the user who runs the tests.
    pub(crate) fn available() -> Vec<ContainmentMode> {
        let mut modes = vec![ContainmentMode::Processes];
        if can_make_cgroups() {
            modes.insert(0, ContainmentMode::Cgroup);
        }
        if nix::unistd::Uid::effective().is_root() {
            modes.push(ContainmentMode::AsNobody);
        }
        modes
    }

    /// Makes an installation and starts a monitor in this mode. `args` are more arguments for the monitor.
    #[track_caller]
    pub(crate) fn start_setup(self, args: &[&str]) -> MonitoredSetup {
        let setup = Installation::new();
        let mut files: Vec<PathBuf> = MANIFESTS.map(installation::manifest_path).into();
        files.push(installation::fixture_program());
        setup.register(files.iter().map(|file| self.readable(&setup, file)));
        let monitor = self.start_monitor(&setup, args);
        MonitoredSetup { monitor, setup }
    }

    /// Starts a monitor in this mode in an existing installation, and waits until it is registered.
    #[track_caller]
    pub(crate) fn start_monitor(self, setup: &Installation, args: &[&str]) -> Monitor {
        let containment = match self {
            ContainmentMode::Cgroup => vec!["--containment", "cgroup"],
            ContainmentMode::Processes => vec!["--containment", "processes"],
            ContainmentMode::AsNobody => return self.start_monitor_as_nobody(setup, args),
        };
        setup.start_monitor(&[&containment, args].concat())
    }

    fn start_monitor_as_nobody(self, setup: &Installation, args: &[&str]) -> Monitor {
        let temporary = setup.folder().join("tmp");
        if !temporary.exists() {
            fs::create_dir(&temporary).unwrap();
            set_mode(&temporary, 0o777);
        }
        let program = self.readable(setup, &command::program());
        let mut command = as_nobody(&setup.bare_command(), &program);
        command.env("REWORK_DSN", setup.dsn()).env("TMPDIR", &temporary);
        command.args(["monitor", "--domain", "default"]).args(args);
        let count_monitors = "select count(*) from rework.monitor";
        let before: i64 = setup.session().query_value(count_monitors, &[]);
        let mut monitor = Monitor::start(command, &setup.folder().join("nobody.stderr"));
        setup.wait_until("the monitor of user nobody is registered", || {
            assert!(monitor.exit_status().is_none(), "the monitor ended:\n{}", monitor.output());
            setup.session().query_value::<i64>(count_monitors, &[]) > before
        });
        monitor
    }

    /// Returns the path of a program or manifest that the monitor can read. For user `nobody` this is a copy, because
    /// the repository may be in a home folder that only its owner may enter.
    fn readable(self, setup: &Installation, file: &Path) -> PathBuf {
        if self != ContainmentMode::AsNobody {
            return file.to_owned();
        }
        let copy = setup.folder().join(file.file_name().expect("a file has a name"));
        if !copy.exists() {
            copy_program(file, &copy);
            set_mode(&copy, 0o755);
            set_mode(setup.folder(), 0o755);
        }
        copy
    }
}

/// Returns the processes of an installation that are neither its monitor nor a worker: runners and the processes
/// that they started.
pub(crate) fn runners(setup: &Installation) -> Vec<processes::Process> {
    let is_rework = |command: &str| {
        let program = command.split(' ').next().unwrap_or_default();
        Path::new(program).file_name() == command::program().file_name()
    };
    processes::tagged(setup.host())
        .into_iter()
        .filter(|process| !is_rework(&process.command))
        .collect()
}

/// Wraps a command so that it runs as user `nobody`, with the environment and the folder of `inner`.
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

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns whether this process can make a cgroup below its own. Tries it instead of asking `rework`, so that an
/// error in `rework` cannot skip the tests of this mode. The monitor needs the file `cgroup.kill` to kill a cgroup.
fn can_make_cgroups() -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return false };
    let Ok(own) = fs::read_to_string("/proc/self/cgroup") else { return false };
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let Some(mount) = mounts.find(|fields| fields.get(2) == Some(&"cgroup2")) else { return false };
    let Some(own) = own.lines().find_map(|line| line.strip_prefix("0::/")) else { return false };
    let probe = Path::new(mount[1]).join(own).join(format!("rework-test-{}", std::process::id()));
    if fs::create_dir(&probe).is_err() {
        return false;
    }
    let has_kill = probe.join("cgroup.kill").exists();
    fs::remove_dir(&probe).is_ok() && has_kill
}
