//! Scenes of monitors that end after a signal, or after the loss of their lease.

use std::time::Duration;

use rework_core::{
    fleet::monitor_poll::{PollReply, RunToAbort},
    task::complete::Outcome,
};
use rework_process::Exit;
use rework_wire::worker::FromWorker;

use crate::{
    event::{Action, CompletedPoll, Event, Finish},
    state::scene::{KILLED, Scene},
};

#[test]
fn a_drain_waits_then_aborts_then_kills() {
    let mut scene = Scene::idle(2);
    scene.notify();
    scene.worker_sends(1, FromWorker::Busy);
    scene.worker_sends(2, FromWorker::Idle);
    let why = "monitor exit: signal 15 (terminated)";
    assert_eq!(
        scene.apply(Event::Signal(15)),
        [format!("retire 1: {why}"), format!("retire 2: {why}")]
    );
    assert!(!scene.state.poll_plan(true).abort_all);
    scene.worker_sends(2, FromWorker::Leaving { reason: why.to_owned() });
    let (exit, output_tail) = (Some(Exit::Code(0)), String::new());
    let actions = scene.apply(Event::Ended { worker: 2, exit, output_tail });
    assert_eq!(actions, [format!("clean up 2: {why}"), "poll".to_owned()]);
    assert!(scene.apply(Event::CleanedUp(2)).is_empty());
    assert_eq!(scene.after(Duration::from_secs(25)), ["poll"]);
    assert!(scene.state.poll_plan(true).abort_all);
    let run = RunToAbort { worker: 1, task: 5, run: 1, requested: false, reason: None };
    let reply = PollReply { aborts: vec![run], ..PollReply::default() };
    assert_eq!(scene.poll_gets(reply), ["drain 5 of 1: aborted by the monitor's shutdown"]);
    assert_eq!(scene.after(Duration::from_secs(10)), ["kill 1"]);
    assert_eq!(scene.worker_dies(1), [format!("clean up 1: {why}"), "poll".to_owned()]);
    assert!(scene.after(Duration::ZERO).is_empty());
    scene.apply(Event::CleanedUp(1));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::Signal(15))]);
}

#[test]
fn a_second_signal_kills_all_workers_and_no_worker_is_started_meanwhile() {
    let mut scene = Scene::new(2, 2);
    assert_eq!(scene.poll_counts(1), ["spawn 2"]);
    scene.starts_worker(1);
    scene.worker_sends(1, FromWorker::Started);
    scene.worker_sends(1, FromWorker::Busy);
    assert_eq!(scene.apply(Event::Signal(2)), ["retire 1: monitor exit: signal 2 (interrupted)"]);
    assert_eq!(scene.starts_worker(2), ["retire 2: monitor exit: signal 2 (interrupted)"]);
    assert!(scene.poll_counts(3).is_empty());
    assert_eq!(scene.apply(Event::Signal(2)), ["kill 1", "kill 2", "poll"]);
    assert_eq!(scene.apply(Event::Signal(2)), [format!("finish {:?}", Finish::Signal(2))]);
}

#[test]
fn after_a_second_signal_a_monitor_without_database_exits_within_a_second() {
    let mut scene = Scene::idle(1);
    scene.apply(Event::Signal(15));
    assert!(scene.after(Duration::from_secs(1)).is_empty(), "the grace");
    assert_eq!(scene.apply(Event::Signal(15)), ["kill 1", "poll"]);
    scene.worker_dies(1);
    scene.apply(Event::Polled(Box::default()));
    assert!(scene.after(Duration::from_millis(999)).is_empty());
    let finish = [format!("finish {:?}", Finish::Signal(15))];
    assert_eq!(scene.after(Duration::from_millis(1)), finish);
}

#[test]
fn after_a_second_signal_a_monitor_waits_ten_seconds_for_a_database_that_replies() {
    let mut scene = Scene::idle(1);
    scene.apply(Event::Signal(15));
    scene.apply(Event::Signal(15));
    scene.worker_dies(1);
    for _ in 0..9 {
        // Each poll takes a second.
        assert!(scene.poll_gets(PollReply::default()).is_empty());
        assert!(scene.after(Duration::ZERO).is_empty());
    }
    let finish = [format!("finish {:?}", Finish::Signal(15))];
    scene.poll_gets(PollReply::default());
    assert_eq!(scene.after(Duration::ZERO), finish);
}

#[test]
fn a_worker_of_an_earlier_monitor_gets_the_grace_and_is_killed_after_it() {
    let mut scene = Scene::new(1, 1);
    scene.adopts(7);
    assert!(scene.apply(Event::Signal(15)).is_empty(), "it receives no message");
    assert!(scene.after(Duration::from_secs(24)).is_empty());
    assert_eq!(scene.after(Duration::from_secs(1)), ["kill 7", "poll"]);
    let (exit, output_tail) = (None, String::new());
    scene.state.apply(Event::Ended { worker: 7, exit, output_tail }, scene.now);
    let mut plans = scene.state.actions.iter().filter_map(|action| match action {
        Action::CleanUp { worker: 7, plan } => Some(plan.clone()),
        _ => None,
    });
    let plan = plans.next_back().unwrap();
    assert_eq!(plan.reason, "monitor exit: signal 15 (terminated)");
    assert_eq!(plan.run_reason, "aborted by the monitor's shutdown");
    assert_eq!(plan.outcome, Outcome::Drained);
    assert!(plan.sweep && !plan.recorded_by_others);
    scene.actions();
    assert!(scene.after(Duration::ZERO).is_empty(), "its end is being recorded");
    scene.apply(Event::CleanedUp(7));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::Signal(15))]);
}

#[test]
fn a_second_signal_kills_the_workers_of_earlier_monitors_too() {
    let mut scene = Scene::new(1, 1);
    scene.adopts(7);
    scene.apply(Event::Signal(15));
    assert_eq!(scene.apply(Event::Signal(15)), ["kill 7", "poll"]);
}

#[test]
fn a_monitor_that_lost_its_lease_does_not_wait_for_a_worker_with_its_own_lease() {
    let mut scene = Scene::new(1, 1);
    scene.adopts(7);
    scene.state.poll_plan(true);
    let reply = Some(PollReply::default());
    let poll = CompletedPoll { reply, ..CompletedPoll::default() };
    let lease_lost = Event::Polled(Box::new(poll));
    assert_eq!(scene.apply(lease_lost), ["disarm"]);
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::LeaseLost)]);
}

#[test]
fn a_monitor_that_lost_its_lease_kills_its_workers_and_records_nothing() {
    let mut scene = Scene::idle(1);
    scene.state.poll_plan(true);
    let reply = Some(PollReply::default());
    let poll = CompletedPoll { reply, ..CompletedPoll::default() };
    let lease_lost = Event::Polled(Box::new(poll));
    assert_eq!(scene.apply(lease_lost), ["disarm", "kill 1"]);
    let (exit, output_tail) = (Some(KILLED), String::new());
    scene.state.apply(Event::Ended { worker: 1, exit, output_tail }, scene.now);
    let is_cleanup_without_record = |action: &Action| matches!(action, Action::CleanUp { plan, .. } if plan.recorded_by_others && plan.sweep);
    assert!(scene.state.actions.iter().any(is_cleanup_without_record));
    scene.actions();
    scene.apply(Event::CleanedUp(1));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::LeaseLost)]);
}

#[test]
fn a_monitor_that_lost_its_lease_does_not_kill_workers_with_their_own_lease() {
    let mut scene = Scene::idle(2);
    scene.worker_sends(1, FromWorker::OwnLease);
    scene.state.poll_plan(true);
    let reply = Some(PollReply::default());
    let poll = CompletedPoll { reply, ..CompletedPoll::default() };
    let lease_lost = Event::Polled(Box::new(poll));
    assert_eq!(scene.apply(lease_lost), ["disarm", "kill 2"]);
}

#[test]
fn a_monitor_whose_end_was_requested_does_not_restart_after_the_loss_of_its_lease() {
    let mut scene = Scene::idle(1);
    scene.apply(Event::Signal(15));
    scene.state.end_without_lease(Finish::LeaseExpired, scene.now);
    assert!(!scene.state.drain.as_ref().unwrap().reexec());
    let mut scene = Scene::idle(1);
    scene.state.end_without_lease(Finish::LeaseExpired, scene.now);
    assert!(scene.state.drain.as_ref().unwrap().reexec());
    scene.apply(Event::Signal(15));
    assert!(!scene.state.drain.as_ref().unwrap().reexec(), "the signal came afterwards");
}
