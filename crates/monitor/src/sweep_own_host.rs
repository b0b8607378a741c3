//! Sweeping after workers of this host that died, and after which nobody could clean up: their ends were recorded while
//! no monitor ran here, by another host or by themselves. Their folders, processes and cgroups may be left.
//!
//! Workers whose ends are not recorded yet are adopted instead (`adopt.rs`).

use std::{collections::BTreeSet, time::Duration};

use rework_process::{Containment, dead_workers, remove_worker_folder, sweep};
use tokio::{task::spawn_blocking, time::sleep};

/// How long killed processes may take to die. A process usually dies within milliseconds.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The age from which on folders are removed. A younger one may belong to a worker that is just starting.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Sweeps twice, in the background: at once, and when all folders of workers from before are old enough. `adopted` has
/// the process tags of the workers that are adopted.
pub(crate) async fn sweep_own_host(containment: Containment, adopted: BTreeSet<String>) {
    sweep_once(&containment, &adopted).await;
    sleep(MIN_AGE).await;
    sweep_once(&containment, &adopted).await;
}

async fn sweep_once(containment: &Containment, adopted: &BTreeSet<String>) {
    let dead = spawn_blocking(|| dead_workers(MIN_AGE)).await.unwrap_or_default();
    for process_tag in dead.into_iter().filter(|process_tag| !adopted.contains(process_tag)) {
        if let Err(unkillable) = sweep(containment, &process_tag, KILL_TIMEOUT).await {
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
}
