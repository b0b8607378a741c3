//! Who a process is: a pid alone may be another process's tomorrow, so it is named with the boot,
//! the pid namespace, and the moment at which it started.

use std::fs;
use std::sync::OnceLock;

use crate::procfs::{Seen, Stat, is_alive};

/// A process, for as long as the machine's disks live.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The kernel's random name for this boot.
    pub boot_id: String,
    /// The pid namespace, as `pid:[4026531836]`.
    pub pid_ns: String,
    /// The pid in that namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start: i64,
}

impl Identity {
    /// This process.
    pub fn own() -> Identity {
        let pid = std::process::id() as i32;
        let start = Stat::read(pid).map_or(0, |stat| stat.seen.start);
        Identity::at_home(Seen { pid, start })
    }

    /// The process of this pid in our own pid namespace, a zombie too; none if there is none, or
    /// if `/proc` hides it from us.
    pub fn of(pid: i32) -> Option<Identity> {
        Stat::read(pid).map(|stat| Identity::at_home(stat.seen))
    }

    /// Whether this very process runs. A zombie does not, nor does one of an earlier boot; of
    /// another pid namespace nothing can be known ([`Identity::same_place`]), and it is `false`.
    pub fn is_alive(&self) -> bool {
        self.same_place(&Identity::at_home(self.seen())) && is_alive(self.seen())
    }

    /// Whether both are of one boot and one pid namespace: whether one can see the other.
    pub fn same_place(&self, other: &Identity) -> bool {
        self.boot_id == other.boot_id && self.pid_ns == other.pid_ns
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen { pid: self.pid, start: self.start }
    }

    pub(crate) fn at_home(seen: Seen) -> Identity {
        static PLACE: OnceLock<(String, String)> = OnceLock::new();
        let (boot_id, pid_ns) = PLACE.get_or_init(place).clone();
        Identity { boot_id, pid_ns, pid: seen.pid, start: seen.start }
    }
}

/// The name of this host: the option `--host`, else `$REWORK_HOST`, else the system's.
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

fn place() -> (String, String) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    (boot.trim().to_owned(), namespace.to_string_lossy().into_owned())
}
