//! The end of a run loop: the remaining processes are killed, then the ends of runs are recorded.

use rework_core::task::{
    complete::{Completion, Outcome},
    payload::Payload,
};
use rework_flow::operations::InputKeys;
use rework_process::Exit;

use super::RunLoop;
use crate::{
    active_run::ActiveRun,
    claimed_run::ClaimedRun,
    command::{OutputFile, cause_of_exit_127},
    context::Waited,
    ending::{ObservedRun, RunEnd, RunnerEnd, completion, end_with_runner},
    runner::KILL_TIMEOUT,
    started_runs::is_started,
    supervisor::LeaseLost,
};

/// The reason for which the runs are requeued that were sent ahead to a runner with processes of an earlier run.
const LEFT_PROCESSES: &str =
    "it has not started: an earlier task in the same runner left processes behind";

impl RunLoop<'_> {
    /// Records runs that have ended while others continue. With one open run at a time, a run is recorded only if none
    /// of its processes is left. A remaining process cannot be distinguished from those of the open run, so the
    /// recording waits until that run has ended. With several open runs, processes may remain until all runs have
    /// ended, because it is unknown which run started them.
    pub(super) fn record_ended(&mut self) {
        if self.ended.is_empty() || self.open.is_empty() {
            return;
        }
        if self.concurrency == 1 && (self.leaves_processes || !self.runner.tree.others().is_empty())
        {
            self.leaves_processes = true;
            // The log lines can be written now.
            let recorder = &self.context.recorder;
            self.ended.iter_mut().for_each(|(run, _)| run.flush(recorder));
            return self.revoke(LEFT_PROCESSES);
        }
        for (run, end) in std::mem::take(&mut self.ended) {
            self.record(run, end, true, true, None);
        }
    }

    /// Kills the remaining processes and records all runs that have ended. `ended` is the result of
    /// [`RunLoop::drive`]: why the runner cannot be used any more, or `None` if it can. `Err` if
    /// the lease was lost.
    pub(crate) async fn finish(
        mut self,
        ended: Result<Option<RunnerEnd>, LeaseLost>,
    ) -> Result<(), LeaseLost> {
        let out_of_memory = self.killed_for_memory(ended.as_ref().ok().and_then(Option::as_ref));
        let reusable = matches!(ended, Ok(None)) && !self.must_be_replaced;
        // The peak must be read before the cgroup is removed together with the processes.
        let memory_peak = self.memory_peak();
        let cleared = self.clear(reusable).await;
        let ended = ended?;
        cleared?;
        let ended = out_of_memory.map_or(ended, Some);
        self.drain_last();
        self.requeue_sent_ahead();
        if self.leaves_processes {
            self.context.queue.set_leaves_processes(self.version.operation);
        }
        self.record_last(ended.as_ref(), memory_peak);
        if reusable {
            self.context.warm_runners.put(self.runner).await;
        }
        Ok(())
    }

    /// Returns the peak memory of the last run, in bytes. `None` for runs side by side, because they share their
    /// processes.
    fn memory_peak(&self) -> Option<i64> {
        let last = self.open.first().or(self.ended.last().map(|(run, _)| run))?;
        let limits = &self.operation.definition.limits;
        let took = last.started_at.elapsed();
        (self.concurrency == 1).then(|| self.runner.memory_peak(limits, took)).flatten()
    }

    /// Kills a runner that cannot be used again; otherwise only the processes that its runs left behind. Repeats this
    /// until all are dead.
    async fn clear(&mut self, reusable: bool) -> Result<(), LeaseLost> {
        let fence = self.last_run().map(|run| run.fence());
        let runner = &mut self.runner;
        loop {
            let killed = async {
                if reusable {
                    runner.tree.kill_others(KILL_TIMEOUT).await.map(drop)
                } else {
                    runner.kill().await.map(drop)
                }
            };
            tokio::pin!(killed);
            let killed = loop {
                // An abort of this run changes nothing, because the run is ending.
                if let Waited::Ready(killed) = self.context.wait_for(fence, &mut killed).await? {
                    break killed;
                }
            };
            let Err(unkillable) = killed else { return Ok(()) };
            let recorder = &self.context.recorder;
            self.context.queue.requeue_all("processes of the task before it did not die", recorder);
            tracing::warn!("processes that a run left behind do not die: {unkillable}");
            if let Some(fence) = fence {
                recorder.unkillable(fence, unkillable.to_string());
            }
        }
    }

    /// Returns the run that is recorded last; `None` if no run is left to record.
    fn last_run(&mut self) -> Option<&mut ActiveRun> {
        self.open.first_mut().or(self.ended.last_mut().map(|(run, _)| run))
    }

    /// Reads the rest of the runner's output, and ends the last line of each stream if it has no newline.
    fn drain_last(&mut self) {
        let mut ended_runs = std::mem::take(&mut self.ended);
        if self.open.is_empty() {
            // The output belongs to the last run if one ran at a time, otherwise to all runs that ended together.
            let first = if self.concurrency == 1 { ended_runs.len().saturating_sub(1) } else { 0 };
            let (runs, ends): (Vec<_>, Vec<_>) = ended_runs.split_off(first).into_iter().unzip();
            self.open = runs;
            self.drain_pipes();
            self.finish_lines();
            ended_runs.extend(std::mem::take(&mut self.open).into_iter().zip(ends));
        } else {
            self.drain_pipes();
            self.finish_lines();
        }
        self.ended = ended_runs;
    }

    /// Adds what is left in the line splitters to the logs.
    fn finish_lines(&mut self) {
        let runner = &mut self.runner;
        super::log_lines(self.concurrency, &mut self.open, |lines| {
            runner.stdout.splitter.finish(lines);
            runner.stderr.splitter.finish(lines);
        });
    }

    /// Puts runs that were sent ahead and have not started back into the local queue. A killed runner may have started
    /// one without reporting it. Such a run is recorded as lost, because it must not start twice.
    fn requeue_sent_ahead(&mut self) {
        let (waiting, aborts) = self.sent_ahead.take_all();
        let (started, not_started): (Vec<ClaimedRun>, Vec<ClaimedRun>) =
            waiting.into_iter().partition(|run| self.is_started(run));
        for run in started {
            let reason = Some("its runner was killed".to_owned());
            self.context.recorder.complete(Completion::new(
                run.claimed.fence,
                Outcome::Lost,
                reason,
            ));
        }
        self.context.queue.push_front(not_started);
        for abort in aborts {
            self.context.queue.abort(&abort, &self.context.recorder);
        }
    }

    /// Returns whether the code of a run has started.
    pub(super) fn is_started(&self, run: &ClaimedRun) -> bool {
        is_started(self.context.launcher.started_runs(), run.slot, run.claimed.fence)
    }

    /// Records the runs that ended by themselves, and those that ended with their runner.
    /// `runner_end` is `None` if the runner has not ended.
    fn record_last(&mut self, runner_end: Option<&RunnerEnd>, memory_peak: Option<i64>) {
        let ended = std::mem::take(&mut self.ended);
        let count = ended.len();
        for (index, (run, end)) in ended.into_iter().enumerate() {
            let is_last = self.open.is_empty() && index + 1 == count;
            self.record(run, end, true, true, memory_peak.filter(|_| is_last));
        }
        let Some(runner_end) = runner_end else { return };
        let mut open = std::mem::take(&mut self.open);
        // A new runner that exits before it has started any run would do so again. Then its first run is at fault, so
        // that it uses up an attempt.
        let any_started = self.runner.runs > 0 || open.iter().any(|run| self.is_started(&run.run));
        open.sort_by_key(|run| run.started_at);
        for (index, run) in open.into_iter().enumerate() {
            let started = self.is_started(&run.run);
            let at_fault = started || (index == 0 && !any_started);
            let end = end_with_runner(runner_end, run.stop_reason.as_ref(), started, at_fault);
            self.record(run, end, started, at_fault, memory_peak);
        }
    }

    /// Records the end of one run. `memory_peak` is `None` if it was not measured.
    fn record(
        &mut self,
        mut run: ActiveRun,
        end: RunEnd,
        started: bool,
        at_fault: bool,
        memory_peak: Option<i64>,
    ) {
        let ran = !matches!(end, RunEnd::NotStarted);
        let span = run.times(self.started_at);
        let was_not_found =
            run.stop_reason.is_none() && matches!(end, RunEnd::Exited(Exit::Code(127)));
        if ran && at_fault {
            self.context.queue.record_duration(self.version.operation, span.1 - span.0);
        }
        let observed = ObservedRun {
            fence: run.fence(),
            end,
            stop_reason: run.stop_reason.take(),
            started: ran && started,
            at_fault,
            span,
            output: std::mem::take(&mut run.output),
            output_file: self.output_file.as_ref().map(OutputFile::read),
            memory_peak,
            revision: self.revision.clone(),
        };
        run.flush_last(&self.context.recorder);
        let mut completion = completion(observed);
        if was_not_found
            && self.output_file.is_some()
            && let Some(cause) = cause_of_exit_127(self.operation)
            && let Some(reason) = &mut completion.reason
        {
            *reason = format!("{reason}: {cause}");
        }
        let definition = &self.operation.definition;
        if definition.is_flow && completion.outcome == Outcome::Done {
            let keys = match &run.run.claimed.input {
                Payload::Json(text) => InputKeys::new(text, definition.input.as_ref()),
                Payload::Bytes(_) | Payload::None => InputKeys::default(),
            };
            self.context.recorder.complete_flow(completion, definition.domain.clone(), keys);
        } else {
            self.context.recorder.complete(completion);
        }
    }
}
