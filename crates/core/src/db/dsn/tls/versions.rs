//! The versions of TLS that a DSN allows.

use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

use crate::db::dsn::parameters::Settings;

/// Returns the versions of TLS from `ssl_min_protocol_version` to `ssl_max_protocol_version` that rework has.
pub(super) fn protocol_versions(
    settings: &Settings,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    // The minor number of a version of TLS 1.
    let limit = |name: &str, default: u8| match settings.get(name) {
        None => Ok(default),
        Some(text) => match text.to_ascii_lowercase().as_str() {
            "tlsv1" => Ok(0),
            "tlsv1.1" => Ok(1),
            "tlsv1.2" => Ok(2),
            "tlsv1.3" => Ok(3),
            _ => Err(format!("`{name}={text}` is not valid: write `TLSv1.2` or `TLSv1.3`")),
        },
    };
    let allowed = limit("ssl_min_protocol_version", 2)?..=limit("ssl_max_protocol_version", 3)?;
    let versions: Vec<&'static SupportedProtocolVersion> = [(2, &TLS12), (3, &TLS13)]
        .into_iter()
        .filter(|(minor, _)| allowed.contains(minor))
        .map(|(_, version)| version)
        .collect();
    if versions.is_empty() {
        return Err("`ssl_min_protocol_version` and `ssl_max_protocol_version` leave no version of TLS: rework has \
                    1.2 and 1.3"
            .to_owned());
    }
    Ok(versions)
}
