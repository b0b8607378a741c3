//! How a monitor begins: it takes its place, and sees what earlier monitors have left.

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
    pool::Bounds,
    service,
    twin::{Seat, take_seat},
};

/// Between two attempts to reach a database that is away.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// The place, and the workers that earlier monitors have left in it.
pub(crate) async fn begin(
    options: &Options,
    new: &Beginning,
    own: &Identity,
) -> Result<(Seat, Vec<Left>), Error> {
    loop {
        match try_begin(options, new, own).await {
            Err(Error::Database(error)) if options.patient && may_come_back(&error) => {
                tracing::debug!("the database is away: {error}");
                sleep(AWAY_PAUSE).await;
            }
            begun => return begun,
        }
    }
}

async fn try_begin(
    options: &Options,
    new: &Beginning,
    own: &Identity,
) -> Result<(Seat, Vec<Left>), Error> {
    let mut db = schema::open(&options.dsn, "rework monitor").await?;
    if let Err(error) = partition::ensure(&db).await {
        tracing::warn!("partitions for the log cannot be made: {error}");
    }
    let seat = take_seat(&mut db, new, own).await?;
    // Those of this host's name that are where we cannot look are swept when their leases are dead.
    let mut left = worker::left(&db, &options.host).await?;
    left.retain(|left| left.place == (own.boot_id.clone(), own.pid_ns.clone()));
    Ok((seat, left))
}

/// Of a database that has let us in before: also a handshake that was cut.
fn may_come_back(error: &CoreError) -> bool {
    error.is_connection() || matches!(error, CoreError::Tls { .. })
}

pub(crate) fn beginning(options: &Options, own: &Identity, containment: &Containment) -> Beginning {
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

/// `monitor 3 on alpha: domains default, images; 2-4 workers each; containment cgroup, memory cgroup1`.
pub(crate) fn say_hello(options: &Options, seat: &Seat, containment: &Containment) {
    let domains = match seat.domains.as_slice() {
        [] => "no operation is registered for this host yet".to_owned(),
        [one] => format!("domain {one}"),
        several => format!("domains {}", several.join(", ")),
    };
    let Bounds { min, max } = options.keep.usual.bounds();
    let workers = if min == max { format!("{max}") } else { format!("{min}-{max}") };
    let (id, host) = (seat.monitor, &options.host);
    service::ready(&format!("monitor {id} on {host}: {domains}"));
    let (held, memory) = (containment.name(), containment.memory.name());
    tracing::info!(
        "monitor {id} on {host}: {domains}; {workers} workers each; containment {held}, \
         memory {memory}"
    );
}
