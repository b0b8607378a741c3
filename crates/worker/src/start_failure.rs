//! The reaction of a worker that could not start a run. `start_error.rs` decides whose fault that was.

use rework_core::task::{
    claim::{ClaimedTask, OperationVersion},
    complete::Completion,
};
use rework_wire::worker::FromWorker;

use crate::{
    context::Context,
    run_result::RunResult,
    start_error::{Fault, StartError},
};

impl Context {
    /// Records the end of a run that could not be started, and reports a fault of the host to the monitor. `name` is
    /// the operation, as a text for people.
    pub(crate) fn start_failed(&mut self, claimed: &ClaimedTask, name: &str, error: &StartError) {
        let (fence, version) = (claimed.fence, claimed.version);
        if error.fault() == Fault::Operation {
            let refused = RunResult::refused(format!("the operation cannot be loaded: {error}"));
            self.recorder.complete(Completion::new(fence, refused.outcome, refused.reason));
            return;
        }
        let reason = match error {
            StartError::Unavailable(_) => error.to_string(),
            _ => format!("this host cannot start it now: {error}"),
        };
        self.recorder.complete(Completion::not_started(fence, &reason));
        self.report_start_fault(version, name, error);
    }

    /// Reports to the monitor that this host cannot start an operation now. `error` is no fault of the operation.
    ///
    /// This worker claims no more of its tasks until the monitor allows it. If the host can start nothing, the worker
    /// retires: a new one may succeed, and the monitor starts it after a pause.
    pub(crate) fn report_start_fault(
        &mut self,
        version: OperationVersion,
        name: &str,
        error: &StartError,
    ) {
        let (operation, name, reason) = (version.operation, name.to_owned(), error.to_string());
        self.queue.requeue_all("the task before it could not be started", &self.recorder);
        self.queue.forget_durations(operation);
        let of_host = error.fault() == Fault::Host;
        if of_host {
            self.supervisor.retire(&format!("it could not start a run: {reason}"));
        } else {
            self.recorder.block_operation(operation);
        }
        let message = match error {
            StartError::Unavailable(reason) => {
                self.availability.record_unavailable(version);
                FromWorker::OperationUnavailable { operation, name, reason: reason.clone() }
            }
            _ => FromWorker::StartFailed { operation, name, of_host, reason },
        };
        self.supervisor.send(&message);
    }
}
