//! An attempt to connect: the servers of a DSN are tried in their order, and each address of a server, until one
//! accepts a session of the required kind. If none does, the error says what each of them answered.

use std::net::IpAddr;

use tokio::time::timeout;

use super::{Db, Notifications, facts::Endpoint};
use crate::db::{
    dsn::{Dsn, servers::Server, session_kind::SessionKind},
    error::{Error, Result, serves_nobody},
    outage::Outage,
};

/// The answer of one address that did not accept the session.
struct Failure {
    /// Host and port of the server, for messages.
    server: String,
    error: Error,
    /// Proof that no client can change the database through this address. `None` if there is no such proof.
    outage: Option<Outage>,
}

/// Connects to the first server that offers a session of the kind that the DSN requires.
pub(super) async fn connect(dsn: &Dsn, application_name: &str) -> Result<(Db, Notifications)> {
    let mut failures = Vec::new();
    for kind in dsn.session_kind().attempts() {
        failures.clear();
        for (index, server) in dsn.servers_in_order() {
            let addresses = match server.addresses().await {
                Ok(addresses) => addresses,
                Err(error) => {
                    failures.push(Failure::unreachable(server, &error.to_string()));
                    continue;
                }
            };
            if addresses.is_empty() {
                failures.push(Failure::unreachable(server, "the name has no address"));
            }
            for address in addresses {
                let target = Target { dsn, server, index, address };
                match target.connect(*kind, application_name).await {
                    Ok(connected) => {
                        dsn.choose(index);
                        return Ok(connected);
                    }
                    Err(failure) => failures.push(failure),
                }
            }
        }
    }
    Err(combine(dsn, failures))
}

/// One address of one server.
struct Target<'a> {
    dsn: &'a Dsn,
    server: &'a Server,
    /// The index of the server in the DSN.
    index: usize,
    /// `None` for a Unix socket.
    address: Option<IpAddr>,
}

impl Target<'_> {
    async fn connect(
        &self,
        kind: SessionKind,
        application_name: &str,
    ) -> std::result::Result<(Db, Notifications), Failure> {
        let Target { dsn, server, index, address } = *self;
        let text = server.text();
        let failure = |error, outage| Failure { server: text.clone(), error, outage };
        let mut config = server.config(address);
        config.application_name(application_name);
        let port = server.port();
        let endpoint = Endpoint { server: index, address: address.map(|address| (address, port)) };
        // The library limits the time until the socket is connected. Twice that limit is enough for the TLS handshake
        // and the login, which the library does not limit.
        let limit = dsn.connect_timeout() * 2;
        let (db, notifications) = match timeout(limit, Db::open(&config, dsn.tls(), endpoint)).await
        {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                let outage = if serves_nobody(&error) { Outage::of_refusal(index) } else { None };
                return Err(failure(
                    Error::connecting(text.clone(), dsn.database(), &error),
                    outage,
                ));
            }
            Err(_) => return Err(failure(Error::ConnectTimeout { server: text.clone() }, None)),
        };
        if kind == SessionKind::Any {
            return Ok((db, notifications));
        }
        let facts = db.facts().await.map_err(|error| failure(error, None))?;
        let Some(why) = kind.objection(facts.is_standby, facts.is_read_only) else {
            return Ok((db, notifications));
        };
        let is_direct = db.is_direct().await.map_err(|error| failure(error, None))?;
        dsn.record_direct(index, is_direct);
        let outage = (facts.is_standby && is_direct).then(Outage::of_standby);
        let why = why.to_owned();
        Err(failure(Error::Unsuitable { server: text.clone(), why, outage: None }, outage))
    }
}

impl Failure {
    fn unreachable(server: &Server, why: &str) -> Failure {
        let error = Error::Connect { server: server.text(), why: why.to_owned(), outage: None };
        Failure { server: server.text(), error, outage: None }
    }

    /// Returns why the session was not accepted. `None` if the server gave an answer that no other server changes, such
    /// as a wrong password.
    fn why(&self) -> Option<&str> {
        match &self.error {
            Error::Connect { why, .. } | Error::Unsuitable { why, .. } => Some(why),
            Error::ConnectTimeout { .. } => Some("it did not answer in time"),
            _ => None,
        }
    }
}

/// Returns the error of an attempt in which every address failed: the first definite answer, or all answers together.
fn combine(dsn: &Dsn, mut failures: Vec<Failure>) -> Error {
    let proof = Outage::of_all(failures.iter().map(|failure| failure.outage));
    if let Some(definite) = failures.iter().position(|failure| failure.why().is_none()) {
        return failures.swap_remove(definite).error;
    }
    let is_timeout = |failure: &Failure| matches!(failure.error, Error::ConnectTimeout { .. });
    if failures.iter().all(is_timeout) {
        return Error::ConnectTimeout { server: dsn.server() };
    }
    let whys: Vec<&str> = failures.iter().filter_map(Failure::why).collect();
    let why = if whys.windows(2).all(|pair| pair[0] == pair[1]) {
        whys.first().copied().unwrap_or_default().to_owned()
    } else {
        let answers = failures.iter().zip(&whys);
        let answers: Vec<String> =
            answers.map(|(failure, why)| format!("{}: {why}", failure.server)).collect();
        answers.join("; ")
    };
    let server = dsn.server();
    if failures.iter().all(|failure| matches!(failure.error, Error::Unsuitable { .. })) {
        Error::Unsuitable { server, why, outage: proof }
    } else {
        Error::Connect { server, why, outage: proof }
    }
}
