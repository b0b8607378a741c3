//! Waiting for what happens to a test's tasks; where it does not, the scene says what is there.

use std::time::Duration;

use rework_core::task::state::State;

use super::installation::Installation;
use super::task::Task;
use super::{processes, scale, wait};

impl Installation {
    /// Waits until a task has ended, however it did.
    #[track_caller]
    pub(crate) fn ended(&self, id: i64) -> Task {
        self.ended_within(id, wait::PATIENCE)
    }

    /// Waits for so long at most until a task has ended.
    #[track_caller]
    pub(crate) fn ended_within(&self, id: i64, patience: Duration) -> Task {
        let what = format!("task {id} has ended");
        wait::until_some(
            &what,
            patience,
            || self.scene(),
            || Some(self.task(id)).filter(|task| task.state.is_end()),
        )
    }

    /// Waits until a task is done; any other end is a failure at once.
    #[track_caller]
    pub(crate) fn done(&self, id: i64) -> Task {
        let task = self.ended(id);
        assert_eq!(task.state, State::Done, "task {id}: {}\n{}", task.reason(), self.scene());
        task
    }

    /// Waits until a task is in a state, or has ended in another one.
    #[track_caller]
    pub(crate) fn reaches(&self, id: i64, state: State) -> Task {
        let what = format!("task {id} is {state}");
        let task = wait::until_some(
            &what,
            wait::PATIENCE,
            || self.scene(),
            || Some(self.task(id)).filter(|task| task.state == state || task.state.is_end()),
        );
        assert_eq!(task.state, state, "task {id}: {}\n{}", task.reason(), self.scene());
        task
    }

    /// Waits until a task runs and has written a line.
    #[track_caller]
    pub(crate) fn writes(&self, id: i64, line: &str) -> Task {
        self.reaches(id, State::Running);
        self.until(&format!("task {id} writes `{line}`"), || {
            let task = self.task(id);
            assert!(!task.state.is_end(), "task {id} ended: {task:?}\n{}", self.scene());
            self.log(id).iter().any(|written| written == line)
        });
        self.task(id)
    }

    /// Looks on while a task runs, whatever was done around it: in full, for half a minute.
    #[track_caller]
    pub(crate) fn goes_on(&self, id: i64) {
        let time = if scale::soak() { Duration::from_secs(30) } else { wait::A_WHILE };
        wait::stays(&format!("task {id} runs"), time, || self.task(id).state == State::Running);
    }

    /// Waits until a task that counts is done: it ran once, and its log is whole.
    #[track_caller]
    pub(crate) fn counted(&self, id: i64) -> Task {
        let ended = self.done(id);
        assert_eq!((ended.run, ended.attempt), (1, 1), "{}", ended.reason());
        let counted = ended.output.as_u64().unwrap();
        let lines: Vec<String> = (1..=counted).map(|number| number.to_string()).collect();
        assert_eq!(self.log(id), lines, "no line is lost, none comes twice");
        ended
    }

    /// Waits until it is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl FnMut() -> bool) {
        wait::until(what, || self.scene(), is_so);
    }

    /// Kills what is left; nothing should be. For tests that say so at their end.
    #[track_caller]
    pub(crate) fn assert_no_process_left(&self) {
        self.until("no process of the test is left", || processes::marked(self.host()).is_empty());
    }
}
