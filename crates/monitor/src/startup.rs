//! The start of a monitor: it registers, and finds the workers that earlier monitors left behind.

use std::time::{Duration, Instant};

use rework_core::{
    admin::{partition, schema},
    fleet::{
        monitor::{NewMonitor, ProcessRecord},
        worker::{self, AbandonedWorker},
    },
};
use rework_process::{Containment, Identity};
use tokio::time::sleep;

use crate::{
    error::Error,
    options::Options,
    registration::{Registration, register},
    repeated_errors::RepeatedErrors,
    state::pool_size::Bounds,
    systemd,
};

/// The pause between two attempts to reach an unavailable database.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Registers the monitor. Returns its registration, and the workers that earlier monitors left behind.
///
/// A monitor that replaces an earlier one waits until the database is available and accepts its registration.
pub(crate) async fn start(
    options: &Options,
    new: &NewMonitor,
    own: &Identity,
) -> Result<(Registration, Vec<AbandonedWorker>), Error> {
    let mut errors = RepeatedErrors::default();
    loop {
        match try_start(options, new, own).await {
            Err(Error::Database(error)) if options.wait_for_database && error.may_pass() => {
                let text = error.to_string();
                if errors.is_news(&text, Instant::now()) {
                    tracing::warn!("cannot register yet: {text}; this monitor tries again");
                }
                sleep(RETRY_PAUSE).await;
            }
            started => return started,
        }
    }
}

async fn try_start(
    options: &Options,
    new: &NewMonitor,
    own: &Identity,
) -> Result<(Registration, Vec<AbandonedWorker>), Error> {
    let mut db = schema::open(&options.dsn, "rework monitor").await?;
    if let Err(error) = partition::ensure_partitions(&db).await {
        tracing::warn!("cannot create partitions for the log: {error}");
    }
    let registration = register(&mut db, new, own).await?;
    // Workers of the same host name may run where their processes are not visible. They are swept when their leases are
    // dead.
    let mut abandoned = worker::abandoned(&db, &options.host).await?;
    let own_namespace = (own.boot_id.clone(), own.pid_ns.clone());
    abandoned.retain(|worker| worker.boot_and_pid_ns == own_namespace);
    Ok((registration, abandoned))
}

/// Returns the row with which the monitor registers.
pub(crate) fn describe_monitor(
    options: &Options,
    own: &Identity,
    containment: &Containment,
) -> NewMonitor {
    NewMonitor {
        host: options.host.clone(),
        process: ProcessRecord {
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

/// Logs that the monitor has registered, and notifies systemd. The line is, for example, `monitor 3 on alpha: domains
/// default, images; 2-4 workers each; containment cgroup, memory cgroup1`.
pub(crate) fn log_registered(
    options: &Options,
    registration: &Registration,
    containment: &Containment,
) {
    let domains = match registration.domains.as_slice() {
        [] => "no operation is registered for this host yet".to_owned(),
        [one] => format!("domain {one}"),
        several => format!("domains {}", several.join(", ")),
    };
    let Bounds { min, max } = options.pool_options.default.bounds();
    let workers = if min == max { format!("{max}") } else { format!("{min}-{max}") };
    let (id, host) = (registration.monitor, &options.host);
    systemd::ready(&format!("monitor {id} on {host}: {domains}"));
    let (method, memory) = (containment.name(), containment.memory.name());
    tracing::info!(
        "monitor {id} on {host}: {domains}; {workers} workers each; containment {method}, \
         memory {memory}"
    );
}
