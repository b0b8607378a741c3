//! Sweeping after workers of this host that died, and after which nobody could clean up: another host has recorded
//! their ends, while no monitor ran here. Their folders, processes and cgroups may be left.
//!
//! Workers whose ends are not recorded yet are adopted instead (`adopt.rs`).

use std::{collections::BTreeSet, time::Duration};

use rework_process::{
    Containment, FoundWorkers, find_workers, remove_empty_cgroups, remove_worker_folder, sweep,
};
use tokio::task::spawn_blocking;

/// How long killed processes may take to die. A process usually dies within milliseconds.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The age from which on folders and cgroups are removed. Younger ones may belong to a worker that is just starting.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Sweeps once, in the background. `adopted` has the process tags of the workers that are adopted.
pub(crate) async fn sweep_own_host(containment: Containment, adopted: BTreeSet<String>) {
    let found = spawn_blocking(|| find_workers(MIN_AGE)).await;
    let FoundWorkers { mut dead, alive } = found.unwrap_or_default();
    dead.retain(|process_tag| !adopted.contains(process_tag));
    for process_tag in dead {
        if let Err(unkillable) = sweep(&containment, &process_tag, KILL_TIMEOUT).await {
            tracing::warn!("processes of a dead worker cannot be killed: {unkillable}");
            continue;
        }
        let removed = spawn_blocking(move || remove_worker_folder(&process_tag)).await;
        match removed {
            Ok(Ok(())) => tracing::info!("the temporary files of a dead worker are removed"),
            Ok(Err(error)) => {
                tracing::warn!("cannot remove the temporary files of a dead worker: {error}");
            }
            Err(_) => {}
        }
    }
    let is_alive = |tag: &str| alive.contains(tag) || adopted.contains(tag);
    let count = remove_empty_cgroups(&containment, MIN_AGE, is_alive);
    if count > 0 {
        tracing::info!("{count} empty cgroups of dead workers are removed");
    }
}
