//! Methods of `Installation` that wait for a task. On a timeout they print `Installation::diagnostics`.

use std::time::Duration;

use rework_core::task::state::State;

use super::installation::Installation;
use super::task::Task;
use super::{processes, scale, wait};

impl Installation {
    /// Waits until a task is in any final state, and returns its row.
    #[track_caller]
    pub(crate) fn wait_until_ended(&self, id: i64) -> Task {
        self.wait_until_ended_within(id, wait::TIMEOUT)
    }

    /// Waits at most `timeout` until a task is in any final state, and returns its row.
    #[track_caller]
    pub(crate) fn wait_until_ended_within(&self, id: i64, timeout: Duration) -> Task {
        let what = format!("task {id} has ended");
        wait::until_some(
            &what,
            timeout,
            || self.diagnostics(),
            || Some(self.task(id)).filter(|task| task.state.is_end()),
        )
    }

    /// Waits until a task has ended, asserts that its state is `done`, and returns its row.
    #[track_caller]
    pub(crate) fn wait_until_done(&self, id: i64) -> Task {
        let task = self.wait_until_ended(id);
        assert_eq!(task.state, State::Done, "task {id}: {}\n{}", task.reason(), self.diagnostics());
        task
    }

    /// Waits until a task is in `state` and returns its row. Panics at once if the task ends in another state.
    #[track_caller]
    pub(crate) fn wait_until_state(&self, id: i64, state: State) -> Task {
        let what = format!("task {id} is {state}");
        let task = wait::until_some(
            &what,
            wait::TIMEOUT,
            || self.diagnostics(),
            || Some(self.task(id)).filter(|task| task.state == state || task.state.is_end()),
        );
        assert_eq!(task.state, state, "task {id}: {}\n{}", task.reason(), self.diagnostics());
        task
    }

    /// Waits until a task is running and its log contains `line`, and returns its row. Panics if the task ends
    /// before.
    #[track_caller]
    pub(crate) fn wait_until_logged(&self, id: i64, line: &str) -> Task {
        self.wait_until_state(id, State::Running);
        self.wait_until(&format!("task {id} logs `{line}`"), || {
            let task = self.task(id);
            assert!(!task.state.is_end(), "task {id} ended: {task:?}\n{}", self.diagnostics());
            self.log_lines(id).iter().any(|logged| logged == line)
        });
        self.task(id)
    }

    /// Asserts that a task stays in state `running` for `wait::OBSERVATION_TIME`, or for 30 s in `make soak`.
    #[track_caller]
    pub(crate) fn assert_keeps_running(&self, id: i64) {
        let time = if scale::is_soak() { Duration::from_secs(30) } else { wait::OBSERVATION_TIME };
        wait::assert_stays_true(&format!("task {id} is running"), time, || {
            self.task(id).state == State::Running
        });
    }

    /// Waits until a task that logs the numbers from 1 to its output is done. Asserts that it ran once, in its
    /// first attempt, and that its log has each number once and in order.
    #[track_caller]
    pub(crate) fn wait_until_count_complete(&self, id: i64) -> Task {
        let task = self.wait_until_done(id);
        assert_eq!((task.run, task.attempt), (1, 1), "{}", task.reason());
        let last = task.output.as_u64().unwrap();
        let lines: Vec<String> = (1..=last).map(|number| number.to_string()).collect();
        assert_eq!(self.log_lines(id), lines, "each line is logged once");
        task
    }

    /// Waits until `condition` returns true. Panics after `wait::TIMEOUT` with `what` and the diagnostics.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        wait::until(what, || self.diagnostics(), condition);
    }

    /// Waits until every process that the test started has ended, including the processes that those started.
    #[track_caller]
    pub(crate) fn wait_until_no_process_left(&self) {
        self.wait_until("no process of the test is left", || {
            processes::tagged(self.host()).is_empty()
        });
    }
}
