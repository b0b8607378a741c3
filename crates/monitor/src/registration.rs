//! The registration of a monitor. It succeeds only if no other live monitor of the same host name serves one of the
//! same domains.
//!
//! If another monitor runs on the same boot and in the same pid namespace, its process shows whether it is alive.
//! Otherwise its process is not visible: it may run on another machine with the same host name or in another container,
//! or belong to an earlier boot. Then its lease is observed. If the lease is not renewed for its length, the monitor is
//! dead, and the lease is taken away.

use rework_core::{
    db::{connect::Db, error::Result as DbResult},
    fleet::monitor::{
        self, DeadMonitor, NewMonitor, ProcessRecord, RegisterResult, RegisteredMonitor,
    },
    lease::{
        self,
        observer::{LeaseObserver, ObserverEvent},
        row::{Lease, LeaseSnapshot},
    },
};
use rework_process::{Identity, boot_time};
use rework_wire::lease::{BootTime, LeaseTerms};
use tokio::time::sleep;

use crate::error::Error;

/// The ids and the lease of a registered monitor.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// The id of the monitor.
    pub(crate) monitor: i64,
    pub(crate) lease: Lease,
    /// The domains that the monitor serves.
    pub(crate) domains: Vec<String>,
    /// The time at which the statement that created the lease was sent. The lease lasts from then
    /// on.
    pub(crate) sent_at: BootTime,
}

/// Registers a monitor. First waits until it is known which earlier monitors are alive. `Err` if a live one serves one
/// of the same domains.
pub(crate) async fn register(
    db: &mut Db,
    new: &NewMonitor,
    own: &Identity,
) -> Result<Registration, Error> {
    let mut dead = Vec::new();
    loop {
        let others = monitor::registered(db, &new.host).await?;
        let mut unknown = Vec::new();
        for other in others {
            let is_conflict = conflicts(&other, new);
            match liveness(&other.process, own, Identity::is_alive) {
                _ if other.lease_is_taken => {
                    dead.push(DeadMonitor { id: other.id, lease_to_take: None });
                }
                Liveness::Dead => dead.push(DeadMonitor { id: other.id, lease_to_take: None }),
                Liveness::Alive if is_conflict => return Err(already_served(&other, &new.host)),
                Liveness::Unknown if is_conflict => unknown.push(other),
                Liveness::Alive | Liveness::Unknown => {}
            }
        }
        for other in unknown {
            dead.push(wait_for_death(db, other, &new.host).await?);
        }
        let sent_at = boot_time();
        let result = monitor::register(db, new, &dead).await?;
        if let RegisterResult::Registered { id, lease, domains } = result {
            return Ok(Registration { monitor: id, lease, domains, sent_at });
        }
        // Another monitor has registered in between: check the monitors again.
        dead.clear();
    }
}

fn conflicts(other: &RegisteredMonitor, new: &NewMonitor) -> bool {
    // An empty list stands for all domains of the host. Which ones these are is known only after the registration.
    new.domains.is_empty() || other.conflicts_with(&new.domains, false)
}

/// Whether a process is alive, as far as this process can find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    Dead,
    /// The process is not visible from here: it belongs to another boot or another pid namespace, or `/proc` hides it.
    Unknown,
}

/// Finds out whether a process is alive. This process itself counts as dead: it is an earlier
/// monitor that executed its program again.
pub(crate) fn liveness(
    process: &ProcessRecord,
    own: &Identity,
    is_alive: impl FnOnce(&Identity) -> bool,
) -> Liveness {
    let identity = identity(process);
    if !identity.in_same_pid_namespace(own) {
        Liveness::Unknown
    } else if identity == *own {
        Liveness::Dead
    } else if is_alive(&identity) {
        Liveness::Alive
    } else if identity.is_hidden() {
        Liveness::Unknown
    } else {
        Liveness::Dead
    }
}

/// Converts the identity of a process from its form in the database.
pub(crate) fn identity(process: &ProcessRecord) -> Identity {
    Identity {
        boot_id: process.boot_id.clone(),
        pid_ns: process.pid_ns.clone(),
        pid: process.pid,
        start: process.pid_start,
    }
}

/// Observes the lease of a monitor whose process is not visible, until it is known to be dead. `Err` if it is alive.
async fn wait_for_death(
    db: &Db,
    other: RegisteredMonitor,
    host: &str,
) -> Result<DeadMonitor, Error> {
    tracing::info!(
        "monitor {} of host {host} may run where its process is not visible: observing its lease",
        other.id
    );
    match observe_lease(db, other.lease).await? {
        LeaseState::Dead(lease) => Ok(DeadMonitor { id: other.id, lease_to_take: Some(lease) }),
        LeaseState::Taken => Ok(DeadMonitor { id: other.id, lease_to_take: None }),
        LeaseState::Renewed => Err(already_served(&other, host)),
    }
}

/// Observes a lease until its state is known.
pub(crate) async fn observe_lease(db: &Db, first: LeaseSnapshot) -> DbResult<LeaseState> {
    let mut observer = LeaseObserver::new(LeaseTerms::default().poll_interval());
    loop {
        let sent_at = boot_time();
        let Some((lease, terms)) = lease::row::snapshot(db, first.lease.id).await? else {
            return Ok(LeaseState::Taken);
        };
        if lease != first {
            return Ok(LeaseState::Renewed);
        }
        let polled = ObserverEvent::Polled { sent_at, leases: vec![(lease, terms)] };
        if !observer.step(polled, boot_time()).is_empty() {
            return Ok(LeaseState::Dead(lease));
        }
        sleep(terms.poll_interval()).await;
    }
}

/// The state of an observed lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// The lease was renewed, so its holder, the monitor that depends on it, is alive.
    Renewed,
    /// The lease was not renewed for its length. The snapshot is its last state.
    Dead(LeaseSnapshot),
    /// Another monitor has taken the lease away.
    Taken,
}

fn already_served(other: &RegisteredMonitor, host: &str) -> Error {
    let domains: Vec<String> = other.domains.iter().map(|domain| format!("`{domain}`")).collect();
    let domains = match domains.as_slice() {
        [] => "all domains".to_owned(),
        [one] => format!("domain {one}"),
        several => format!("domains {}", several.join(", ")),
    };
    let (id, pid, host) = (other.id, other.process.pid, host.to_owned());
    Error::AlreadyServed { id, pid, host, domains }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity_in(boot: &str, namespace: &str) -> Identity {
        let (boot_id, pid_ns) = (boot.to_owned(), namespace.to_owned());
        Identity { boot_id, pid_ns, pid: 7, start: 70 }
    }

    fn process_in(boot: &str, namespace: &str) -> ProcessRecord {
        let Identity { boot_id, pid_ns, pid, start } = identity_in(boot, namespace);
        ProcessRecord { boot_id, pid_ns, pid, pid_start: start }
    }

    #[test]
    fn a_process_of_another_boot_or_pid_namespace_is_unknown() {
        let own = Identity { pid: 8, ..identity_in("now", "pid:[1]") };
        for (other, is_alive, expected) in [
            (process_in("now", "pid:[1]"), true, Liveness::Alive),
            (process_in("now", "pid:[1]"), false, Liveness::Dead),
            (process_in("now", "pid:[2]"), false, Liveness::Unknown),
            (process_in("before", "pid:[1]"), false, Liveness::Unknown),
            (process_in("before", "pid:[1]"), true, Liveness::Unknown),
        ] {
            assert_eq!(liveness(&other, &own, |_| is_alive), expected, "{other:?}");
        }
        let before = ProcessRecord { pid: 8, ..process_in("now", "pid:[1]") };
        assert_eq!(liveness(&before, &own, |_| true), Liveness::Dead, "it executed itself anew");
    }
}
