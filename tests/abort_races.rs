//! Aborts at the moment at which their task ends: whoever wins, the next task of the same worker
//! is not touched.

use std::time::{Duration, Instant};

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::scale;
use crate::support::{Installation, installation, wait};

/// Aims at an end: earlier after an abort that came too late, later after one that came in time, in
/// steps that become finer whenever the winner changes.
struct Aim {
    delay: Duration,
    step: Duration,
    was_won: Option<bool>,
    won: u32,
    lost: u32,
}

const FINEST: Duration = Duration::from_micros(200);

impl Aim {
    fn at(milliseconds: u64) -> Aim {
        let (delay, step) = (Duration::from_millis(milliseconds), Duration::from_millis(4));
        Aim { delay, step, was_won: None, won: 0, lost: 0 }
    }

    /// Whether the abort won.
    fn learn(&mut self, won: bool) {
        if self.was_won.replace(won) == Some(!won) {
            self.step = FINEST.max(self.step / 2);
        }
        if won {
            self.won += 1;
            self.delay += self.step;
        } else {
            self.lost += 1;
            self.delay = self.delay.saturating_sub(self.step);
        }
    }
}

#[test]
fn an_abort_that_races_with_the_end_of_a_function() {
    let place = Installation::with_fixture();
    let schedule = || {
        let raced = place.schedule_many("sleep", &[json!(0.01)])[0];
        (raced, place.schedule_many("double", &[json!(7)])[0])
    };
    race(&place, schedule, Aim::at(15), scale::count(40, 700));
}

#[test]
fn an_abort_that_races_with_the_end_of_a_command() {
    let place = Installation::new();
    place.register([installation::manifest("stubborn.toml")]);
    let schedule = || {
        let raced = place.schedule_many("brief", &[Value::Null])[0];
        (raced, place.schedule_many("brief", &[Value::Null])[0])
    };
    race(&place, schedule, Aim::at(30), scale::count(20, 300));
}

/// Two tasks for one worker, again and again; the first one is aborted at about its end.
fn race(place: &Installation, schedule: impl Fn() -> (i64, i64), mut aim: Aim, times: usize) {
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let worker = place.done(schedule().1).worker;
    let mut close = 0;
    while close < times {
        let (raced, next) = schedule();
        wait::pass(aim.delay);
        let sql = "select rework.abort($1, 'in a race')";
        let answer: String = place.session().one(sql, &[&raced]);
        let begun = Instant::now();
        let ended = place.ended(raced);
        match answer.as_str() {
            "aborting" => assert_eq!(ended.state, State::Aborted, "{}", ended.reason()),
            "aborted" => assert_eq!(ended.run, 0, "it had not been claimed"),
            "done" => assert_eq!(ended.state, State::Done, "{}", ended.reason()),
            other => panic!("the abort was answered with `{other}`"),
        }
        let next = place.done(next);
        assert_eq!((next.run, next.attempt), (1, 1), "not touched\n{}", place.scene());
        assert_eq!(next.worker, worker, "nobody died");
        // Its grace is 3 s: whoever waited for that did not see that the task had ended.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        // Too early is no race.
        close += usize::from(answer != "aborted");
        aim.learn(ended.state == State::Aborted);
    }
    eprintln!("{times} races: {} aborted, {} done", aim.won, aim.lost);
    assert!(aim.won > 0 && aim.lost > 0, "they did not race: {} and {}", aim.won, aim.lost);
}
