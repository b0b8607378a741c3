//! `rework wait-task`: waits until tasks have ended. The exit code is that of the worst end.

use std::{collections::BTreeSet, future::pending, process::ExitCode, time::Duration};

use rework_core::{
    task::{
        self,
        wait::{CHANNEL, TaskStatus},
    },
    values::quantity,
};
use serde::Serialize;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{sleep, timeout},
};

use super::log_task::unknown_task;
use crate::{
    context::{Context, is_unreachable},
    exit::Exit,
    json_list::on_one_line,
    options::{Format, task_id},
    pause_text::PauseNotes,
};

/// Wait until tasks have ended; the exit code shows how
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done, 3 failed, 4 aborted, 5 lost, 124 timeout. For several tasks, the code \
                  is that of the worst end: failed, then lost, then aborted. A flow that waits because a revert \
                  failed does not end by itself, and counts as failed."
)]
pub struct Args {
    /// The ids of the tasks
    #[arg(value_name = "TASK", value_parser = task_id, required = true)]
    tasks: Vec<i64>,
    /// The maximum time to wait: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    timeout: Option<Duration>,
}

/// The interval at which tasks are polled if no notification arrives. Notifications may be lost, for example behind a
/// pooler.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Waits for the tasks and prints the end of each as soon as it is known.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let print = |end: &TaskStatus| print_end(context, end);
    wait(context, &args.tasks, args.timeout, print).await
}

/// Waits until all tasks have ended, or wait for somebody because they are flows of which a revert failed. Returns the
/// exit code of the worst end, or of a timeout or Ctrl-C.
///
/// Calls `on_end` for each task that ends. `limit` is the maximum time to wait; `None` waits forever. Ctrl-C stops the
/// command, not the tasks.
pub async fn wait(
    context: &Context,
    tasks: &[i64],
    limit: Option<Duration>,
    mut on_end: impl FnMut(&TaskStatus) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let open = tasks.iter().copied().collect();
    let notes = PauseNotes::new(context);
    let mut waiter = Waiter { context, open, worst: Exit::Done, has_connected: false, notes };
    let deadline = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        ended = waiter.run(&mut on_end) => return ended.map(|()| waiter.worst.into()),
        _ = tokio::signal::ctrl_c() => {}
        () = deadline => {
            context.warn(format_args!("timeout while waiting for {}", name_tasks(&waiter.open)));
            return Ok(Exit::TimedOut.into());
        }
    }
    Ok(interrupted(context, waiter.open))
}

/// Notes that Ctrl-C stopped the command and that the tasks continue. Returns the exit code.
pub fn interrupted(context: &Context, tasks: impl IntoIterator<Item = i64>) -> ExitCode {
    let tasks: BTreeSet<i64> = tasks.into_iter().collect();
    let ids: Vec<String> = tasks.iter().map(i64::to_string).collect();
    let (continues, it) = if tasks.len() == 1 { ("continues", "it") } else { ("continue", "them") };
    let (names, ids) = (name_tasks(&tasks), ids.join(" "));
    context.note(format_args!("\n{names} {continues}; to abort {it}: `rework abort-task {ids}`"));
    Exit::Interrupted.into()
}

/// The state of waiting for tasks.
struct Waiter<'a> {
    context: &'a Context,
    /// The tasks that are not known to have ended.
    open: BTreeSet<i64>,
    /// The exit code of the worst end so far.
    worst: Exit,
    /// Whether a connection succeeded before. Only then is an unreachable database waited for.
    has_connected: bool,
    notes: PauseNotes<'a>,
}

impl Waiter<'_> {
    /// Waits until all tasks have ended. Connects again if the database becomes unreachable.
    async fn run(
        &mut self,
        on_end: &mut impl FnMut(&TaskStatus) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut has_printed = false;
        loop {
            match self.run_on_one_connection(on_end).await {
                Err(error) if self.has_connected && is_unreachable(&error) => {
                    if !std::mem::replace(&mut has_printed, true) {
                        self.context.note("the database is unreachable: waiting for it");
                    }
                    sleep(POLL_INTERVAL).await;
                }
                result => return result,
            }
        }
    }

    /// Waits on one connection until all tasks have ended.
    ///
    /// The order matters, so that no end is missed: first `listen`, then request notifications for the tasks, then read
    /// their states.
    async fn run_on_one_connection(
        &mut self,
        on_end: &mut impl FnMut(&TaskStatus) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (db, mut notifications) = self.context.open_listening().await?;
        self.has_connected = true;
        db.execute_script(&format!("listen {CHANNEL}")).await?;
        let known = task::wait::notify_ends(&db, &self.open()).await?;
        if let Some(task) = self.open.iter().find(|task| !known.contains(task)) {
            return Err(unknown_task(*task));
        }
        loop {
            for status in task::wait::status(&db, &self.open()).await? {
                let stuck = status.stuck.as_ref().map(|_| Exit::TaskFailed);
                if let Some(exit) = Exit::of_state(status.state).or(stuck) {
                    self.worst = worse(self.worst, exit);
                    self.open.remove(&status.id);
                    on_end(&status)?;
                } else if let Some(pause) = &status.pause {
                    self.notes.note(status.id, pause);
                }
            }
            if self.open.is_empty() {
                return Ok(());
            }
            // After a notification or the interval, the states are read again in either case.
            let _ = timeout(POLL_INTERVAL, next_end(&mut notifications, &self.open)).await;
        }
    }

    fn open(&self) -> Vec<i64> {
        self.open.iter().copied().collect()
    }
}

/// Waits until the end of one of the open tasks is notified. Waits forever if the connection is closed.
async fn next_end(notifications: &mut UnboundedReceiver<(String, String)>, open: &BTreeSet<i64>) {
    while let Some((_, payload)) = notifications.recv().await {
        if payload.parse().is_ok_and(|task: i64| open.contains(&task)) {
            return;
        }
    }
    pending::<()>().await;
}

/// Returns the worse of two exit codes: failed is worse than lost, which is worse than aborted.
fn worse(one: Exit, other: Exit) -> Exit {
    let badness = |exit| match exit {
        Exit::Done => 0,
        Exit::TaskAborted => 1,
        Exit::TaskLost => 2,
        _ => 3,
    };
    if badness(other) > badness(one) { other } else { one }
}

/// Returns the tasks for a message: `task 7` or `tasks 7, 9`.
fn name_tasks(tasks: &BTreeSet<i64>) -> String {
    let ids: Vec<String> = tasks.iter().map(i64::to_string).collect();
    format!("{} {}", if tasks.len() == 1 { "task" } else { "tasks" }, ids.join(", "))
}

/// Notes why a flow does not go on by itself, if it does not, and what to type.
pub(super) fn note_stuck(context: &Context, status: &TaskStatus) {
    let TaskStatus { id, stuck: Some(stuck), .. } = status else { return };
    context.note(format_args!("flow {id} waits for you: {stuck}"));
    context.note(format_args!(
        "hint: `rework retry-task {id}` tries the revert again; `rework abort-task {id}` ends the flow, and leaves what is not reverted"
    ));
}

/// Prints the end of a task to standard output: `7 done`. If it is not done, notes the reason on standard error.
fn print_end(context: &Context, end: &TaskStatus) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct End<'a> {
        id: i64,
        state: &'a str,
        reason: Option<&'a str>,
    }
    let state = end.state.as_str();
    if context.format != Format::Table {
        let reason = end.stuck.as_deref().or(end.reason.as_deref());
        let end = End { id: end.id, state, reason };
        return context.print(on_one_line(&end)?);
    }
    if !context.quiet {
        context.print(format_args!("{} {state}", end.id))?;
    }
    note_stuck(context, end);
    match &end.reason {
        Some(reason) if end.stuck.is_none() && Exit::of_state(end.state) != Some(Exit::Done) => {
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
    fn the_worst_end_determines_the_exit_code() {
        use Exit::{Done, TaskAborted, TaskFailed, TaskLost};
        assert_eq!(worse(Done, TaskAborted), TaskAborted);
        assert_eq!(worse(TaskLost, TaskAborted), TaskLost);
        assert_eq!(worse(TaskLost, TaskFailed), TaskFailed);
        assert_eq!(worse(TaskFailed, Done), TaskFailed);
    }

    #[test]
    fn tasks_are_named_in_order() {
        assert_eq!(name_tasks(&[7].into()), "task 7");
        assert_eq!(name_tasks(&[9, 7].into()), "tasks 7, 9");
    }
}
