//! `rework pause`: pauses an operation, a domain or a host. It ends when nothing of it can start any more, and with
//! `--drain` when nothing of it runs any more. `resume.rs` ends a pause.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use rework_core::{
    db::connect::Db,
    pause::{
        manage,
        progress::{PauseProgress, progress},
        row::{Pause, Scope},
    },
    values::quantity,
};
use tokio::time::sleep;

use crate::{
    context::{Context, is_unreachable},
    error_text::hinted,
    exit::Exit,
    json_list::on_one_line,
    options::Format,
    pause_text::{command, place, subject},
};

/// Pause an operation, a domain or a host: no task of it starts until `rework resume`
///
/// If several options are given, what has all of them is paused. Tasks can still be scheduled. Tasks that run continue.
/// The command ends when no task can start any more.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing can start any more, and with `--drain` nothing runs; 124 timeout: it is \
                        paused, and the command says what is left."
)]
pub struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Also wait until no task of it runs any more. No task is killed
    #[arg(long)]
    drain: bool,
    /// The maximum time to wait: `90s`, `5m`, `1h30m`. Default: `30s`, and no limit with `--drain`
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    timeout: Option<Duration>,
}

// The options that say what to pause or to resume. A doc comment would become the help of the commands.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct ScopeArgs {
    /// The domain
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The operation
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// The host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

impl ScopeArgs {
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            domain: self.domain.as_deref(),
            operation: self.operation.as_deref(),
            host: self.host.as_deref(),
        }
    }
}

/// The default of `--timeout` without `--drain`. A healthy monitor answers within a few milliseconds, and within a
/// second if its notification is lost.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause between two questions to the database.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long the command waits before it says for what.
const SILENT_TIME: Duration = Duration::from_secs(2);

/// Pauses, and waits until that has taken effect.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let pause = manage::pause(&db, args.scope.scope()).await?;
    let limit = args.timeout.or((!args.drain).then_some(DEFAULT_TIMEOUT));
    let left = tokio::select! {
        biased;
        left = wait(context, db, &pause, args.drain, limit) => left?,
        _ = tokio::signal::ctrl_c() => {
            context.note(format_args!("\n{} stays paused", subject(pause.scope())));
            return Ok(Exit::Interrupted.into());
        }
    };
    print(context, &pause)?;
    if left.is_complete() {
        return Ok(Exit::Done.into());
    }
    context.warn(format_args!("timeout: {}", describe(&pause, &left)));
    Ok(Exit::TimedOut.into())
}

/// Waits until a pause has taken effect, at most for `limit`. Returns what is left then. Connects again if the database
/// becomes unreachable.
async fn wait(
    context: &Context,
    mut db: Db,
    pause: &Pause,
    drain: bool,
    limit: Option<Duration>,
) -> anyhow::Result<PauseProgress> {
    let started = Instant::now();
    let (mut has_printed, mut was_unreachable) = (false, false);
    loop {
        let waited = started.elapsed();
        let left = match progress(&db, pause.id, drain).await.map_err(anyhow::Error::from) {
            Ok(Some(left)) => left,
            Ok(None) => return Err(resumed_meanwhile(pause.scope())),
            Err(error) => {
                let is_over = limit.is_some_and(|limit| waited >= limit);
                if is_over || !is_unreachable(&error) {
                    return Err(error);
                }
                if !std::mem::replace(&mut was_unreachable, true) {
                    context.note("the database is unreachable: waiting for it");
                }
                sleep(POLL_INTERVAL).await;
                // If this fails, the old connection is kept. It fails again, so the loop tries again.
                db = context.open().await.unwrap_or(db);
                continue;
            }
        };
        if left.is_complete() || limit.is_some_and(|limit| waited >= limit) {
            return Ok(left);
        }
        if waited >= SILENT_TIME && !std::mem::replace(&mut has_printed, true) {
            context.note(format_args!("waiting: {}", describe(pause, &left)));
        }
        let remaining = limit.map_or(POLL_INTERVAL, |limit| limit.saturating_sub(waited));
        sleep(remaining.min(POLL_INTERVAL)).await;
    }
}

fn resumed_meanwhile(scope: Scope<'_>) -> anyhow::Error {
    hinted(
        format!("{} was resumed meanwhile", subject(scope)),
        format!("to pause it again: `{}`", command("pause", scope)),
    )
}

/// Prints the pause.
fn print(context: &Context, pause: &Pause) -> anyhow::Result<()> {
    let scope = pause.scope();
    match context.format {
        Format::Json => context.print(serde_json::to_string_pretty(pause)?),
        Format::Jsonl => context.print(on_one_line(pause)?),
        Format::Table if context.quiet => context.print(pause.id),
        Format::Table => {
            context.print(format_args!("{} is paused {}", subject(scope), place(scope)))
        }
    }
}

/// Returns what is left before a pause has taken effect, and what to type.
fn describe(pause: &Pause, left: &PauseProgress) -> String {
    let mut parts = Vec::new();
    let hosts = left.unconfirmed_hosts.join("`, `");
    match left.unconfirmed_hosts.len() {
        0 => {}
        1 => parts.push(format!(
            "host `{hosts}` has not answered, so tasks that its workers have claimed may still start; \
             see `rework list-monitors`"
        )),
        _ => parts.push(format!(
            "hosts `{hosts}` have not answered, so tasks that their workers have claimed may still \
             start; see `rework list-monitors`"
        )),
    }
    let tasks: Vec<String> = left.running.iter().map(i64::to_string).collect();
    let tasks = tasks.join(", ");
    match left.running.len() {
        0 => {}
        1 => parts.push(format!("task {tasks} still runs")),
        _ => parts.push(format!("tasks {tasks} still run")),
    }
    let drain = if left.running.is_empty() { "" } else { " --drain" };
    parts.push(format!("`{}{drain}` waits again", command("pause", pause.scope())));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pause_text::tests::pause;

    #[test]
    fn what_is_left_is_described_with_the_command_that_waits_again() {
        let pause = pause(Scope { domain: Some("images"), ..Scope::default() });
        let running = PauseProgress { running: vec![7, 9], ..PauseProgress::default() };
        assert_eq!(
            describe(&pause, &running),
            "tasks 7, 9 still run; `rework pause --domain images --drain` waits again"
        );
        let silent =
            PauseProgress { unconfirmed_hosts: vec!["alpha".into()], ..PauseProgress::default() };
        let text = describe(&pause, &silent);
        assert!(text.starts_with("host `alpha` has not answered"), "{text}");
        assert!(text.ends_with("`rework pause --domain images` waits again"), "{text}");
    }
}
