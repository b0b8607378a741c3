//! Whether a server that does not let us in is there for nobody. Then whoever observes our lease has lost
//! sight of it too, and begins anew; so it must be certain: a firewall, a pooler, or one of several
//! addresses may refuse while others are served.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_postgres::config::Host;

use crate::db::{
    connect::Db,
    dsn::Dsn,
    error::{Error, Result, starts_or_recovers},
    row::Columns,
};

/// An address that is quiet for so long may be there for others.
const QUIET: Duration = Duration::from_secs(1);

impl Dsn {
    /// Whether this error, and a look at every address of the server, show that it is there for nobody.
    pub async fn serves_nobody(&self, error: &Error) -> bool {
        let Error::Connect { nobody: true, why, .. } = error else { return false };
        let Some(addresses) = self.addresses().await else { return false };
        let mut answering = 0;
        for address in addresses {
            match timeout(QUIET, TcpStream::connect(address)).await {
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
                Ok(Ok(_)) => answering += 1,
                _ => return false,
            }
        }
        // One that starts is there to say so.
        answering == usize::from(starts_or_recovers(why))
    }

    /// Those of the one server that it names; none for a socket. None at all: several servers, or a name
    /// that leads nowhere.
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
    /// Whether the line leads to the server itself. A socket is believed to, if we went to one.
    pub async fn is_direct(&self, dsn: &Dsn) -> Result<bool> {
        let to_a_socket = || matches!(dsn.config().get_hosts(), [Host::Unix(_)]);
        Ok(self.leads_to(dsn).await?.unwrap_or_else(to_a_socket))
    }

    /// Whether the server is where we went. Behind a pooler, or an address that is translated on the way,
    /// it is elsewhere. None: it was reached by a socket, which may be a pooler's.
    pub(crate) async fn leads_to(&self, dsn: &Dsn) -> Result<Option<bool>> {
        let row = self.query_one(include_str!("sql/server_address.sql"), &[]).await?;
        let row = Columns::new(&row);
        let address: Option<std::net::IpAddr> = row.get("address")?;
        let port: Option<i32> = row.get("port")?;
        let (Some(address), Some(port)) = (address, port) else { return Ok(None) };
        let went = dsn.addresses().await.unwrap_or_default();
        let met = |went: &SocketAddr| went.ip() == address && i32::from(went.port()) == port;
        Ok(Some(went.iter().any(met)))
    }
}
