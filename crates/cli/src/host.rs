//! The name of this host: from the option `--host`, else from `$REWORK_HOST`, else the hostname of the machine.

use std::ffi::OsString;

/// Returns the name of this host. `given` is the value of the option `--host`.
pub fn name(given: Option<String>) -> String {
    given
        .or_else(|| std::env::var("REWORK_HOST").ok().filter(|name| !name.is_empty()))
        .or_else(|| nix::unistd::gethostname().ok().map(OsString::into_string)?.ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
