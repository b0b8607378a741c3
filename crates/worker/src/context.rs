//! The values that all parts of a worker use to run tasks, passed around as one [`Context`]. A
//! context also waits for a result without missing an abort, an order to retire or the loss of the
//! lease.

use std::time::Duration;

use rework_core::task::fence::Fence;

use crate::{
    abort::Abort,
    availability::Availability,
    local_queue::LocalQueue,
    recorder::Recorder,
    resettable_timer::ResettableTimer,
    runner_launcher::RunnerLauncher,
    supervisor::{Event, LeaseLost, Supervisor},
    warm_runners::WarmRunners,
};

/// Everything that a worker needs to run tasks.
pub(crate) struct Context {
    /// Receives the monitor's orders and keeps the lease.
    pub supervisor: Supervisor,
    /// Writes to the database and claims tasks; all other parts go through it.
    pub recorder: Recorder,
    pub launcher: RunnerLauncher,
    /// Runners that are started and have no run.
    pub warm_runners: WarmRunners,
    /// Claimed runs that were not given to a runner yet.
    pub queue: LocalQueue,
    /// The operations that this host can run now.
    pub availability: Availability,
    /// The longest time from the start of a runner to its `hello`.
    pub start_timeout: Duration,
    /// The timer of the run loop, kept here so that all run loops share it.
    pub timer: ResettableTimer,
}

/// How [`Context::wait_for`] ended.
pub(crate) enum Waited<T> {
    /// The result that the caller waited for.
    Ready(T),
    /// An abort of the run that the caller waits for.
    Aborted(Abort),
}

impl Context {
    /// Waits for `result` on behalf of the run `fence` (`None` if on behalf of no run). Meanwhile
    /// aborts of other claimed runs are carried out, and if the worker is ordered to retire, it
    /// requeues the runs in its local queue. `Err` if the lease is lost.
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
                event = self.supervisor.next(fence) => match event {
                    Event::LeaseLost => return Err(LeaseLost),
                    Event::Abort(abort) if fence.is_some_and(|fence| abort.concerns(fence)) => {
                        return Ok(Waited::Aborted(abort));
                    }
                    Event::Abort(abort) => self.queue.abort(&abort, &self.recorder),
                    Event::Retired => {
                        self.queue.requeue_all("its worker was leaving", &self.recorder);
                    }
                    // The run itself still starts. The change is confirmed afterwards.
                    Event::PausesChanged => self.queue.requeue_paused(&self.recorder),
                    Event::Woken => {}
                },
            }
        }
    }
}
