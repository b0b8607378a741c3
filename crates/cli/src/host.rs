//! What this host is called: as an option says, else `$REWORK_HOST`, else its own name.

use std::ffi::OsString;

/// The name of this host.
pub fn name(given: Option<String>) -> String {
    given
        .or_else(|| std::env::var("REWORK_HOST").ok().filter(|name| !name.is_empty()))
        .or_else(|| nix::unistd::gethostname().ok().map(OsString::into_string)?.ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
