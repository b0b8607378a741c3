//! The configuration of `tokio_postgres` that follows from the parameters of a DSN.

use std::time::Duration;

use tokio_postgres::{
    Config,
    config::{ChannelBinding, TargetSessionAttrs},
};

use super::{
    parameters::Settings,
    servers::{Server, add_host},
    session_kind::SessionKind,
    tls::Tls,
};
use crate::db::deadline::DEADLINE;

/// Time limit of a connection attempt to one address, unless `connect_timeout` sets another one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the configuration that all servers have in common.
pub(super) fn common(settings: &Settings) -> Result<Config, String> {
    let mut config = Config::new();
    let text = |name: &str| settings.get(name);
    if let Some(user) = text("user") {
        config.user(user);
    }
    if let Some(password) = text("password") {
        config.password(password);
    }
    if let Some(database) = text("dbname") {
        config.dbname(database);
    }
    if let Some(options) = text("options") {
        config.options(options);
    }
    let seconds = |name: &str| Ok::<_, String>(number(settings, name)?.map(Duration::from_secs));
    config.connect_timeout(seconds("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT));
    config.tcp_user_timeout(
        number(settings, "tcp_user_timeout")?.map_or(DEADLINE, Duration::from_millis),
    );
    config.keepalives(text("keepalives").map(String::as_str) != Some("0"));
    if let Some(idle) = seconds("keepalives_idle")? {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = seconds("keepalives_interval")? {
        config.keepalives_interval(interval);
    }
    if let Some(count) = number(settings, "keepalives_count")? {
        config.keepalives_retries(u32::try_from(count).unwrap_or(u32::MAX));
    }
    config.channel_binding(match text("channel_binding").map(String::as_str) {
        None | Some("prefer") => ChannelBinding::Prefer,
        Some("disable") => ChannelBinding::Disable,
        Some("require") => ChannelBinding::Require,
        Some(other) => {
            return Err(format!(
                "`channel_binding={other}` is not valid: write `disable`, `prefer` or `require`"
            ));
        }
    });
    Ok(config)
}

/// Returns the number of a parameter. `None` if it is not given, or not positive: libpq then uses its default.
fn number(settings: &Settings, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = settings.get(name) else { return Ok(None) };
    let number: i64 =
        text.trim().parse().map_err(|_| format!("`{name}={text}` is not a whole number"))?;
    Ok(u64::try_from(number).ok().filter(|number| *number > 0))
}

/// Returns whether the servers are tried in a random order.
pub(super) fn is_balanced(settings: &Settings) -> Result<bool, String> {
    match settings.get("load_balance_hosts").map(String::as_str) {
        None | Some("disable") => Ok(false),
        Some("random") => Ok(true),
        Some(other) => {
            Err(format!("`load_balance_hosts={other}` is not valid: write `disable` or `random`"))
        }
    }
}

/// Returns the configuration with all servers, for programs that connect by `tokio_postgres` itself. These programs
/// schedule tasks. So they need a server that can write if there are several.
pub(super) fn of_all(
    base: &Config,
    servers: &[Server],
    tls: &Tls,
    session_kind: SessionKind,
) -> Config {
    let mut config = base.clone();
    for server in servers {
        match (&server.host, server.address) {
            (None, Some(address)) => {
                config.host(address.to_string());
            }
            (host, _) => add_host(&mut config, host.as_ref()),
        }
        config.port(server.port());
    }
    if servers.iter().all(|server| server.address.is_some()) {
        for address in servers.iter().filter_map(|server| server.address) {
            config.hostaddr(address);
        }
    }
    if let Some(password) = servers.first().and_then(|server| server.config.get_password()) {
        config.password(password);
    }
    config.ssl_mode(tls.requested_mode()).ssl_negotiation(tls.negotiation());
    let can_read_only = matches!(session_kind, SessionKind::ReadOnly | SessionKind::Standby);
    if servers.len() > 1 && !can_read_only {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config
}
