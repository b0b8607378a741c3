//! Scenes of monitors that are to end.

use std::time::Duration;

use rework_core::{
    fleet::heartbeat::{Abort, Answer},
    task::complete::Outcome,
};
use rework_process::Exit;
use rework_wire::worker::FromWorker;

use crate::{
    event::{Action, Event, Finish, Poll},
    state::scene::{KILLED, Scene},
};

#[test]
fn a_drain_waits_then_aborts_then_kills() {
    let mut scene = Scene::idle(2);
    scene.hint();
    scene.says(1, FromWorker::Busy);
    scene.says(2, FromWorker::Idle);
    let why = "monitor exit: signal 15 (terminated)";
    assert_eq!(
        scene.apply(Event::Signal(15)),
        [format!("retire 1: {why}"), format!("retire 2: {why}")]
    );
    assert!(!scene.state.poll_request(true).abort_all);
    scene.says(2, FromWorker::Leaving { reason: why.to_owned() });
    let (exit, last_words) = (Some(Exit::Code(0)), String::new());
    let left = scene.apply(Event::Ended { worker: 2, exit, last_words });
    assert_eq!(left, [format!("clean up 2: {why}"), "poll".to_owned()]);
    assert!(scene.apply(Event::CleanedUp(2)).is_empty());
    assert_eq!(scene.after(Duration::from_secs(25)), ["poll"]);
    assert!(scene.state.poll_request(true).abort_all);
    let run = Abort { worker: 1, task: 5, run: 1, asked: false, reason: None };
    let answer = Answer { aborts: vec![run], ..Answer::default() };
    assert_eq!(scene.sees(answer), ["drain 5 of 1: aborted by the monitor's shutdown"]);
    assert_eq!(scene.after(Duration::from_secs(10)), ["kill 1"]);
    assert_eq!(scene.dies(1), [format!("clean up 1: {why}"), "poll".to_owned()]);
    assert!(scene.after(Duration::ZERO).is_empty());
    scene.apply(Event::CleanedUp(1));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::Asked(15))]);
}

#[test]
fn a_second_signal_kills_at_once_and_nobody_is_started_meanwhile() {
    let mut scene = Scene::new(2, 2);
    assert_eq!(scene.polls(1), ["spawn 2"]);
    scene.is_born(1);
    scene.says(1, FromWorker::Up);
    scene.says(1, FromWorker::Busy);
    assert_eq!(scene.apply(Event::Signal(2)), ["retire 1: monitor exit: signal 2 (interrupted)"]);
    assert_eq!(scene.is_born(2), ["retire 2: monitor exit: signal 2 (interrupted)"]);
    assert!(scene.polls(3).is_empty());
    assert_eq!(scene.apply(Event::Signal(2)), ["kill 1", "kill 2", "poll"]);
    assert_eq!(scene.apply(Event::Signal(2)), [format!("finish {:?}", Finish::Asked(2))]);
}

#[test]
fn after_a_second_signal_what_cannot_be_recorded_is_left_within_a_second() {
    let mut scene = Scene::idle(1);
    scene.apply(Event::Signal(15));
    assert!(scene.after(Duration::from_secs(1)).is_empty(), "the grace");
    assert_eq!(scene.apply(Event::Signal(15)), ["kill 1", "poll"]);
    scene.dies(1);
    scene.apply(Event::Polled(Poll::default()));
    assert!(scene.after(Duration::from_millis(999)).is_empty());
    let finish = [format!("finish {:?}", Finish::Asked(15))];
    assert_eq!(scene.after(Duration::from_millis(1)), finish);
}

#[test]
fn after_a_second_signal_a_database_that_answers_is_waited_for_but_not_for_long() {
    let mut scene = Scene::idle(1);
    scene.apply(Event::Signal(15));
    scene.apply(Event::Signal(15));
    scene.dies(1);
    for _ in 0..9 {
        // Each poll takes a second.
        assert!(scene.sees(Answer::default()).is_empty());
        assert!(scene.after(Duration::ZERO).is_empty());
    }
    let finish = [format!("finish {:?}", Finish::Asked(15))];
    scene.sees(Answer::default());
    assert_eq!(scene.after(Duration::ZERO), finish);
}

#[test]
fn a_worker_of_an_earlier_monitor_gets_the_grace_and_is_killed_after_it() {
    let mut scene = Scene::new(1, 1);
    scene.adopts(7);
    assert!(scene.apply(Event::Signal(15)).is_empty(), "it cannot be told anything");
    assert!(scene.after(Duration::from_secs(24)).is_empty());
    assert_eq!(scene.after(Duration::from_secs(1)), ["kill 7", "poll"]);
    let (exit, last_words) = (None, String::new());
    scene.state.apply(Event::Ended { worker: 7, exit, last_words }, scene.now);
    let mut plans = scene.state.actions.iter().filter_map(|action| match action {
        Action::CleanUp { worker: 7, plan } => Some(plan.clone()),
        _ => None,
    });
    let plan = plans.next_back().unwrap();
    assert_eq!(plan.reason, "monitor exit: signal 15 (terminated)");
    assert_eq!(plan.run_reason, "aborted by the monitor's shutdown");
    assert_eq!(plan.outcome, Outcome::Drained);
    assert!(plan.sweep && !plan.silent);
    scene.actions();
    assert!(scene.after(Duration::ZERO).is_empty(), "it is being recorded");
    scene.apply(Event::CleanedUp(7));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::Asked(15))]);
}

#[test]
fn a_second_signal_kills_the_workers_of_earlier_monitors_too() {
    let mut scene = Scene::new(1, 1);
    scene.adopts(7);
    scene.apply(Event::Signal(15));
    assert_eq!(scene.apply(Event::Signal(15)), ["kill 7", "poll"]);
}

#[test]
fn a_lost_lease_is_not_that_of_a_worker_that_lives_by_its_own() {
    let mut scene = Scene::new(1, 1);
    scene.adopts(7);
    scene.state.poll_request(true);
    let answer = Some(Answer { held: false, ..Answer::default() });
    let seen = Event::Polled(Poll { answer, ..Poll::default() });
    assert_eq!(scene.apply(seen), ["disarm"]);
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::LeaseLost)]);
}

#[test]
fn without_its_lease_a_monitor_kills_its_workers_and_records_nothing() {
    let mut scene = Scene::idle(1);
    scene.state.poll_request(true);
    let answer = Some(Answer { held: false, ..Answer::default() });
    let seen = Event::Polled(Poll { answer, ..Poll::default() });
    assert_eq!(scene.apply(seen), ["disarm", "kill 1"]);
    let (exit, last_words) = (Some(KILLED), String::new());
    scene.state.apply(Event::Ended { worker: 1, exit, last_words }, scene.now);
    let closed =
        scene.state.actions.iter().any(
            |action| matches!(action, Action::CleanUp { plan, .. } if plan.silent && plan.sweep),
        );
    assert!(closed);
    scene.actions();
    scene.apply(Event::CleanedUp(1));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::LeaseLost)]);
}

#[test]
fn without_its_lease_a_monitor_leaves_workers_alone_that_have_their_own() {
    let mut scene = Scene::idle(2);
    scene.says(1, FromWorker::Alone);
    scene.state.poll_request(true);
    let answer = Some(Answer { held: false, ..Answer::default() });
    let seen = Event::Polled(Poll { answer, ..Poll::default() });
    assert_eq!(scene.apply(seen), ["disarm", "kill 2"]);
}

#[test]
fn who_was_asked_to_end_does_not_come_back_whatever_befalls_its_lease() {
    let mut scene = Scene::idle(1);
    scene.apply(Event::Signal(15));
    scene.state.lose(Finish::LeaseOver, scene.now);
    assert!(!scene.state.drain.as_ref().unwrap().reexec());
    let mut scene = Scene::idle(1);
    scene.state.lose(Finish::LeaseOver, scene.now);
    assert!(scene.state.drain.as_ref().unwrap().reexec());
    scene.apply(Event::Signal(15));
    assert!(!scene.state.drain.as_ref().unwrap().reexec(), "asked afterwards");
}
