//! Sweeping after lost hosts: leases that were judged dead (by `state/lost_hosts.rs`) are taken away,
//! and the ends of the monitors, workers and runs that lived by them are recorded as `host lost`
//! (`core/src/fleet/sweep.rs`). What becomes of their tasks is decided in `migrations/V15__complete.sql`: a `lost`
//! run is repeated if its operation allows it (`retry_lost`).

use rework_core::{
    db::{connect::Db, error::Result},
    fleet::sweep::{HOST_LOST, sweep},
    lease::{self, row::Seen},
};

use crate::outcome_log;

/// Takes dead leases away, unless they have moved after all, and sweeps after them.
pub(crate) async fn take_dead_leases(db: &Db, dead: &[Seen]) -> Result<()> {
    let mut taken = 0;
    for seen in dead {
        if lease::row::take(db, *seen).await? {
            tracing::warn!("lease {} has not moved for too long: it is taken away", seen.lease.id);
            taken += 1;
        }
    }
    if taken > 0 { sweep_lost_hosts(db).await } else { Ok(()) }
}

/// Records the ends of everything that lived by a lease that was taken away.
pub(crate) async fn sweep_lost_hosts(db: &Db) -> Result<()> {
    let swept = sweep(db).await?;
    for (id, host) in swept.monitors {
        tracing::warn!("monitor {id} on {host} is taken for dead");
    }
    for (worker, error) in swept.left {
        tracing::warn!("what worker {worker} had is closed later: {error}");
    }
    outcome_log::say(swept.ends.into_iter().map(|(task, recorded)| (task, recorded, HOST_LOST)));
    Ok(())
}
