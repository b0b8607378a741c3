//! The facts that a connection shows about its server: whether the server is a standby, and whether the connection is direct.

use std::net::IpAddr;

use crate::db::{
    connect::Db,
    dsn::Dsn,
    error::{Error, Result},
    row::Columns,
};

/// The end of a connection to which the client connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The index of the server in the DSN.
    pub(super) server: usize,
    /// Address and port. `None` for a Unix socket.
    pub(super) address: Option<(IpAddr, u16)>,
}

/// The facts that the server reports about itself and about the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionFacts {
    pub(super) is_standby: bool,
    /// Whether the session allows only reads.
    pub(super) is_read_only: bool,
    /// Address and port of the server's end of the connection. `None` for a Unix socket.
    address: Option<(IpAddr, u16)>,
}

impl Db {
    /// Returns whether the connection goes to the server itself, and not through a pooler or an address translation:
    /// the server's end has the address to which the client connected. A Unix socket counts as direct.
    pub async fn is_direct(&self) -> Result<bool> {
        match self.endpoint.address {
            None => Ok(true),
            address => Ok(self.facts().await?.address == address),
        }
    }

    /// Returns whether the connection certainly goes to the server itself. A Unix socket may belong to a pooler on the
    /// server's machine.
    pub(super) async fn certainly_leads_to_server(&self) -> Result<bool> {
        Ok(self.endpoint.address.is_some() && self.is_direct().await?)
    }

    /// Finds out whether the connection is direct, and records it in `dsn`.
    pub async fn record_direct(&self, dsn: &Dsn) -> Result<()> {
        dsn.record_direct(self.endpoint.server, self.is_direct().await?);
        Ok(())
    }

    /// Returns the facts about the session. They are read once for each connection.
    pub(super) async fn facts(&self) -> Result<SessionFacts> {
        let read = || async {
            let row = self.query_one(include_str!("../sql/session_facts.sql"), &[]).await?;
            let row = Columns::new(&row);
            let (address, port): (Option<IpAddr>, Option<i32>) =
                (row.get("address")?, row.get("port")?);
            Ok::<_, Error>(SessionFacts {
                is_standby: row.get("is_standby")?,
                is_read_only: row.get("is_read_only")?,
                address: address.zip(port.and_then(|port| u16::try_from(port).ok())),
            })
        };
        self.facts.get_or_try_init(read).await.copied()
    }
}
