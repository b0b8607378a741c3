//! Renders a task as text for people: its fields, its state with the reason, and the commands to type next.
//! `commands/show_task.rs` prints this. The colours of states are also used by `commands/list_tasks.rs`.

use anstyle::{AnsiColor, Style};
use rework_core::{
    task::{show::Task, state::State},
    values::quantity::show_bytes,
};

use crate::{
    escape, pause_text, retry_text,
    table::{Cell, Table},
    time_text::{duration_between, timestamp},
    value_text::{error_message, payload, progress, shortened},
};

const LABEL: Style = Style::new().dimmed();

/// Returns one line with the id and the state of the task, and one line for each field that has a
/// value.
pub(crate) fn facts(task: &Task, colour: bool) -> String {
    let mut table = Table::default();
    let mut fact = |label: &str, text: Option<String>| {
        if let Some(text) = text {
            table.row([Cell::styled(label, LABEL), text.into()]);
        }
    };
    fact("operation", Some(format!("{} in domain {}", task.operation, task.domain)));
    fact("part of", part_of(task));
    fact("where", whereabouts(task));
    fact("waits for", task.details.waits_for.clone());
    fact("ran after", task.details.ran_after.clone());
    fact("followed by", task.details.followed_by.clone());
    fact("priority", (task.priority != 0).then(|| task.priority.to_string()));
    fact("retry", retry_text::retry(task));
    fact("queued", Some(timestamp(task.queued_at)));
    fact("paused", task.pause.as_ref().map(pause_text::explained));
    fact("started", task.started_at.map(timestamp));
    fact("finished", task.finished_at.map(timestamp));
    fact("input", payload(&task.input));
    fact("output", payload(&task.output));
    fact("progress", task.progress.as_deref().and_then(progress));
    fact("memory", memory(task));
    fact("revision", task.revision.clone());
    fact("unique key", task.unique_key.clone());
    fact("metadata", task.metadata.as_deref().map(|json| shortened(json.get())));
    // The first line shows the reason. An error that the reason already contains is not repeated.
    let in_reason =
        |message: &String| task.reason.as_ref().is_some_and(|reason| reason.contains(message));
    let message = task.error.as_deref().and_then(error_message);
    fact("error", message.filter(|message| !in_reason(message)));
    let style = if colour { style_of(task.state).bold() } else { Style::new() };
    let state = escape::line(&state(task)).into_owned();
    format!("task {}: {style}{state}{style:#}\n{}", task.id, table.render(colour))
}

/// Returns the commands that are useful next, with what each does.
pub(crate) fn next_commands(task: &Task) -> String {
    let id = task.id;
    if let Some(flow) = task.flow {
        return format!(
            "`rework show-task {flow}` shows the flow, `rework log-task {id}` shows what the task wrote"
        );
    }
    if let (State::Queued, Some(pause)) = (task.state, &task.pause) {
        let resume = pause_text::command("resume", pause.scope());
        return format!("`{resume}` lets it run, `rework abort-task {id}` aborts it");
    }
    match task.state {
        State::Failed | State::Aborted | State::Lost => format!(
            "`rework log-task {id}` shows everything that it wrote, `rework retry-task {id}` queues it again"
        ),
        State::Done => format!("`rework log-task {id}` shows what it wrote"),
        State::Running => format!(
            "`rework log-task {id} --follow` shows what it writes, `rework abort-task {id}` aborts it"
        ),
        State::Aborting => format!(
            "`rework log-task {id} --follow` shows what it writes, `rework wait-task {id}` waits for its end"
        ),
        State::Delayed | State::Waiting => {
            format!("`rework retry-task {id}` queues it now, `rework abort-task {id}` aborts it")
        }
        State::Queued => {
            format!(
                "`rework wait-task {id}` waits for its end, `rework list-workers` lists the workers"
            )
        }
    }
}

/// Returns the state of the task with its duration and its reason, for example `failed after 5m03s: exit code 3`.
fn state(task: &Task) -> String {
    let now = task.details.now;
    let end = task.finished_at.unwrap_or(now);
    let took = task.started_at.map(|at| duration_between(at, end));
    let because = task.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match (task.state, took) {
        (State::Delayed, _) => match task.delayed_until {
            Some(at) if at > now => {
                let after = task.reason.as_ref().map(|reason| format!(", after {reason}"));
                format!(
                    "delayed, due in {}{}",
                    duration_between(now, at),
                    after.unwrap_or_default()
                )
            }
            Some(_) => "delayed, due now".to_owned(),
            None => format!("delayed until it is retried: `rework retry-task {}`", task.id),
        },
        (State::Queued, _) => {
            format!("{} for {}", task.state, duration_between(task.queued_at, now))
        }
        (State::Running, Some(took)) => format!("running for {took}"),
        (State::Done, Some(took)) => format!("done in {took}"),
        (State::Done | State::Running, None) => task.state.to_string(),
        (_, Some(took)) if task.state != State::Waiting => {
            format!("{} after {took}{because}", task.state)
        }
        _ => format!("{}{because}", task.state),
    }
}

/// Returns which step of which flow the task is. `None` if it is of no flow.
fn part_of(task: &Task) -> Option<String> {
    let flow = task.flow?;
    let step =
        task.step.as_ref().map_or_else(|| "a step".to_owned(), |step| format!("step `{step}`"));
    let revert = if task.details.reverts_step { "revert of " } else { "" };
    Some(format!("{revert}{step} of flow {flow}"))
}

/// Returns where the task ran and which run and attempt this is, or where it must run. `None` if nothing is known.
fn whereabouts(task: &Task) -> Option<String> {
    let mut parts = Vec::new();
    if task.run > 0 {
        parts.extend(task.host.as_ref().map(|host| format!("on {host}")));
        parts.extend(task.worker.map(|worker| format!("worker {worker}")));
        parts.push(format!("run {}", task.run));
    }
    if task.attempt > 0 && task.attempts > 1 {
        parts.push(format!("attempt {} of {}", task.attempt, task.attempts));
    }
    parts.extend(task.details.pinned.as_ref().map(|host| format!("only on {host}")));
    if !task.details.capabilities.is_empty() {
        parts.push(format!("needs {}", task.details.capabilities.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn memory(task: &Task) -> Option<String> {
    let peak = task.details.memory_peak.map(|bytes| format!("peak {}", show_bytes(bytes)))?;
    let limit = task.details.memory_limit.map(|bytes| format!(" of {}", show_bytes(bytes)));
    Some(format!("{peak}{}", limit.unwrap_or_default()))
}

/// Returns the colour in which a state is shown.
pub(crate) fn style_of(state: State) -> Style {
    match state {
        State::Done => AnsiColor::Green.on_default(),
        State::Failed | State::Lost => AnsiColor::Red.on_default(),
        State::Aborting | State::Aborted => AnsiColor::Magenta.on_default(),
        State::Running => AnsiColor::Cyan.on_default(),
        State::Delayed | State::Waiting | State::Queued => AnsiColor::Yellow.on_default(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use rework_core::{
        pause::row::Scope,
        task::{payload::Payload, show::TaskDetails},
    };
    use serde_json::value::RawValue;

    use super::*;
    use crate::pause_text::tests::pause;

    pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
        let queued: DateTime<Utc> = "2026-11-22T02:10:08Z".parse().unwrap();
        queued + TimeDelta::seconds(seconds)
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    pub(crate) fn task(state: State) -> Task {
        Task {
            id: 7,
            operation: "resize".into(),
            domain: "images".into(),
            host: Some("alpha".into()),
            state,
            priority: 0,
            attempt: 2,
            attempts: 3,
            run: 2,
            worker: Some(3),
            queued_at: at(0),
            delayed_until: None,
            started_at: Some(at(1)),
            finished_at: state.is_end().then(|| at(304)),
            input: Payload::Json("{\"width\":\n300}".into()),
            output: Payload::Bytes(vec![0; 24]),
            error: Some(raw(r#"{"kind": "panic", "message": "oops"}"#)),
            reason: Some("exit code 3".into()),
            progress: Some(raw(r#"{"done": 3, "total": 10, "message": "cropping"}"#)),
            unique_key: None,
            metadata: None,
            revision: Some("2 (a1b2)".into()),
            retry: None,
            pause: None,
            flow: None,
            step: None,
            details: TaskDetails {
                capabilities: vec!["gpu".into()],
                pinned: None,
                memory_peak: Some(120 << 20),
                memory_limit: Some(2 << 30),
                timeout_ms: None,
                registered: true,
                now: at(400),
                waits_for: None,
                ran_after: None,
                followed_by: None,
                reverts_step: false,
                is_flow: false,
            },
        }
    }

    #[test]
    fn a_failed_task_is_shown_with_its_reason() {
        let (queued, started, finished) = (timestamp(at(0)), timestamp(at(1)), timestamp(at(304)));
        assert_eq!(
            facts(&task(State::Failed), false),
            format!(
                "task 7: failed after 5m03s: exit code 3\n\
                 operation resize in domain images\n\
                 where     on alpha, worker 3, run 2, attempt 2 of 3, needs gpu\n\
                 queued    {queued}\n\
                 started   {started}\n\
                 finished  {finished}\n\
                 input     {{\"width\":\\n300}}\n\
                 output    24 bytes\n\
                 progress  3 of 10: cropping\n\
                 memory    peak 120 MiB of 2 GiB\n\
                 revision  2 (a1b2)\n\
                 error     panic: oops\n"
            )
        );
    }

    #[test]
    fn a_task_of_a_flow_names_its_step() {
        let mut step = Task { flow: Some(3), step: Some("b".into()), ..task(State::Failed) };
        assert!(facts(&step, false).contains("\npart of   step `b` of flow 3\n"));
        assert!(next_commands(&step).starts_with("`rework show-task 3` shows the flow"));
        step.details.reverts_step = true;
        assert!(facts(&step, false).contains("\npart of   revert of step `b` of flow 3\n"));
    }

    #[test]
    fn the_state_is_shown_with_its_duration_and_reason() {
        assert_eq!(state(&task(State::Done)), "done in 5m03s");
        assert_eq!(state(&task(State::Running)), "running for 6m39s");
        assert_eq!(state(&task(State::Queued)), "queued for 6m40s");
        let delayed = Task { delayed_until: Some(at(460)), ..task(State::Delayed) };
        assert_eq!(state(&delayed), "delayed, due in 1m00s, after exit code 3");
        let without_time = state(&task(State::Delayed));
        assert_eq!(without_time, "delayed until it is retried: `rework retry-task 7`");
        let aborted = Task {
            started_at: None,
            reason: Some("aborted from SQL".into()),
            ..task(State::Aborted)
        };
        assert_eq!(state(&aborted), "aborted: aborted from SQL");
    }

    #[test]
    fn a_queued_task_shows_the_pause_for_which_it_waits() {
        let pause = pause(Scope { operation: Some("resize"), domain: Some("images"), host: None });
        let paused = pause_text::explained(&pause);
        let queued = Task { pause: Some(pause), ..task(State::Queued) };
        assert!(facts(&queued, false).contains(&format!("paused    {paused}\n")));
        let next = next_commands(&queued);
        assert!(next.starts_with("`rework resume --domain images --operation resize`"), "{next}");
    }
}
