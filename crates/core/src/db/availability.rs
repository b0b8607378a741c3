//! Decides whether an unreachable Postgres server is down for every client, or for us alone.
//!
//! While the server is down for everyone, no observer (a monitor that watches the leases of others)
//! can read our lease either. So the holder, the process that renews the lease, may extend it. The
//! answer must therefore be certain. A refused connection alone is not enough: a firewall, a
//! pooler, or one of several addresses may refuse us while other clients are served.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_postgres::config::Host;

use crate::db::{
    connect::Db,
    dsn::Dsn,
    error::{Error, Result, is_starting_or_recovering},
    row::Columns,
};

/// How long one address may take to accept or refuse a connection. If it does neither, nothing is known about it: it
/// may serve other clients.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

impl Dsn {
    /// Returns whether the server is certainly down for every client.
    ///
    /// `error` is the error of a connection attempt. If it allows this conclusion, all addresses of the server are
    /// probed: each must refuse the connection. If the server answered that it is starting or recovering, exactly one
    /// address must accept: the one that gave this answer.
    pub async fn is_down_for_everyone(&self, error: &Error) -> bool {
        let Error::Connect { down_for_everyone: true, why, .. } = error else { return false };
        let Some(addresses) = self.addresses().await else { return false };
        let mut accepting = 0;
        for address in addresses {
            match timeout(PROBE_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
                Ok(Ok(_)) => accepting += 1,
                _ => return false,
            }
        }
        accepting == usize::from(is_starting_or_recovering(why))
    }

    /// Returns the TCP addresses of the server; an empty list for a Unix socket. `None` if the DSN names several
    /// servers, or if the name cannot be resolved.
    async fn addresses(&self) -> Option<Vec<SocketAddr>> {
        let config = self.config();
        let port = config.get_ports().first().copied().unwrap_or(crate::db::dsn::DEFAULT_PORT);
        match (config.get_hostaddrs(), config.get_hosts()) {
            ([address], _) => Some(vec![SocketAddr::new(*address, port)]),
            ([], [Host::Tcp(name)]) => {
                Some(lookup_host((name.as_str(), port)).await.ok()?.collect())
            }
            ([], [Host::Unix(_)]) => Some(Vec::new()),
            _ => None,
        }
    }
}

impl Db {
    /// Returns whether the connection goes to the server itself, and not through a pooler or an address translation.
    ///
    /// A Unix socket that `dsn` names counts as direct.
    pub async fn is_direct(&self, dsn: &Dsn) -> Result<bool> {
        let is_socket = || matches!(dsn.config().get_hosts(), [Host::Unix(_)]);
        Ok(self.server_is_at(dsn).await?.unwrap_or_else(is_socket))
    }

    /// Returns whether the server's own address is one that `dsn` names.
    ///
    /// Behind a pooler or an address translation the server has another address. `None` if the server was reached by
    /// a Unix socket: it may belong to a pooler on the server's machine.
    pub(crate) async fn server_is_at(&self, dsn: &Dsn) -> Result<Option<bool>> {
        let row = self.query_one(include_str!("sql/server_address.sql"), &[]).await?;
        let row = Columns::new(&row);
        let address: Option<std::net::IpAddr> = row.get("address")?;
        let port: Option<i32> = row.get("port")?;
        let (Some(address), Some(port)) = (address, port) else { return Ok(None) };
        let named = dsn.addresses().await.unwrap_or_default();
        let is_server =
            |named: &SocketAddr| named.ip() == address && i32::from(named.port()) == port;
        Ok(Some(named.iter().any(is_server)))
    }
}
