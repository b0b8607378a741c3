//! A flow of a test: its rows, and the trace to which its steps append lines (`tests/operations/src/flow_steps.rs`).

use std::path::{Path, PathBuf};

use rework_core::task::state::State;
use serde_json::{Value, json};

use super::installation::Installation;
use super::task::Task;

/// A flow that a test has scheduled.
pub(crate) struct TracedFlow<'a> {
    setup: &'a Installation,
    pub(crate) id: i64,
    trace: PathBuf,
}

/// A line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceLine {
    /// `exec` or `revert`, or `plan` for the code of the flow itself.
    pub(crate) event: String,
    /// The name of the step.
    pub(crate) step: String,
    pub(crate) task: i64,
    pub(crate) run: i64,
}

/// Reads the lines of a trace. Empty if no step has run.
pub(crate) fn read_trace(path: &Path) -> Vec<TraceLine> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // A line is written by one system call, and may be read before it is complete.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete
        .lines()
        .map(|line| parse(line).unwrap_or_else(|| panic!("not a line: {line}")))
        .collect()
}

fn parse(line: &str) -> Option<TraceLine> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [event, step, task, run] = fields[..] else { return None };
    let (task, run) = (task.parse().ok()?, run.parse().ok()?);
    Some(TraceLine { event: event.to_owned(), step: step.to_owned(), task, run })
}

impl Installation {
    /// Schedules a flow with `rework schedule`. Adds the path of a new trace to its input, which is an object.
    #[track_caller]
    pub(crate) fn schedule_flow(&self, operation: &str, input: Value) -> TracedFlow<'_> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let trace = self.folder().join(format!("trace-{number}"));
        let mut input = input;
        input["trace"] = json!(trace);
        let id = self.schedule(operation, input);
        TracedFlow { setup: self, id, trace }
    }
}

impl TracedFlow<'_> {
    /// Returns the complete lines of the trace.
    pub(crate) fn lines(&self) -> Vec<TraceLine> {
        read_trace(&self.trace)
    }

    /// Returns what steps did, in the order of the trace: `exec a`, `revert a`.
    pub(crate) fn events(&self) -> Vec<String> {
        let lines = self.lines();
        let steps = lines.iter().filter(|line| line.event != "plan");
        steps.map(|line| format!("{} {}", line.event, line.step)).collect()
    }

    /// Returns how often something happened, for example `exec a`.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|happened| *happened == event).count()
    }

    /// Returns how often the code of the flow was called.
    pub(crate) fn plans(&self) -> usize {
        self.lines().iter().filter(|line| line.event == "plan").count()
    }

    /// Waits until something has happened `count` times.
    #[track_caller]
    pub(crate) fn wait_for(&self, event: &str, count: usize) {
        self.setup.wait_until(&format!("`{event}` has happened {count} times"), || {
            let task = self.setup.task(self.id);
            let happened = self.count(event);
            assert!(
                happened >= count || !task.state.is_end(),
                "flow {} ended: {} {}\n{}",
                self.id,
                task.state,
                task.reason(),
                self.describe()
            );
            happened >= count
        });
    }

    /// Returns the phase. Empty if the flow has no plan.
    pub(crate) fn phase(&self) -> String {
        let sql = "select phase from rework.flow where id = $1";
        self.setup.session().query_values(sql, &[&self.id]).pop().unwrap_or_default()
    }

    /// Waits until the flow has a phase. Its task may end in it.
    #[track_caller]
    pub(crate) fn wait_for_phase(&self, phase: &str) {
        self.setup.wait_until(&format!("flow {} is {phase}", self.id), || self.phase() == phase);
    }

    /// Waits until the flow has ended, asserts that it ended with this phase and this state, and returns its task.
    #[track_caller]
    pub(crate) fn wait_until_ended(&self, phase: &str, state: State) -> Task {
        let task = self.setup.wait_until_ended(self.id);
        let actual = (self.phase(), task.state);
        assert_eq!(actual, (phase.to_owned(), state), "{}\n{}", task.reason(), self.describe());
        task
    }

    /// Waits until the flow is done, and returns its output.
    #[track_caller]
    pub(crate) fn wait_until_done(&self) -> Value {
        self.wait_until_ended("done", State::Done).output
    }

    /// Waits until the flow has failed and everything is reverted. Returns the reason.
    #[track_caller]
    pub(crate) fn wait_until_reverted(&self) -> String {
        self.wait_until_ended("reverted", State::Failed).reason().to_owned()
    }

    /// Returns the states of the steps by their numbers, without gates: `a done`.
    pub(crate) fn states(&self) -> Vec<String> {
        let sql = "select name || ' ' || state from rework.step
                    where flow = $1 and kind = 'task' order by number";
        self.setup.session().query_values(sql, &[&self.id])
    }

    /// Returns the task that executes a step in this round.
    #[track_caller]
    pub(crate) fn task_of(&self, step: &str) -> i64 {
        self.column_of(step, "task").unwrap_or_else(|| panic!("`{step}` has no task"))
    }

    /// Returns the task that reverts a step in this round.
    #[track_caller]
    pub(crate) fn undo_task_of(&self, step: &str) -> i64 {
        self.column_of(step, "undo_task").unwrap_or_else(|| panic!("`{step}` has no revert"))
    }

    fn column_of(&self, step: &str, column: &str) -> Option<i64> {
        let sql = format!("select {column} from rework.step where flow = $1 and name = $2");
        self.setup.session().query_value(&sql, &[&self.id, &step])
    }

    /// Asserts what steps did, in this order. The words are separated by commas: `exec a, exec b`.
    #[track_caller]
    pub(crate) fn assert_events(&self, expected: &str) {
        assert_eq!(self.events().join(", "), expected, "{}", self.describe());
    }

    /// Describes the flow and the state of the test.
    pub(crate) fn describe(&self) -> String {
        let (events, states) = (self.events().join(", "), self.states().join(", "));
        format!("trace: {events}\nsteps: {states}\n{}", self.setup.diagnostics())
    }
}
