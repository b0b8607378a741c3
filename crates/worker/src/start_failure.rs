//! The reaction of a worker that could not start a run. `start_error.rs` decides whose fault that was.

use rework_core::task::{claim::ClaimedTask, complete::Completion};
use rework_wire::worker::FromWorker;

use crate::{
    context::Context,
    run_result::RunResult,
    start_error::{Fault, StartError},
};

impl Context {
    /// Records the end of a run that could not be started, and reports a fault of the host to the monitor. `name` is
    /// the operation, as a text for people.
    ///
    /// If this host cannot start the operation now, this worker claims no more of its tasks until the monitor allows
    /// it. If the host can start nothing, the worker retires: a new one may succeed, and the monitor starts it after a
    /// pause.
    pub(crate) fn start_failed(&mut self, claimed: &ClaimedTask, name: &str, error: &StartError) {
        let (fence, operation) = (claimed.fence, claimed.version.operation);
        let fault = error.fault();
        if fault == Fault::Operation {
            let refused = RunResult::refused(format!("the operation cannot be loaded: {error}"));
            self.recorder.complete(Completion::new(fence, refused.outcome, refused.reason));
            return;
        }
        let reason = error.to_string();
        let for_task = format!("this host cannot start it now: {reason}");
        self.recorder.complete(Completion::not_started(fence, &for_task));
        self.queue.requeue_all("the task before it could not be started", &self.recorder);
        self.queue.forget_durations(operation);
        if fault == Fault::Host {
            self.supervisor.retire(&format!("it could not start a run: {reason}"));
        } else {
            self.recorder.block_operation(operation);
        }
        self.supervisor.send(&FromWorker::StartFailed {
            operation,
            name: name.to_owned(),
            of_host: fault == Fault::Host,
            reason,
        });
    }
}
