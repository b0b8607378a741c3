//! Checks whether the operation is still available before further runs are dispatched to the runner. If runs follow one
//! another, the loop ends and the next run begins with a check. If several runs are open at once, the check is executed
//! beside them.

use tokio::time::Instant;

use super::RunLoop;
use crate::{
    check::{self, CHECK_TIMEOUT},
    start_error::StartError,
};

/// A check that is executed by a runner with open runs.
#[derive(Debug)]
pub(super) struct OpenCheck {
    number: u32,
    /// When the answer is late.
    answer_by: Instant,
}

impl OpenCheck {
    /// Returns when the answer is late.
    pub(super) fn answer_by(&self) -> Instant {
        self.answer_by
    }
}

impl RunLoop<'_> {
    /// Returns whether runs may be dispatched: the operation has no check, or was available within the last second. If
    /// not, causes the check to be run.
    pub(super) fn may_dispatch(&mut self) -> bool {
        if !self.operation.has_check() || self.context.availability.is_known(self.version) {
            return true;
        }
        if self.concurrency == 1 {
            self.accepts_no_runs = true;
        } else if self.open_check.is_none() {
            self.request_check();
        }
        false
    }

    fn request_check(&mut self) {
        let Some(frames) = &mut self.runner.frames else { return };
        let number = self.context.availability.next_number();
        if frames.send(&check::request(&self.operation.definition, number), &[]).is_err() {
            self.accepts_no_runs = true;
            return;
        }
        let answer_by = Instant::now() + CHECK_TIMEOUT;
        self.open_check = Some(OpenCheck { number, answer_by });
    }

    /// Handles the answer to a check. One to an earlier check is ignored.
    pub(super) fn on_checked(&mut self, number: u32, reason: Option<&str>) {
        if self.open_check.as_ref().is_none_or(|check| check.number != number) {
            return;
        }
        self.open_check = None;
        match reason {
            None => {
                self.context.availability.record_available(self.version);
                self.context.supervisor.report_started(self.version.operation);
            }
            Some(reason) => {
                self.stop_dispatching(&StartError::Unavailable(check::one_line(reason)));
            }
        }
    }

    /// Dispatches no more runs if the answer to a check is late. A check that hangs may block the runner, so that it is
    /// not used again after its open runs.
    pub(super) fn end_late_check(&mut self, now: Instant) {
        if self.open_check.as_ref().is_some_and(|check| check.answer_by <= now) {
            self.open_check = None;
            self.accepts_no_runs = true;
            self.must_be_replaced = true;
            self.stop_dispatching(&StartError::NoAnswer(check::too_late()));
        }
    }

    fn stop_dispatching(&mut self, error: &StartError) {
        self.context.queue.requeue_all(&error.to_string(), &self.context.recorder);
        let name = &self.operation.definition.name;
        self.context.report_start_fault(self.version, name, error);
    }
}
