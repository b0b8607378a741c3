//! The place of a monitor on its host: taken only when no other monitor there serves the same.
//!
//! Whether another one lives is seen at once where it runs on the same boot in the same pid
//! namespace. Elsewhere (the same name on another machine, in another container, before a reboot)
//! only its lease tells: it is watched for its length, and taken away if it has not moved.

use std::time::{Duration, Instant};

use rework_core::{
    connect::Db,
    error::Result as Answered,
    lease::{self, DEAD_AFTER, Lease, Seen},
    monitor::{self, Beginning, Begun, Gone, Process, Standing},
};
use rework_process::Identity;
use tokio::time::sleep;

use crate::error::Error;

/// How often a lease is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When two looks lie farther apart than this, the time between them is no evidence.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// A monitor's place.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) monitor: i64,
    pub(crate) lease: Lease,
    pub(crate) domains: Vec<String>,
}

/// Takes the place, waiting until it is known whether earlier monitors live.
pub(crate) async fn take_seat(db: &mut Db, new: &Beginning, own: &Identity) -> Result<Seat, Error> {
    let mut gone = Vec::new();
    loop {
        let others = monitor::standing(db, &new.host).await?;
        let mut unseen = Vec::new();
        for other in others {
            let in_the_way = stands_in_the_way(&other, new);
            match sight(&other.process, own, Identity::is_alive) {
                Sight::Gone => gone.push(Gone { id: other.id, take: None }),
                Sight::Alive if in_the_way => return Err(taken(&other, &new.host)),
                Sight::Unseen if in_the_way => unseen.push(other),
                Sight::Alive | Sight::Unseen => {}
            }
        }
        for other in unseen {
            gone.push(watch(db, other, &new.host).await?);
        }
        if let Begun::Ours { id, lease, domains } = monitor::begin(db, new, &gone).await? {
            return Ok(Seat { monitor: id, lease, domains });
        }
        // Somebody came in between: look again.
        gone.clear();
    }
}

fn stands_in_the_way(other: &Standing, new: &Beginning) -> bool {
    // Which domains an empty list will mean is known only when the place is taken.
    new.domains.is_empty() || other.stands_in_the_way(&new.domains, false)
}

/// What can be seen of a process from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Alive,
    Gone,
    /// It is, or was, where we cannot look.
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
    } else if is_alive(&identity) {
        Sight::Alive
    } else {
        Sight::Gone
    }
}

/// The same process, as this machine knows it.
pub(crate) fn identity(process: &Process) -> Identity {
    Identity {
        boot_id: process.boot_id.clone(),
        pid_ns: process.pid_ns.clone(),
        pid: process.pid,
        start: process.pid_start,
    }
}

/// Watches one whose process cannot be seen.
async fn watch(db: &Db, other: Standing, host: &str) -> Result<Gone, Error> {
    tracing::info!(
        "monitor {} of host {host} may live where it cannot be seen: its lease is watched for {} s",
        other.id,
        DEAD_AFTER.as_secs()
    );
    match dead(db, other.seen).await? {
        Some(seen) => Ok(Gone { id: other.id, take: Some(seen) }),
        None => Err(taken(&other, host)),
    }
}

/// Waits for the verdict on a lease: as it stood when it was found dead, or none if it moved.
pub(crate) async fn dead(db: &Db, seen: Seen) -> Answered<Option<Seen>> {
    let mut vigil = Vigil::new(seen, Instant::now());
    loop {
        sleep(LOOK_EVERY).await;
        let found = lease::see(db, seen.lease.id).await?;
        match vigil.look(found, Instant::now()) {
            Verdict::Alive => return Ok(None),
            Verdict::Dead => return Ok(Some(seen)),
            Verdict::Open => {}
        }
    }
}

/// A lease under observation.
#[derive(Debug)]
struct Vigil {
    seen: Seen,
    since: Instant,
    last_look: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Alive,
    Dead,
    Open,
}

impl Vigil {
    fn new(seen: Seen, now: Instant) -> Vigil {
        Vigil { seen, since: now, last_look: now }
    }

    fn look(&mut self, found: Option<Seen>, now: Instant) -> Verdict {
        if now.duration_since(self.last_look) > LONGEST_GAP {
            self.since = now;
        }
        self.last_look = now;
        match found {
            // Deleted: nobody lives by it.
            None => Verdict::Dead,
            Some(found) if found != self.seen => Verdict::Alive,
            Some(_) if now.duration_since(self.since) >= DEAD_AFTER => Verdict::Dead,
            Some(_) => Verdict::Open,
        }
    }
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
        let own = place("now", "pid:[1]");
        for (other, lives, expected) in [
            (process("now", "pid:[1]"), true, Sight::Alive),
            (process("now", "pid:[1]"), false, Sight::Gone),
            (process("now", "pid:[2]"), false, Sight::Unseen),
            (process("before", "pid:[1]"), false, Sight::Unseen),
            (process("before", "pid:[1]"), true, Sight::Unseen),
        ] {
            assert_eq!(sight(&other, &own, |_| lives), expected, "{other:?}");
        }
    }

    fn seen(epoch: i64, renewals: i64) -> Seen {
        Seen { lease: Lease { id: 1, epoch }, renewals }
    }

    #[test]
    fn a_lease_is_dead_when_it_has_not_moved_for_its_length_and_a_tenth() {
        let start = Instant::now();
        let mut vigil = Vigil::new(seen(1, 5), start);
        for second in 1..22 {
            let now = start + Duration::from_secs(second);
            assert_eq!(vigil.look(Some(seen(1, 5)), now), Verdict::Open, "after {second} s");
        }
        assert_eq!(vigil.look(Some(seen(1, 5)), start + DEAD_AFTER), Verdict::Dead);
    }

    #[test]
    fn a_lease_that_moves_lives() {
        let start = Instant::now();
        let soon = start + Duration::from_secs(1);
        for moved in [seen(1, 6), seen(2, 5)] {
            assert_eq!(Vigil::new(seen(1, 5), start).look(Some(moved), soon), Verdict::Alive);
        }
        assert_eq!(Vigil::new(seen(1, 5), start).look(None, soon), Verdict::Dead);
    }

    #[test]
    fn time_without_an_answer_is_no_evidence() {
        let start = Instant::now();
        let mut vigil = Vigil::new(seen(1, 5), start);
        let late = start + Duration::from_secs(60);
        assert_eq!(vigil.look(Some(seen(1, 5)), late), Verdict::Open);
        for second in 1..22 {
            let now = late + Duration::from_secs(second);
            assert_eq!(vigil.look(Some(seen(1, 5)), now), Verdict::Open);
        }
        assert_eq!(vigil.look(Some(seen(1, 5)), late + DEAD_AFTER), Verdict::Dead);
    }
}
