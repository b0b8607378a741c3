//! Ends the worker in order.

use rework_wire::worker::FromWorker;
use tokio::time::timeout;

use super::{EXIT_TIMEOUT, Worker};
use crate::{
    context::Context,
    recorder::Recorder,
    supervisor::{Event, Supervisor},
};

impl Worker {
    /// Ends the worker: requeues the claimed tasks that have not started, writes what is unsaved, cleans up, and records
    /// its exit. The monitor records the exit, too; the worker does it in case it has no monitor. Nobody cleans up after
    /// a worker whose exit is recorded, so that comes last.
    pub(super) async fn leave(&mut self, reason: String) {
        let Context { supervisor, recorder, queue, .. } = &mut self.context;
        queue.requeue_all(&format!("its worker was leaving: {reason}"), recorder);
        // Log lines and results of runs exist only in this process until they are written, so there is no time limit.
        if recorder.has_unsaved() {
            wait_until_flushed(supervisor, recorder).await;
        }
        supervisor.send(&FromWorker::Leaving { reason: reason.clone() });
        self.clean_up().await;
        let recorder = &self.context.recorder;
        if let Ok(Ok(Err(error))) = timeout(EXIT_TIMEOUT, recorder.record_exit(reason)).await {
            tracing::warn!("the worker's end could not be recorded: {error}");
        }
    }

    /// Ends the runners, and deletes the folder for temporary files.
    pub(super) async fn clean_up(&mut self) {
        self.context.warm_runners.end_all().await;
        self.context.launcher.remove_folder().await;
    }
}

/// Waits until everything handed to the recorder is in the database, or until the lease is lost: then other processes
/// have already recorded these runs as lost.
async fn wait_until_flushed(supervisor: &mut Supervisor, recorder: &Recorder) {
    let mut flushed = recorder.flushed();
    loop {
        tokio::select! {
            _ = &mut flushed => return,
            event = supervisor.next(None) => match event {
                Event::LeaseLost => return,
                Event::PausesChanged => supervisor.confirm_pauses(),
                Event::Woken | Event::Abort(..) | Event::Retired => {}
            },
        }
    }
}
