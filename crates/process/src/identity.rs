//! The identity of a process. A pid alone is not enough, because the kernel reuses pids. So an identity also has the
//! boot of the host, the pid namespace and the start time of the process.

use std::fs;
use std::sync::OnceLock;

use crate::procfs::{ProcessKey, Stat, is_alive};

/// The identity of a process. It stays unique across reboots, so it can be stored in the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The random id that the kernel gave to this boot.
    pub boot_id: String,
    /// The pid namespace, such as `pid:[4026531836]`.
    pub pid_ns: String,
    /// The pid in the namespace `pid_ns`.
    pub pid: i32,
    /// The start time of the process, in clock ticks since boot.
    pub start: i64,
}

impl Identity {
    /// Returns the identity of this process.
    pub fn own() -> Identity {
        let pid = std::process::id() as i32;
        let start = Stat::read(pid).map_or(0, |stat| stat.key.start);
        Identity::in_own_namespace(ProcessKey { pid, start })
    }

    /// Returns the identity of the process with this pid in our own pid namespace. It may be a zombie. `None` if there
    /// is no such process, or if `/proc` hides it from us.
    pub fn of(pid: i32) -> Option<Identity> {
        Stat::read(pid).map(|stat| Identity::in_own_namespace(stat.key))
    }

    /// Returns whether exactly this process runs. `false` for a zombie and for a process of an earlier boot. Also
    /// `false` for a process of another pid namespace, because it is not visible from here; test that with
    /// [`Identity::in_same_pid_namespace`].
    pub fn is_alive(&self) -> bool {
        self.in_same_pid_namespace(&Identity::in_own_namespace(self.key())) && is_alive(self.key())
    }

    /// Returns whether both processes belong to the same boot and the same pid namespace, so that each is visible to
    /// the other.
    pub fn in_same_pid_namespace(&self, other: &Identity) -> bool {
        self.boot_id == other.boot_id && self.pid_ns == other.pid_ns
    }

    pub(crate) fn key(&self) -> ProcessKey {
        ProcessKey { pid: self.pid, start: self.start }
    }

    pub(crate) fn in_own_namespace(key: ProcessKey) -> Identity {
        static OWN: OnceLock<(String, String)> = OnceLock::new();
        let (boot_id, pid_ns) = OWN.get_or_init(boot_id_and_pid_namespace).clone();
        Identity { boot_id, pid_ns, pid: key.pid, start: key.start }
    }
}

/// Returns the name of this host: the value of the option `--host`, otherwise `$REWORK_HOST`, otherwise the host name
/// of the system.
pub fn host_name(option: Option<&str>) -> String {
    let variable = std::env::var("REWORK_HOST").ok();
    [option, variable.as_deref()]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .map_or_else(system_name, str::to_owned)
}

fn system_name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn boot_id_and_pid_namespace() -> (String, String) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    (boot.trim().to_owned(), namespace.to_string_lossy().into_owned())
}
