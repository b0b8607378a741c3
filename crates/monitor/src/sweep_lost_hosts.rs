//! Sweeping after lost hosts. Leases that `state/lost_hosts.rs` has found dead are taken away. Then the ends of the
//! monitors, workers and runs under these leases are recorded with the reason `host lost` (`core/src/fleet/sweep.rs`).
//!
//! Whether the tasks of lost runs are queued again is decided in `migrations/V15__complete.sql`: only if the operation
//! allows it (`retry_lost`) and the task was not lost three times before.

use rework_core::{
    db::{connect::Db, error::Result},
    fleet::sweep::{HOST_LOST, sweep},
    lease::{self, row::LeaseSnapshot},
};

use crate::outcome_log;

/// Takes dead leases away, unless they were renewed after all, and sweeps after their hosts.
pub(crate) async fn take_dead_leases(db: &Db, dead: &[LeaseSnapshot]) -> Result<()> {
    let mut taken = 0;
    for lease in dead {
        if lease::row::take(db, *lease).await? {
            tracing::warn!(
                "lease {} was not renewed for too long: it is taken away",
                lease.lease.id
            );
            taken += 1;
        }
    }
    if taken > 0 { sweep_lost_hosts(db).await } else { Ok(()) }
}

/// Records the ends of all monitors, workers and runs whose lease was taken away.
pub(crate) async fn sweep_lost_hosts(db: &Db) -> Result<()> {
    let swept = sweep(db).await?;
    for (id, host) in swept.monitors {
        tracing::warn!("monitor {id} on {host} is lost: its end is recorded");
    }
    for (worker, error) in swept.postponed {
        tracing::warn!("cannot record the runs of lost worker {worker} yet: {error}");
    }
    let ends = swept.ends.into_iter();
    outcome_log::log_outcomes(ends.map(|(task, recorded)| (task, recorded, HOST_LOST)));
    Ok(())
}
