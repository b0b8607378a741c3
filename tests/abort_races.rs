//! Aborts that are requested at about the moment at which the task ends by itself.
//!
//! The task may then be aborted or done. In both cases the next task of the same worker must not be affected.

use std::time::{Duration, Instant};

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::scale;
use crate::support::{Installation, installation, wait};

/// Finds the delay after which an abort and the end of its task are about equally fast.
///
/// An abort that came too late makes the delay shorter, and one that came in time makes it longer. The step is halved
/// whenever the result changes.
struct AbortTimer {
    /// Time from scheduling the task to the request of the abort.
    delay: Duration,
    step: Duration,
    was_aborted: Option<bool>,
    /// How many tasks were aborted.
    aborted: u32,
    /// How many tasks were done before the abort.
    done: u32,
}

/// The smallest step. Steps that become ever smaller could not follow tasks that become slower or faster.
const MIN_STEP: Duration = Duration::from_micros(200);

impl AbortTimer {
    /// Starts with a delay that is near the usual duration of the task.
    fn starting_at(milliseconds: u64) -> AbortTimer {
        let (delay, step) = (Duration::from_millis(milliseconds), Duration::from_millis(4));
        AbortTimer { delay, step, was_aborted: None, aborted: 0, done: 0 }
    }

    /// Adjusts the delay after a race whose task was aborted, or was done.
    fn adjust(&mut self, aborted: bool) {
        if self.was_aborted.replace(aborted) == Some(!aborted) {
            self.step = MIN_STEP.max(self.step / 2);
        }
        if aborted {
            self.aborted += 1;
            self.delay += self.step;
        } else {
            self.done += 1;
            self.delay = self.delay.saturating_sub(self.step);
        }
    }
}

#[test]
fn an_abort_races_with_the_end_of_a_function() {
    let setup = Installation::with_fixture();
    let schedule = || {
        let raced = setup.schedule_many("sleep", &[json!(0.01)])[0];
        (raced, setup.schedule_many("double", &[json!(7)])[0])
    };
    race(&setup, schedule, AbortTimer::starting_at(15), scale::count(40, 700));
}

#[test]
fn an_abort_races_with_the_end_of_a_command() {
    let setup = Installation::new();
    setup.register([installation::manifest_path("hard_to_kill.toml")]);
    let schedule = || {
        let raced = setup.schedule_many("sleeps_10_ms", &[Value::Null])[0];
        (raced, setup.schedule_many("sleeps_10_ms", &[Value::Null])[0])
    };
    race(&setup, schedule, AbortTimer::starting_at(30), scale::count(20, 300));
}

/// Schedules pairs of tasks for a single worker, and aborts the first of each pair at about its end.
///
/// Repeats this until `rounds` aborts came after the claim. An abort of a task that was still queued does not count,
/// because it does not race with an end.
fn race(
    setup: &Installation,
    schedule: impl Fn() -> (i64, i64),
    mut timer: AbortTimer,
    rounds: usize,
) {
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let worker = setup.wait_until_done(schedule().1).worker;
    let mut races = 0;
    while races < rounds {
        let (task, next) = schedule();
        wait::let_time_pass(timer.delay);
        let sql = "select rework.abort($1, 'in a race')";
        let state_after_abort: String = setup.session().query_value(sql, &[&task]);
        let requested = Instant::now();
        let ended = setup.wait_until_ended(task);
        match state_after_abort.as_str() {
            "aborting" => assert_eq!(ended.state, State::Aborted, "{}", ended.reason()),
            "aborted" => {
                assert_eq!(ended.run, 0, "the task was aborted in the queue, but had been claimed");
            }
            "done" => assert_eq!(ended.state, State::Done, "{}", ended.reason()),
            other => panic!("`rework.abort` returned `{other}`"),
        }
        let next = setup.wait_until_done(next);
        assert_eq!(
            (next.run, next.attempt),
            (1, 1),
            "the next task was disturbed\n{}",
            setup.diagnostics()
        );
        assert_eq!(next.worker, worker, "the worker was replaced");
        // The grace is 3 s. A worker that takes longer than 2 s waited for it, although the task had ended.
        assert!(requested.elapsed() < Duration::from_secs(2), "{:?}", requested.elapsed());
        races += usize::from(state_after_abort != "aborted");
        timer.adjust(ended.state == State::Aborted);
    }
    eprintln!("{rounds} races: {} aborted, {} done", timer.aborted, timer.done);
    assert!(timer.aborted > 0 && timer.done > 0, "all races had the same result");
}
