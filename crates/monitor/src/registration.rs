//! The registration of a monitor: granted only if no other monitor of the same host serves the same
//! domains.
//!
//! Whether another monitor lives can be seen at once if it runs on the same boot in the same pid
//! namespace. Otherwise (the same name on another machine, in another container, before a reboot)
//! only its lease tells: it is watched for its length, and taken away if it has not moved.

use rework_core::{
    db::{connect::Db, error::Result as Answered},
    fleet::monitor::{self, Beginning, Begun, Gone, Process, Standing},
    lease::{
        self,
        observer::Watch,
        row::{Lease, Seen},
    },
};
use rework_process::{Identity, boot_time};
use rework_wire::lease::{Moment, Terms};
use tokio::time::sleep;

use crate::error::Error;

/// A registered monitor.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) monitor: i64,
    pub(crate) lease: Lease,
    pub(crate) domains: Vec<String>,
    /// When the statement was sent that made the lease.
    pub(crate) sent_at: Moment,
}

/// Registers a monitor, after waiting until it is known whether earlier monitors live.
pub(crate) async fn register(
    db: &mut Db,
    new: &Beginning,
    own: &Identity,
) -> Result<Registration, Error> {
    let mut gone = Vec::new();
    loop {
        let others = monitor::standing(db, &new.host).await?;
        let mut unseen = Vec::new();
        for other in others {
            let in_the_way = stands_in_the_way(&other, new);
            match sight(&other.process, own, Identity::is_alive) {
                _ if other.taken => gone.push(Gone { id: other.id, take: None }),
                Sight::Gone => gone.push(Gone { id: other.id, take: None }),
                Sight::Alive if in_the_way => return Err(taken(&other, &new.host)),
                Sight::Unseen if in_the_way => unseen.push(other),
                Sight::Alive | Sight::Unseen => {}
            }
        }
        for other in unseen {
            gone.push(watch(db, other, &new.host).await?);
        }
        let sent_at = boot_time();
        if let Begun::Ours { id, lease, domains } = monitor::begin(db, new, &gone).await? {
            return Ok(Registration { monitor: id, lease, domains, sent_at });
        }
        // Somebody came in between: look again.
        gone.clear();
    }
}

fn stands_in_the_way(other: &Standing, new: &Beginning) -> bool {
    // The domains that an empty list stands for are known only after the registration.
    new.domains.is_empty() || other.stands_in_the_way(&new.domains, false)
}

/// Whether a process is alive, as far as that can be seen from here. A process that executed itself
/// anew, and so became this one, is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Alive,
    Gone,
    /// The process is, or was, where we cannot look.
    Unseen,
}

pub(crate) fn sight(
    process: &Process,
    own: &Identity,
    is_alive: impl FnOnce(&Identity) -> bool,
) -> Sight {
    let identity = identity(process);
    if !identity.same_place(own) {
        Sight::Unseen
    } else if identity != *own && is_alive(&identity) {
        Sight::Alive
    } else {
        Sight::Gone
    }
}

/// The identity of a process that the database knows.
pub(crate) fn identity(process: &Process) -> Identity {
    Identity {
        boot_id: process.boot_id.clone(),
        pid_ns: process.pid_ns.clone(),
        pid: process.pid,
        start: process.pid_start,
    }
}

/// Watches the lease of a monitor whose process cannot be seen.
async fn watch(db: &Db, other: Standing, host: &str) -> Result<Gone, Error> {
    tracing::info!(
        "monitor {} of host {host} may live where it cannot be seen: its lease is watched",
        other.id
    );
    match dead(db, other.seen).await? {
        Verdict::Dead(seen) => Ok(Gone { id: other.id, take: Some(seen) }),
        Verdict::Taken => Ok(Gone { id: other.id, take: None }),
        Verdict::Alive => Err(taken(&other, host)),
    }
}

/// Watches a lease until its verdict is known.
pub(crate) async fn dead(db: &Db, seen: Seen) -> Answered<Verdict> {
    let mut watch = Watch::new(Terms::default().look_every());
    loop {
        let sent_at = boot_time();
        let Some((found, terms)) = lease::row::see(db, seen.lease.id).await? else {
            return Ok(Verdict::Taken);
        };
        if found != seen {
            return Ok(Verdict::Alive);
        }
        let looked = lease::observer::Event::Looked { sent_at, leases: vec![(found, terms)] };
        if !watch.step(looked, boot_time()).is_empty() {
            return Ok(Verdict::Dead(found));
        }
        sleep(terms.look_every()).await;
    }
}

/// The verdict on a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The lease moved.
    Alive,
    /// The lease has not moved for its length, and was last seen like this.
    Dead(Seen),
    /// Somebody has taken the lease away.
    Taken,
}

fn taken(other: &Standing, host: &str) -> Error {
    let domains: Vec<String> = other.domains.iter().map(|domain| format!("`{domain}`")).collect();
    let domains = match domains.as_slice() {
        [] => "whatever is registered".to_owned(),
        [one] => format!("domain {one}"),
        several => format!("domains {}", several.join(", ")),
    };
    let (id, pid, host) = (other.id, other.process.pid, host.to_owned());
    Error::Taken { id, pid, host, domains }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(boot: &str, namespace: &str) -> Identity {
        let (boot_id, pid_ns) = (boot.to_owned(), namespace.to_owned());
        Identity { boot_id, pid_ns, pid: 7, start: 70 }
    }

    fn process(boot: &str, namespace: &str) -> Process {
        let Identity { boot_id, pid_ns, pid, start } = place(boot, namespace);
        Process { boot_id, pid_ns, pid, pid_start: start }
    }

    #[test]
    fn only_what_runs_on_this_boot_in_this_pid_namespace_is_seen() {
        let own = Identity { pid: 8, ..place("now", "pid:[1]") };
        for (other, lives, expected) in [
            (process("now", "pid:[1]"), true, Sight::Alive),
            (process("now", "pid:[1]"), false, Sight::Gone),
            (process("now", "pid:[2]"), false, Sight::Unseen),
            (process("before", "pid:[1]"), false, Sight::Unseen),
            (process("before", "pid:[1]"), true, Sight::Unseen),
        ] {
            assert_eq!(sight(&other, &own, |_| lives), expected, "{other:?}");
        }
        let before = Process { pid: 8, ..process("now", "pid:[1]") };
        assert_eq!(sight(&before, &own, |_| true), Sight::Gone, "it executed itself anew");
    }
}
