//! Everything that a worker runs tasks with, handed on as one value; and how it waits for something without
//! missing an abort, an order to leave, or the loss of its lease.

use std::time::Duration;

use rework_core::task::fence::Fence;

use crate::{
    abort::Abort,
    alarm::Alarm,
    life::{Event, LeaseLost, Life},
    local_queue::LocalQueue,
    recorder::Recorder,
    runner_launcher::RunnerLauncher,
    runners::Runners,
};

/// What a worker runs tasks with.
pub(crate) struct Context {
    /// The monitor's orders, and the lease.
    pub life: Life,
    /// The only way to the database.
    pub recorder: Recorder,
    /// Starts runners.
    pub launcher: RunnerLauncher,
    /// Runners that are warm and have no run.
    pub runners: Runners,
    /// Claimed runs that no runner was given yet.
    pub queue: LocalQueue,
    /// How long a runner may take from its start to its `hello`.
    pub start_timeout: Duration,
    /// The timer of the run loop.
    pub alarm: Alarm,
}

/// What ended a wait.
pub(crate) enum Waited<T> {
    /// The result that was waited for.
    Ready(T),
    /// Somebody wants the run to end for whose sake the worker waits.
    Aborted(Abort),
}

impl Context {
    /// Waits for `result` for the sake of the run `fence`. Meanwhile aborts of other claimed runs are carried out, and
    /// a worker that is told to leave returns what it has claimed to the queue.
    pub(crate) async fn wait_for<T>(
        &mut self,
        fence: Option<Fence>,
        result: impl Future<Output = T>,
    ) -> Result<Waited<T>, LeaseLost> {
        tokio::pin!(result);
        loop {
            tokio::select! {
                biased;
                result = &mut result => return Ok(Waited::Ready(result)),
                event = self.life.next(fence) => match event {
                    Event::LeaseLost => return Err(LeaseLost),
                    Event::Abort(abort) if fence.is_some_and(|fence| abort.names(fence)) => {
                        return Ok(Waited::Aborted(abort));
                    }
                    Event::Abort(abort) => self.queue.abort(&abort, &self.recorder),
                    Event::Retired => {
                        self.queue.give_back("its worker was leaving", &self.recorder);
                    }
                    Event::Woken => {}
                },
            }
        }
    }
}
