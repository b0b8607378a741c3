//! The options of a monitor, from the command line and from rework.toml.

use std::{net::SocketAddr, time::Duration};

use rework_core::db::dsn::Dsn;
use rework_process::Choice;
use rework_wire::lease::LeaseTerms;
use serde_json::{Value, json};

use crate::{per_domain::PerDomain, state::pool_size::Bounds};

/// The options for the workers of one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// The number of workers that run even if there is no work. `None` means `maxworkers`.
    pub minworkers: Option<u32>,
    /// The highest number of workers.
    pub maxworkers: u32,
    /// The number of runs after which a runner is replaced. 0 means never.
    pub maxruns: u32,
    /// The memory of a runner's process tree, in bytes, above which the runner is replaced after its run. 0 means
    /// never.
    pub maxmem_bytes: u64,
}

/// The result of a monitor that ended because of a signal, or because it lost its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorEnd {
    /// The reason, such as `signal 15 (terminated)`.
    pub reason: String,
    /// Whether this process must execute its program again, so that a monitor with the same options
    /// replaces this one at once. `true` after SIGHUP (reload) and after the loss of the lease,
    /// unless another signal has requested the end of the monitor.
    pub reexec: bool,
}

/// The options of a monitor.
#[derive(Debug, Clone)]
pub struct Options {
    pub dsn: Dsn,
    /// The domains to serve. If empty, the monitor serves every domain that has a placement on its
    /// host (an operation that the host can run), including domains that are added later.
    pub domains: Vec<String>,
    /// The name of this host.
    pub host: String,
    /// The options for the workers of each domain.
    pub pool_options: PerDomain<PoolOptions>,
    /// The highest number of tasks that a worker claims at once.
    pub batch: u32,
    /// How long a worker or a runner may take from its start to its first message.
    pub start_timeout: Duration,
    /// The age at which ended tasks and workers are deleted. `None` means never.
    pub vacuum: Option<Duration>,
    /// How long runs may continue after a signal has requested the end of the monitor. `None` means without limit.
    pub shutdown_grace: Option<Duration>,
    /// The capabilities of this host, which tasks can require.
    pub capabilities: Vec<String>,
    /// The address of the HTTP server for `/health` and `/ready`. `None` if there is none.
    pub listen: Option<SocketAddr>,
    /// A DSN that leads to the server itself, for notifications. Needed if `dsn` leads through a
    /// pooler; otherwise `None`.
    pub listen_dsn: Option<Dsn>,
    /// The length of the lease.
    pub lease: LeaseTerms,
    /// Whether the monitor waits at its start until the database is available.
    pub wait_for_database: bool,
    /// The methods that hold process trees together and limit their memory.
    pub containment: Choice,
}

impl PoolOptions {
    /// Returns the lowest and the highest number of workers.
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
    /// Returns the options as JSON, as `list-monitors` shows them.
    pub(crate) fn to_json(&self) -> Value {
        let mut shown = json!({
            "batch": self.batch,
            "lease_ms": self.lease.length.as_millis() as u64,
            "start_timeout_ms": self.start_timeout.as_millis() as u64,
            "vacuum_ms": self.vacuum.map(|age| age.as_millis() as u64),
            "shutdown_grace_ms": self.shutdown_grace.map(|grace| grace.as_millis() as u64),
            "every_domain": self.domains.is_empty(),
        });
        let pools = &self.pool_options;
        if let (Value::Object(shown), Value::Object(default)) =
            (&mut shown, pools.default.to_json())
        {
            shown.extend(default);
            let overrides = pools.overrides.iter();
            shown.extend(
                overrides.map(|(domain, options)| (format!("domains.{domain}"), options.to_json())),
            );
        }
        shown
    }
}
