//! `rework wait-task`: until tasks have ended. Its exit code is that of the worst end.

use std::{collections::BTreeSet, future::pending, process::ExitCode, time::Duration};

use rework_core::{
    task::{
        self,
        wait::{CHANNEL, Status},
    },
    values::quantity,
};
use serde::Serialize;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{sleep, timeout},
};

use super::log_task::unknown;
use crate::{
    context::{Context, is_away},
    exit::Exit,
    json_list::on_one_line,
    options::Format,
};

/// Wait until tasks have ended; the exit code tells how
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done, 3 failed, 4 aborted, 5 lost (the worst of all: failed \
                        before lost before aborted), 124 waited too long."
)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<i64>,
    /// Wait no longer than this: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    timeout: Option<Duration>,
}

/// Between two looks at tasks whose end was not notified.
const LOOK: Duration = Duration::from_secs(1);

/// Waits, and prints each task's end as it comes.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let print = |end: &Status| print_end(context, end);
    wait(context, &args.tasks, args.timeout, print).await
}

/// Waits until all of these have ended, and gives the exit code of the worst end; `each` is told
/// of every end. Ctrl-C ends the waiting and not the tasks.
pub async fn wait(
    context: &Context,
    tasks: &[i64],
    at_most: Option<Duration>,
    mut each: impl FnMut(&Status) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let open = tasks.iter().copied().collect();
    let mut waiting = Waiting { context, open, worst: Exit::Done, reached: false };
    let over = async {
        match at_most {
            Some(at_most) => sleep(at_most).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        ended = waiting.run(&mut each) => return ended.map(|()| waiting.worst.into()),
        _ = tokio::signal::ctrl_c() => {}
        () = over => {
            context.warn(format_args!("waited too long for {}", named(&waiting.open)));
            return Ok(Exit::WaitedTooLong.into());
        }
    }
    Ok(interrupted(context, waiting.open))
}

/// Says that Ctrl-C ended the watching, not the tasks.
pub fn interrupted(context: &Context, tasks: impl IntoIterator<Item = i64>) -> ExitCode {
    let tasks: BTreeSet<i64> = tasks.into_iter().collect();
    let ids: Vec<String> = tasks.iter().map(i64::to_string).collect();
    let (go, it) = if tasks.len() == 1 { ("goes", "it") } else { ("go", "them") };
    let (named, ids) = (named(&tasks), ids.join(" "));
    context.note(format_args!("\n{named} {go} on; `rework abort-task {ids}` ends {it}"));
    Exit::Interrupted.into()
}

/// A waiting under way.
struct Waiting<'a> {
    context: &'a Context,
    /// What has not ended, as far as was seen.
    open: BTreeSet<i64>,
    worst: Exit,
    /// The database was there once: when it is away, it may come back.
    reached: bool,
}

impl Waiting<'_> {
    async fn run(
        &mut self,
        each: &mut impl FnMut(&Status) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut told = false;
        loop {
            match self.on_one_connection(each).await {
                Err(error) if self.reached && is_away(&error) => {
                    if !std::mem::replace(&mut told, true) {
                        self.context.note("the database is away: waiting for it too");
                    }
                    sleep(LOOK).await;
                }
                ended => return ended,
            }
        }
    }

    /// Listens first, then has the ends notified, then looks: none can slip through.
    async fn on_one_connection(
        &mut self,
        each: &mut impl FnMut(&Status) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (db, mut heard) = self.context.open_listening().await?;
        self.reached = true;
        db.execute_script(&format!("listen {CHANNEL}")).await?;
        let known = task::wait::watch(&db, &self.open()).await?;
        if let Some(task) = self.open.iter().find(|task| !known.contains(task)) {
            return Err(unknown(*task));
        }
        loop {
            for status in task::wait::status(&db, &self.open()).await? {
                if let Some(exit) = Exit::of_state(status.state) {
                    self.worst = worse(self.worst, exit);
                    self.open.remove(&status.id);
                    each(&status)?;
                }
            }
            if self.open.is_empty() {
                return Ok(());
            }
            // Nothing heard in time: look all the same.
            let _ = timeout(LOOK, one_of(&mut heard, &self.open)).await;
        }
    }

    fn open(&self) -> Vec<i64> {
        self.open.iter().copied().collect()
    }
}

/// Until the end of one of these is notified.
async fn one_of(heard: &mut UnboundedReceiver<(String, String)>, open: &BTreeSet<i64>) {
    while let Some((_, payload)) = heard.recv().await {
        if payload.parse().is_ok_and(|task: i64| open.contains(&task)) {
            return;
        }
    }
    pending::<()>().await;
}

fn worse(one: Exit, other: Exit) -> Exit {
    let badness = |exit| match exit {
        Exit::Done => 0,
        Exit::TaskAborted => 1,
        Exit::TaskLost => 2,
        _ => 3,
    };
    if badness(other) > badness(one) { other } else { one }
}

fn named(tasks: &BTreeSet<i64>) -> String {
    let ids: Vec<String> = tasks.iter().map(i64::to_string).collect();
    format!("{} {}", if tasks.len() == 1 { "task" } else { "tasks" }, ids.join(", "))
}

/// `7 done` on standard output; why it ended badly beside it.
fn print_end(context: &Context, end: &Status) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct End<'a> {
        id: i64,
        state: &'a str,
        reason: Option<&'a str>,
    }
    let state = end.state.as_str();
    if context.format != Format::Table {
        let end = End { id: end.id, state, reason: end.reason.as_deref() };
        return context.print(on_one_line(&end)?);
    }
    if !context.quiet {
        context.print(format_args!("{} {state}", end.id))?;
    }
    match &end.reason {
        Some(reason) if Exit::of_state(end.state) != Some(Exit::Done) => {
            context.note(format_args!("task {}: {reason}", end.id));
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_end_counts() {
        use Exit::{Done, TaskAborted, TaskFailed, TaskLost};
        assert_eq!(worse(Done, TaskAborted), TaskAborted);
        assert_eq!(worse(TaskLost, TaskAborted), TaskLost);
        assert_eq!(worse(TaskLost, TaskFailed), TaskFailed);
        assert_eq!(worse(TaskFailed, Done), TaskFailed);
    }

    #[test]
    fn tasks_are_named_in_order() {
        assert_eq!(named(&[7].into()), "task 7");
        assert_eq!(named(&[9, 7].into()), "tasks 7, 9");
    }
}
