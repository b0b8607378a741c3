//! Aborts at the moment at which their task ends: whoever wins, the next task of the same worker
//! is not touched.

use std::time::{Duration, Instant};

use rework_core::state::State;
use serde_json::{Value, json};

use crate::support::scale::count;
use crate::support::{Installation, installation, wait};

/// Aims at an end: earlier after an abort that came too late, later after one that came in time.
struct Aim {
    delay: Duration,
    step: Duration,
    won: u32,
    lost: u32,
}

impl Aim {
    fn at(milliseconds: u64) -> Aim {
        let step = Duration::from_micros(200);
        Aim { delay: Duration::from_millis(milliseconds), step, won: 0, lost: 0 }
    }

    /// Whether the abort won.
    fn learn(&mut self, won: bool) {
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
    race(&place, ("sleep", json!(0.01)), ("double", json!(7)), Aim::at(15), count(40, 700));
}

#[test]
fn an_abort_that_races_with_the_end_of_a_command() {
    let place = Installation::new();
    place.register([installation::fixture(), installation::manifest("stubborn.toml")]);
    race(&place, ("brief", Value::Null), ("brief", Value::Null), Aim::at(30), count(20, 300));
}

/// Two tasks for one worker; the first one is aborted at about its end.
fn race(
    place: &Installation,
    first: (&str, Value),
    second: (&str, Value),
    mut aim: Aim,
    times: usize,
) {
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let worker = place.done(place.schedule_many(second.0, &[second.1.clone()])[0]).worker;
    let mut races = 0;
    while races < times {
        let raced = place.schedule_many(first.0, &[first.1.clone()])[0];
        let next = place.schedule_many(second.0, &[second.1.clone()])[0];
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
        let done = place.done(next);
        assert_eq!((done.run, done.attempt), (1, 1), "not touched\n{}", place.scene());
        assert_eq!(done.worker, worker, "nobody died");
        // Its grace is 3 s: whoever waited for that did not see that the task had ended.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        // Too early is no race.
        races += usize::from(answer != "aborted");
        aim.learn(ended.state == State::Aborted);
    }
    eprintln!("{}: {times} races, {} aborted, {} done", first.0, aim.won, aim.lost);
    assert!(aim.won > 0 && aim.lost > 0, "they did not race: {} and {}", aim.won, aim.lost);
}
