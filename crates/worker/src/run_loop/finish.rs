//! The end of a run loop: processes are removed, then the ends of runs are recorded.

use rework_core::task::complete::{Completion, Outcome};

use super::RunLoop;
use crate::{
    active_run::ActiveRun,
    claimed_run::ClaimedRun,
    command::OutputFile,
    context::Waited,
    ending::{End, RunnerEnd, Seen, completion, end_with_runner},
    life::LeaseLost,
    runner::PATIENCE,
    started_page::is_started,
};

impl RunLoop<'_> {
    /// Records runs that ended while others go on. Runs that follow one another are recorded only if no process
    /// of theirs is left; one that is left cannot be told from those of the open run, which must end first. Of runs that are
    /// open side by side nobody can tell whose a process is, so it may stay until all have ended.
    pub(super) fn record_ended(&mut self) {
        if self.ended.is_empty() || self.open.is_empty() {
            return;
        }
        if self.concurrency == 1 && (self.leaves_processes || !self.runner.tree.others().is_empty())
        {
            self.leaves_processes = true;
            // Their output need not wait.
            let recorder = &self.context.recorder;
            self.ended.iter_mut().for_each(|(run, _)| run.flush(recorder));
            return self.revoke("a task before it has left processes");
        }
        for (run, end) in std::mem::take(&mut self.ended) {
            self.record(run, end, true, true, None);
        }
    }

    /// Removes what processes are left, and records all that has ended. `ended` is what [`RunLoop::drive`] returned.
    pub(crate) async fn finish(
        mut self,
        ended: Result<Option<RunnerEnd>, LeaseLost>,
    ) -> Result<(), LeaseLost> {
        let out_of_memory = self.killed_for_memory(ended.as_ref().ok().and_then(Option::as_ref));
        let reusable = matches!(ended, Ok(None)) && !self.worn;
        // The cgroup that knows the peak is removed together with the processes.
        let memory_peak = self.memory_peak();
        let cleared = self.clear(reusable).await;
        let ended = ended?;
        cleared?;
        let ended = out_of_memory.map_or(ended, Some);
        self.drain_last();
        self.take_back_waiting();
        if self.leaves_processes {
            self.context.queue.runs_alone(self.version.operation);
        }
        self.record_last(ended.as_ref(), memory_peak);
        if reusable {
            self.context.runners.give_back(self.runner).await;
        }
        Ok(())
    }

    /// The memory peak of the last run, in bytes. Of runs side by side nobody can tell which used it.
    fn memory_peak(&self) -> Option<i64> {
        let last = self.open.first().or(self.ended.last().map(|(run, _)| run))?;
        let limits = &self.operation.definition.limits;
        let took = last.began.elapsed();
        (self.concurrency == 1).then(|| self.runner.memory_peak(limits, took)).flatten()
    }

    /// Kills all of a runner that cannot be used again, and what runs left behind of one that can. That takes
    /// long if a process does not die.
    async fn clear(&mut self, reusable: bool) -> Result<(), LeaseLost> {
        let fence = self.last_run().map(|run| run.fence());
        let runner = &mut self.runner;
        loop {
            let killed = async {
                if reusable {
                    runner.tree.kill_others(PATIENCE).await.map(drop)
                } else {
                    runner.kill().await.map(drop)
                }
            };
            tokio::pin!(killed);
            let killed = loop {
                // An abort changes nothing: its run is being ended.
                if let Waited::Ready(killed) = self.context.wait_for(fence, &mut killed).await? {
                    break killed;
                }
            };
            let Err(unkillable) = killed else { return Ok(()) };
            let recorder = &self.context.recorder;
            self.context.queue.give_back("processes of the task before it did not die", recorder);
            tracing::warn!("what a run has left behind stays: {unkillable}");
            if let Some(fence) = fence {
                recorder.unkillable(fence, unkillable.to_string());
            }
        }
    }

    /// The run that is recorded last.
    fn last_run(&mut self) -> Option<&mut ActiveRun> {
        self.open.first_mut().or(self.ended.last_mut().map(|(run, _)| run))
    }

    /// Reads the rest of the runner's output, with the last line of each stream if it has no newline.
    fn drain_last(&mut self) {
        let mut over = std::mem::take(&mut self.ended);
        if self.open.is_empty() {
            // The last of runs that follow one another, or all that ended at the same moment side by side.
            let from = if self.concurrency == 1 { over.len().saturating_sub(1) } else { 0 };
            let (runs, ends): (Vec<_>, Vec<_>) = over.split_off(from).into_iter().unzip();
            self.open = runs;
            self.drain_pipes();
            self.finish_lines();
            over.extend(std::mem::take(&mut self.open).into_iter().zip(ends));
        } else {
            self.drain_pipes();
            self.finish_lines();
        }
        self.ended = over;
    }

    fn finish_lines(&mut self) {
        let runner = &mut self.runner;
        super::log_lines(self.concurrency, &mut self.open, |lines| {
            runner.stdout.splitter.finish(lines);
            runner.stderr.splitter.finish(lines);
        });
    }

    /// Runs that were sent ahead and have not started go back to the worker's queue. One that had started all the
    /// same, in a runner that was killed before it could say so, must not start a second time.
    fn take_back_waiting(&mut self) {
        let (waiting, aborts) = self.ahead.take_all();
        let (lost, left): (Vec<ClaimedRun>, Vec<ClaimedRun>) =
            waiting.into_iter().partition(|run| self.is_started(run));
        for run in lost {
            let reason = Some("its runner was killed".to_owned());
            self.context.recorder.complete(Completion::new(
                run.claimed.fence,
                Outcome::Lost,
                reason,
            ));
        }
        self.context.queue.put_back(left);
        for abort in aborts {
            self.context.queue.abort(&abort, &self.context.recorder);
        }
    }

    fn is_started(&self, run: &ClaimedRun) -> bool {
        is_started(self.context.launcher.page(), run.slot, run.claimed.fence)
    }

    /// Records what is over by now: runs that ended by themselves, and those that the end of their runner ended.
    fn record_last(&mut self, runner_end: Option<&RunnerEnd>, memory_peak: Option<i64>) {
        let ended = std::mem::take(&mut self.ended);
        let count = ended.len();
        for (place, (run, end)) in ended.into_iter().enumerate() {
            let is_last = self.open.is_empty() && place + 1 == count;
            self.record(run, end, true, true, memory_peak.filter(|_| is_last));
        }
        let Some(runner_end) = runner_end else { return };
        let mut open = std::mem::take(&mut self.open);
        // A runner that ends before it has started anything would do so again: then its first run is to blame.
        let any_started = self.runner.runs > 0 || open.iter().any(|run| self.is_started(&run.run));
        open.sort_by_key(|run| run.began);
        for (place, run) in open.into_iter().enumerate() {
            let started = self.is_started(&run.run);
            let blamed = started || (place == 0 && !any_started);
            let end = end_with_runner(runner_end, run.stop.as_ref(), started, blamed);
            self.record(run, end, started, blamed, memory_peak);
        }
    }

    /// Records the end of one run.
    fn record(
        &mut self,
        mut run: ActiveRun,
        end: End,
        started: bool,
        blamed: bool,
        memory_peak: Option<i64>,
    ) {
        let ran = !matches!(end, End::NotStarted);
        let span = run.times(self.began);
        if ran && blamed {
            self.context.queue.ran(self.version.operation, span.1 - span.0);
        }
        let seen = Seen {
            fence: run.fence(),
            end,
            stop: run.stop.take(),
            started: ran && started,
            blamed,
            span,
            output: std::mem::take(&mut run.output),
            output_file: self.output_file.as_ref().map(OutputFile::read),
            memory_peak,
            revision: self.revision.clone(),
        };
        run.flush_last(&self.context.recorder);
        self.context.recorder.complete(completion(seen));
    }
}
