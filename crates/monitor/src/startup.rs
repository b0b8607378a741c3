//! The startup of a monitor: it registers, and finds the workers that earlier monitors have left.

use std::time::Duration;

use rework_core::{
    admin::{partition, schema},
    db::error::Error as CoreError,
    fleet::{
        monitor::{Beginning, Process},
        worker::{self, Left},
    },
};
use rework_process::{Containment, Identity};
use tokio::time::sleep;

use crate::{
    error::Error,
    options::Options,
    registration::{Registration, register},
    state::pool_size::Bounds,
    systemd,
};

/// The pause between two attempts to reach a database that is away.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// Registers the monitor; returns its registration and the workers that earlier monitors have left.
pub(crate) async fn start(
    options: &Options,
    new: &Beginning,
    own: &Identity,
) -> Result<(Registration, Vec<Left>), Error> {
    loop {
        match try_start(options, new, own).await {
            Err(Error::Database(error)) if options.patient && may_come_back(&error) => {
                tracing::debug!("the database is away: {error}");
                sleep(AWAY_PAUSE).await;
            }
            started => return started,
        }
    }
}

async fn try_start(
    options: &Options,
    new: &Beginning,
    own: &Identity,
) -> Result<(Registration, Vec<Left>), Error> {
    let mut db = schema::open(&options.dsn, "rework monitor").await?;
    if let Err(error) = partition::ensure(&db).await {
        tracing::warn!("partitions for the log cannot be made: {error}");
    }
    let registration = register(&mut db, new, own).await?;
    // Workers of the same host name whose processes we cannot see are swept when their leases are dead.
    let mut left = worker::left(&db, &options.host).await?;
    left.retain(|left| left.place == (own.boot_id.clone(), own.pid_ns.clone()));
    Ok((registration, left))
}

/// Whether the database may only be away for a while. It has accepted a login before, so that also a
/// handshake that was cut is no reason to give up.
fn may_come_back(error: &CoreError) -> bool {
    error.is_connection() || matches!(error, CoreError::Tls { .. })
}

/// The monitor as it registers itself.
pub(crate) fn describe(options: &Options, own: &Identity, containment: &Containment) -> Beginning {
    Beginning {
        host: options.host.clone(),
        process: Process {
            boot_id: own.boot_id.clone(),
            pid_ns: own.pid_ns.clone(),
            pid: own.pid,
            pid_start: own.start,
        },
        domains: options.domains.clone(),
        capabilities: options.capabilities.clone(),
        options: options.to_json(),
        containment: containment.name().to_owned(),
        memory: containment.memory.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        terms: options.lease,
    }
}

/// Logs, for example, `monitor 3 on alpha: domains default, images; 2-4 workers each; containment
/// cgroup, memory cgroup1`.
pub(crate) fn say_hello(options: &Options, registration: &Registration, containment: &Containment) {
    let domains = match registration.domains.as_slice() {
        [] => "no operation is registered for this host yet".to_owned(),
        [one] => format!("domain {one}"),
        several => format!("domains {}", several.join(", ")),
    };
    let Bounds { min, max } = options.keep.usual.bounds();
    let workers = if min == max { format!("{max}") } else { format!("{min}-{max}") };
    let (id, host) = (registration.monitor, &options.host);
    systemd::ready(&format!("monitor {id} on {host}: {domains}"));
    let (held, memory) = (containment.name(), containment.memory.name());
    tracing::info!(
        "monitor {id} on {host}: {domains}; {workers} workers each; containment {held}, \
         memory {memory}"
    );
}
