//! The options of `rework schedule` about the unique key, and what it prints about a task that has the key already.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use rework_core::task::unique::{OnConflict, Scheduled, UniqueOptions, UniqueWhile};
use serde::Serialize;

use super::option_values::positive_duration;
use crate::{
    context::Context, json_list::on_one_line, options::Format, time_text::duration_between,
};

/// The options besides `--unique-key` itself.
#[derive(Debug, clap::Args)]
pub(super) struct UniqueKeyOptions {
    /// How long a task keeps its unique key: until it is deleted (`exists`), until it has ended (`unfinished`), or
    /// until a worker claims it (`queued`) [default: `exists`; with `--debounce`: `queued`]
    #[arg(long, value_name = "RULE", requires = "unique_key")]
    unique_while: Option<UniqueWhile>,
    /// A task loses its unique key at the latest when this time has passed since it was scheduled
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = positive_duration,
        requires = "unique_key"
    )]
    unique_for: Option<Duration>,
    /// If a task has the unique key: `keep` it as it is, or `replace` its input, priority, metadata and time, unless a
    /// worker has claimed it or it has ended [default: `keep`; with `--debounce`: `replace`]
    #[arg(long, value_name = "RULE", requires = "unique_key")]
    on_conflict: Option<OnConflict>,
    /// Start the task when nobody has scheduled its unique key for this long; the last input counts
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = positive_duration,
        requires = "unique_key",
        conflicts_with_all = ["at", "delay"]
    )]
    debounce: Option<Duration>,
    /// Start the task at the latest when this time has passed since it was scheduled first
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = positive_duration,
        requires = "debounce"
    )]
    at_most: Option<Duration>,
}

impl UniqueKeyOptions {
    /// Returns the options as the queue takes them.
    pub(super) fn options(&self) -> UniqueOptions {
        UniqueOptions {
            unique_while: self.unique_while,
            unique_for: self.unique_for,
            on_conflict: self.on_conflict,
            debounce: self.debounce,
            at_most: self.at_most,
        }
    }

    /// Returns whether a task that has the key is replaced, if no worker has claimed it.
    pub(super) fn replaces(&self) -> bool {
        self.options().replaces()
    }
}

/// A scheduled task as JSON.
#[derive(Serialize)]
struct ScheduledJson {
    id: i64,
    created: bool,
    state: &'static str,
}

/// Prints the id of the task, or as JSON also whether it was created. If it was not, notes which state it has.
pub(super) fn print(
    scheduled: &Scheduled,
    replaces: bool,
    context: &Context,
) -> anyhow::Result<()> {
    let &Scheduled { task, created, state, .. } = scheduled;
    let answer = ScheduledJson { id: task, created, state: state.as_str() };
    match context.format {
        Format::Json if !context.quiet => context.print(serde_json::to_string_pretty(&answer)?)?,
        Format::Jsonl if !context.quiet => context.print(on_one_line(&answer)?)?,
        _ => context.print(task)?,
    }
    if !created {
        context.note(existing(scheduled, replaces));
    }
    Ok(())
}

/// Returns the note about a task that has the key already.
fn existing(scheduled: &Scheduled, replaces: bool) -> String {
    let Scheduled { task, state, state_for, .. } = scheduled;
    let now = Utc::now();
    let since = TimeDelta::from_std(*state_for).ok().and_then(|age| now.checked_sub_signed(age));
    let duration = duration_between(since.unwrap_or(now), now);
    let is_waiting = !state.is_claimed() && !state.is_end();
    let consequence = match (replaces, is_waiting) {
        (false, _) => "",
        (true, true) => ": it was replaced",
        (true, false) => ": it stays as it is, with its own input",
    };
    format!("task {task} has this key already ({state} for {duration}){consequence}")
}

#[cfg(test)]
mod tests {
    use rework_core::task::state::State;

    use super::*;

    #[test]
    fn the_note_says_whether_the_existing_task_was_replaced() {
        let note = |state, replaces| {
            let state_for = Duration::from_secs(182);
            existing(&Scheduled { task: 12, created: false, state, state_for }, replaces)
        };
        let queued = "task 12 has this key already (queued for 3m02s)";
        assert_eq!(note(State::Queued, false), queued);
        assert_eq!(note(State::Queued, true), format!("{queued}: it was replaced"));
        let running = "task 12 has this key already (running for 3m02s)";
        let stays = ": it stays as it is, with its own input";
        assert_eq!(note(State::Running, true), format!("{running}{stays}"));
        assert_eq!(note(State::Running, false), running);
    }
}
