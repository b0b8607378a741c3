//! `rework wait-task`: until tasks have ended. Its exit code is that of the worst end.

use std::{collections::BTreeSet, future::pending, process::ExitCode, time::Duration};

use rework_core::{
    quantity,
    wait_task::{self, CHANNEL, Status},
};
use serde::Serialize;

use super::log_task::unknown;
use crate::{
    context::{Context, Format},
    exit::Exit,
    json_list::on_one_line,
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
    timeout: Option<Duration>,
    mut each: impl FnMut(&Status) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut open: BTreeSet<i64> = tasks.iter().copied().collect();
    let ending = until_ended(context, &mut open, &mut each);
    let over = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        worst = ending => return Ok(worst?.into()),
        _ = tokio::signal::ctrl_c() => {}
        () = over => {
            context.warn(format_args!("waited too long for {}", named(&open)));
            return Ok(Exit::WaitedTooLong.into());
        }
    }
    Ok(interrupted(context, open))
}

/// Says that Ctrl-C ended the watching, not the tasks.
pub fn interrupted(context: &Context, tasks: impl IntoIterator<Item = i64>) -> ExitCode {
    let tasks: BTreeSet<i64> = tasks.into_iter().collect();
    let ids: Vec<String> = tasks.iter().map(i64::to_string).collect();
    let go = if tasks.len() == 1 { "goes" } else { "go" };
    context.note(format_args!(
        "\n{} {go} on; `rework abort-task {}` ends it",
        named(&tasks),
        ids.join(" ")
    ));
    Exit::Interrupted.into()
}

/// Listens first, then has the ends notified, then looks: none can slip through.
async fn until_ended(
    context: &Context,
    open: &mut BTreeSet<i64>,
    each: &mut impl FnMut(&Status) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let (db, mut heard) = context.open_listening().await?;
    db.execute_script(&format!("listen {CHANNEL}")).await?;
    let all: Vec<i64> = open.iter().copied().collect();
    let known = wait_task::watch(&db, &all).await?;
    if let Some(task) = open.iter().find(|task| !known.contains(task)) {
        return Err(unknown(*task));
    }
    let mut worst = Exit::Done;
    loop {
        let waited_for: Vec<i64> = open.iter().copied().collect();
        for status in wait_task::status(&db, &waited_for).await? {
            if let Some(exit) = Exit::of_state(status.state) {
                worst = worse(worst, exit);
                open.remove(&status.id);
                each(&status)?;
            }
        }
        if open.is_empty() {
            return Ok(worst);
        }
        let ours = async {
            while let Some((_, payload)) = heard.recv().await {
                if payload.parse().is_ok_and(|task: i64| open.contains(&task)) {
                    return;
                }
            }
            pending::<()>().await;
        };
        // Nothing heard in time: look all the same.
        let _ = tokio::time::timeout(LOOK, ours).await;
    }
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
