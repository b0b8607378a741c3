//! What a monitor is told on the command line.

use std::{net::SocketAddr, time::Duration};

use rework_core::db::dsn::Dsn;
use rework_process::Wish;
use rework_wire::lease::Terms;
use serde_json::{Value, json};

use crate::{per_domain::PerDomain, state::pool_size::Bounds};

/// How the workers of a domain are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Workers that are kept whatever there is to do; none: as many as `maxworkers`.
    pub minworkers: Option<u32>,
    /// Most workers.
    pub maxworkers: u32,
    /// A runner is renewed after so many runs; 0: never.
    pub maxruns: u32,
    /// A runner whose tree is past so many bytes is renewed after the run; 0: never.
    pub maxmem_bytes: u64,
}

/// The end of a monitor that was asked to end, or whose lease is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The reason, as in `signal 15 (terminated)`.
    pub reason: String,
    /// Whether this process is to execute itself anew, so that a monitor with the same options takes
    /// this one's place at once: after SIGHUP (reload), and after the loss of its lease.
    pub reexec: bool,
}

/// How a monitor is to keep its workers.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database.
    pub dsn: Dsn,
    /// What it serves; empty: every domain that has a placement on its host, also those that come
    /// later.
    pub domains: Vec<String>,
    /// The host's name.
    pub host: String,
    /// How the workers of each domain are kept.
    pub keep: PerDomain<Keep>,
    /// Most tasks that a worker claims at once.
    pub batch: u32,
    /// From the start of a worker, or of a runner, to its first word.
    pub start_timeout: Duration,
    /// What ended so long ago is deleted, once an hour; none: never.
    pub vacuum: Option<Duration>,
    /// What runs may take when the monitor is asked to end; none: as long as it wants.
    pub shutdown_grace: Option<Duration>,
    /// What this host offers to tasks that ask for it.
    pub capabilities: Vec<String>,
    /// Where `/health` and `/ready` are answered.
    pub listen: Option<SocketAddr>,
    /// A direct line to the database for notifications, where `dsn` leads through a pooler.
    pub listen_dsn: Option<Dsn>,
    /// How long its lease is.
    pub lease: Terms,
    /// At the beginning, a database that is away is waited for.
    pub patient: bool,
    /// How the trees of runners are to be held.
    pub wish: Wish,
}

impl Keep {
    /// The least and the most of them.
    pub(crate) fn bounds(&self) -> Bounds {
        let max = self.maxworkers;
        Bounds { min: self.minworkers.unwrap_or(max).min(max), max }
    }

    fn to_json(self) -> Value {
        let Bounds { min, max } = self.bounds();
        json!({
            "minworkers": min,
            "maxworkers": max,
            "maxruns": self.maxruns,
            "maxmem_bytes": self.maxmem_bytes,
        })
    }
}

impl Options {
    /// As `list-monitors` shows them.
    pub(crate) fn to_json(&self) -> Value {
        let mut shown = json!({
            "batch": self.batch,
            "lease_ms": self.lease.length.as_millis() as u64,
            "start_timeout_ms": self.start_timeout.as_millis() as u64,
            "vacuum_ms": self.vacuum.map(|age| age.as_millis() as u64),
            "shutdown_grace_ms": self.shutdown_grace.map(|grace| grace.as_millis() as u64),
            "every_domain": self.domains.is_empty(),
        });
        if let (Value::Object(shown), Value::Object(usual)) =
            (&mut shown, self.keep.usual.to_json())
        {
            shown.extend(usual);
            shown.extend(
                self.keep
                    .own
                    .iter()
                    .map(|(domain, keep)| (format!("domains.{domain}"), keep.to_json())),
            );
        }
        shown
    }
}
