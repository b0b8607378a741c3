//! The resource limits that this process inherited, such as the number of open files (`ulimit -n`). A monitor or worker
//! needs more than one program of a user: it raises its soft limits to the hard ones. The processes that it starts get
//! the inherited limits back.

use std::io;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// The limits that are raised.
const RAISED: [Resource; 6] = [
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_AS,
];

static INHERITED: OnceLock<Vec<InheritedLimit>> = OnceLock::new();

/// A limit of this process as it was before it was raised.
#[derive(Debug)]
pub(crate) struct InheritedLimit {
    resource: Resource,
    soft: rlim_t,
    hard: rlim_t,
}

/// Raises the soft limits of this process to its hard limits. Processes that are started from now on get the soft
/// limits back. Only the first call has an effect.
pub fn raise_limits() {
    INHERITED.get_or_init(|| {
        let limits = RAISED.into_iter().filter_map(|resource| {
            let (soft, hard) = getrlimit(resource).ok()?;
            Some(InheritedLimit { resource, soft, hard })
        });
        // A limit that cannot be raised stays as it is, and need not be restored.
        let raise = |limit: &InheritedLimit| {
            limit.soft != limit.hard && setrlimit(limit.resource, limit.hard, limit.hard).is_ok()
        };
        limits.filter(raise).collect()
    });
}

/// Gives this process the inherited limits back, before it executes another program in its place.
pub fn lower_limits() -> io::Result<()> {
    Ok(restore(inherited())?)
}

/// Returns the limits that were raised.
pub(crate) fn inherited() -> &'static [InheritedLimit] {
    INHERITED.get().map(Vec::as_slice).unwrap_or_default()
}

/// Restores the inherited limits of this process. Makes system calls only, as a child between `fork` and `exec` must.
pub(crate) fn restore(limits: &[InheritedLimit]) -> Result<(), Errno> {
    limits.iter().try_for_each(|limit| setrlimit(limit.resource, limit.soft, limit.hard))
}
