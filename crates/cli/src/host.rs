//! The name of this host: from the option `--host`, else from `$REWORK_HOST`, else the hostname of the machine.

use std::ffi::OsString;

use rework_core::values::name;

use crate::error_text::hinted;

/// Returns the name of this host. `given` is the value of the option `--host`. `Err` if the text cannot be a name.
pub fn name(given: Option<String>) -> anyhow::Result<String> {
    let host = given
        .or_else(|| std::env::var("REWORK_HOST").ok().filter(|name| !name.is_empty()))
        .or_else(|| nix::unistd::gethostname().ok().map(OsString::into_string)?.ok())
        .unwrap_or_else(|| "localhost".to_owned());
    match name::check(&host) {
        Ok(()) => Ok(host),
        Err(fault) => {
            let message = format!("the name `{host}` of this host {fault}");
            Err(hinted(message, "give it another name: `--host NAME`, or the variable REWORK_HOST"))
        }
    }
}
