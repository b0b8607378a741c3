//! The servers that a DSN names: `host`, `hostaddr` and `port` are lists with one element for each server.

use std::{io, net::IpAddr};

use tokio::net::lookup_host;
use tokio_postgres::{Config, config::Host};

use super::parameters::Settings;

/// The port of a server if the DSN does not name one.
pub(super) const DEFAULT_PORT: u16 = 5432;

/// The host if the DSN does not name one.
const DEFAULT_HOST: &str = "localhost";

/// One server of a DSN.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// The name or the directory of the socket. `None` if only an address is given.
    pub(super) host: Option<Host>,
    /// The address, if the DSN gives it besides or instead of a name.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    /// The configuration for this server alone, with its password.
    pub(super) config: Config,
}

/// Reads the servers. `base` has everything that they have in common.
pub(super) fn read(settings: &Settings, base: &Config) -> Result<Vec<Server>, String> {
    let list = |name: &str| -> Vec<&str> {
        settings.get(name).map(|text| text.split(',').map(str::trim).collect()).unwrap_or_default()
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = hosts.len().max(addresses.len()).max(1);
    for (name, length) in [("host", hosts.len()), ("hostaddr", addresses.len())] {
        if length > 0 && length != count {
            return Err(format!("`{name}` has {length} elements, and there are {count} servers"));
        }
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(format!("`port` has {} elements, and there are {count} servers", ports.len()));
    }
    let server = |index: usize| {
        let host = hosts.get(index).copied().unwrap_or_default();
        let address = addresses.get(index).copied().unwrap_or_default();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or_default();
        Server::new(host, address, port, base)
    };
    (0..count).map(server).collect()
}

impl Server {
    /// Creates a server from the elements of the three lists. An empty text stands for the default.
    fn new(host: &str, address: &str, port: &str, base: &Config) -> Result<Server, String> {
        let address = match address {
            "" => None,
            text => Some(text.parse().map_err(|_| format!("`{text}` is not an IP address"))?),
        };
        let port = match port {
            "" => DEFAULT_PORT,
            // The text is not repeated: in a URL with a wrong `@` it may be a part of the password.
            text => text.parse().map_err(|_| "a port is not a number up to 65535".to_owned())?,
        };
        let host = match host {
            "" if address.is_some() => None,
            "" => Some(Host::Tcp(DEFAULT_HOST.to_owned())),
            text if text.starts_with('/') => Some(Host::Unix(text.into())),
            text if text.starts_with('@') => {
                return Err(
                    "an abstract socket cannot be used: name the directory of the socket".into()
                );
            }
            // The host is not repeated: the part before the last `@` of a URL may belong to the password.
            text if text.contains('@') => {
                return Err("a host contains `@`: write `@` in a password as `%40`".to_owned());
            }
            text => Some(Host::Tcp(text.to_owned())),
        };
        let mut config = base.clone();
        config.port(port);
        add_host(&mut config, host.as_ref());
        if let Some(address) = address {
            config.hostaddr(address);
        }
        Ok(Server { host, address, port, config })
    }

    /// Returns host and port for messages, for example `localhost:5432`.
    pub(crate) fn text(&self) -> String {
        let port = self.port;
        match (&self.host, self.address) {
            (Some(Host::Tcp(host)), _) => format!("{host}:{port}"),
            (Some(Host::Unix(folder)), _) => format!("{} (port {port})", folder.display()),
            (None, Some(address)) => format!("{address}:{port}"),
            (None, None) => format!("port {port}"),
        }
    }

    /// Returns the port at which the server listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether connections to the server use TCP.
    pub(super) fn uses_tcp(&self) -> bool {
        self.address.is_some() || matches!(self.host, Some(Host::Tcp(_)))
    }

    /// Returns the addresses of the server. `None` in the list stands for its Unix socket. `Err` if the name cannot be
    /// resolved.
    pub(crate) async fn addresses(&self) -> io::Result<Vec<Option<IpAddr>>> {
        match (self.address, &self.host) {
            (Some(address), _) => Ok(vec![Some(address)]),
            (None, Some(Host::Tcp(name))) => {
                let found = lookup_host((name.as_str(), self.port)).await?;
                Ok(found.map(|address| Some(address.ip())).collect())
            }
            (None, _) => Ok(vec![None]),
        }
    }

    /// Returns the configuration for a connection to one of the addresses.
    pub(crate) fn config(&self, address: Option<IpAddr>) -> Config {
        let mut config = self.config.clone();
        if let (Some(address), None) = (address, self.address) {
            config.hostaddr(address);
        }
        config
    }
}

/// Adds a host to the list of hosts of a configuration.
pub(super) fn add_host(config: &mut Config, host: Option<&Host>) {
    match host {
        Some(Host::Tcp(name)) => {
            config.host(name);
        }
        Some(Host::Unix(folder)) => {
            config.host_path(folder);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pairs: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let settings =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(read(&settings, &Config::new())?.iter().map(Server::text).collect())
    }

    #[test]
    fn hosts_addresses_and_ports_are_lists() {
        for (pairs, expected) in [
            (vec![], vec!["localhost:5432"]),
            (vec![("host", "a"), ("port", "1")], vec!["a:1"]),
            (vec![("host", "a,b,")], vec!["a:5432", "b:5432", "localhost:5432"]),
            (vec![("host", "a,/tmp"), ("port", "1,2")], vec!["a:1", "/tmp (port 2)"]),
            (vec![("host", "a,b"), ("port", "7")], vec!["a:7", "b:7"]),
            (vec![("hostaddr", "127.0.0.1,::1")], vec!["127.0.0.1:5432", "::1:5432"]),
            (vec![("host", "a"), ("hostaddr", "127.0.0.1")], vec!["a:5432"]),
        ] {
            assert_eq!(texts(&pairs).unwrap(), expected, "{pairs:?}");
        }
        for pairs in [
            vec![("host", "a,b"), ("hostaddr", "127.0.0.1")],
            vec![("host", "a,b"), ("port", "1,2,3")],
            vec![("hostaddr", "a")],
            vec![("port", "65536")],
            vec![("host", "@abstract")],
            vec![("host", "ss@host")],
        ] {
            assert!(texts(&pairs).is_err(), "{pairs:?}");
        }
    }
}
