//! The logs of the steps of a flow: that of the last task of one step, or those of all steps as one log.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use rework_arguments::suggest::did_you_mean;
use rework_core::{
    db::connect::Db,
    flow::{
        show,
        step_tasks::{self, LastTask},
    },
    log::merge::MergedReader,
    task,
};

use super::{POLL_INTERVAL, no_steps};
use crate::{
    context::{Context, is_unreachable},
    error_text::hinted,
    exit::Exit,
    log_printer::{LogPrinter, PrintedRow},
};

/// Returns the last task of a step. `Err` if the task is not a flow, or if the flow has no such step.
pub(super) async fn last_task(db: &Db, flow: i64, step: &str) -> anyhow::Result<i64> {
    if show::flow(db, flow).await?.is_none() {
        return Err(no_steps(flow));
    }
    match step_tasks::last(db, flow, step).await? {
        LastTask::Task(task) => Ok(task),
        LastTask::NotStarted => Err(hinted(
            format!("step `{step}` of flow {flow} has had no task yet"),
            format!("`rework show-task {flow} --watch` shows when it starts"),
        )),
        LastTask::NoStep => {
            let names = step_tasks::step_names(db, flow).await?;
            let suggestion = did_you_mean(step, names.iter().map(String::as_str));
            Err(hinted(
                format!("flow {flow} has no step `{step}`{suggestion}"),
                format!("`rework show-task {flow}` shows its steps"),
            ))
        }
    }
}

/// Prints what all steps of a flow wrote. `selected` is the flow, the stream and the least severe level.
pub(super) async fn run(
    context: &Context,
    db: Db,
    selected: (i64, Option<String>, Option<&'static str>),
    follow: bool,
) -> anyhow::Result<ExitCode> {
    let (flow, stream, level) = selected;
    if show::flow(&db, flow).await?.is_none() {
        return Err(no_steps(flow));
    }
    let mut log = StepsLog {
        flow,
        reader: MergedReader::new(stream, level),
        names: BTreeMap::new(),
        printer: LogPrinter::new(context, flow, false, follow)?,
    };
    let has_ended = tokio::select! {
        read = log.read_again_when_unreachable(context, db, follow) => read.map(|()| true),
        _ = tokio::signal::ctrl_c(), if follow => Ok(false),
    };
    log.printer.end_line()?;
    if !has_ended? {
        return Ok(Exit::Interrupted.into());
    }
    log.printer.finish()?;
    Ok(Exit::Done.into())
}

/// The logs of all steps of a flow, which are printed as one log.
struct StepsLog<'a> {
    flow: i64,
    reader: MergedReader,
    /// The names of the steps by their tasks.
    names: BTreeMap<i64, String>,
    printer: LogPrinter<'a>,
}

impl StepsLog<'_> {
    /// Reads as [`read`](StepsLog::read) does. With `follow`, connects again if the database becomes unreachable.
    async fn read_again_when_unreachable(
        &mut self,
        context: &Context,
        mut db: Db,
        follow: bool,
    ) -> anyhow::Result<()> {
        let mut has_printed = false;
        loop {
            match self.read(&db, follow).await {
                Err(error) if follow && is_unreachable(&error) => {
                    if !std::mem::replace(&mut has_printed, true) {
                        self.printer.end_line()?;
                        context.note("the database is unreachable: waiting for it");
                    }
                    tokio::time::sleep(POLL_INTERVAL).await;
                    // If this fails, the old connection is kept. It fails again, so the loop tries again.
                    db = context.open().await.unwrap_or(db);
                }
                result => return result,
            }
        }
    }

    /// Prints everything that the steps have written. With `follow`, continues until the flow has ended, or waits for
    /// somebody because a revert failed.
    async fn read(&mut self, db: &Db, follow: bool) -> anyhow::Result<()> {
        let mut ended = !follow;
        loop {
            let started = Instant::now();
            for named in step_tasks::all(db, self.flow).await? {
                self.names.insert(named.id, named.step);
            }
            self.reader.add(self.names.keys().copied());
            self.print_new(db).await?;
            if ended {
                return Ok(());
            }
            let status = task::wait::status(db, &[self.flow]).await?;
            ended =
                status.first().is_none_or(|status| status.state.is_end() || status.stuck.is_some());
            if !ended {
                // A flow with many steps is polled less often, so that this does not keep the server busy.
                let pause: Duration = POLL_INTERVAL.max(started.elapsed());
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Prints the rows that were written since the last call.
    async fn print_new(&mut self, db: &Db) -> anyhow::Result<()> {
        loop {
            let rows = self.reader.next(db).await?;
            let rows = rows.into_iter().map(|merged| PrintedRow {
                task: merged.task,
                step: self.names.get(&merged.task).map(String::as_str),
                row: merged.row,
            });
            self.printer.print_rows(rows.collect())?;
            if self.reader.is_at_end() {
                return Ok(());
            }
        }
    }
}
