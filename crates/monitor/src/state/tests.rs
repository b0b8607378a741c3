//! Scenes of workers that are woken, started, asked to leave, and die.

use std::time::Duration;

use rework_core::fleet::heartbeat::{Abort, Answer, Asked, Wish};
use rework_wire::worker::FromWorker;

use super::scene::{Scene, waiting};
use crate::event::{Event, Hint, Poll};

#[test]
fn an_idle_worker_is_published_and_looks_again_after_the_commit() {
    let mut scene = Scene::new(1, 1);
    scene.is_born(1);
    assert_eq!(scene.says(1, FromWorker::Up), ["up 1"]);
    assert_eq!(scene.says(1, FromWorker::Idle), ["publish default"]);
    assert_eq!(scene.apply(Event::Published(true)), ["wake 1"]);
    assert!(scene.says(1, FromWorker::Idle).is_empty());
}

#[test]
fn one_hint_wakes_one_worker_after_the_other_while_there_is_work() {
    let mut scene = Scene::idle(3);
    assert_eq!(scene.hint(), ["wake 1"]);
    assert_eq!(scene.says(1, FromWorker::Busy), ["wake 2"]);
    assert_eq!(scene.says(2, FromWorker::Busy), ["wake 3"]);
    assert!(scene.says(3, FromWorker::Idle).is_empty(), "nothing left");
    assert!(scene.says(1, FromWorker::Idle).is_empty());
}

#[test]
fn a_hint_for_which_nobody_is_idle_is_kept_for_the_first_who_is() {
    let mut scene = Scene::idle(1);
    assert_eq!(scene.hint(), ["wake 1"]);
    assert!(scene.hint().is_empty(), "it looks already, perhaps too early");
    assert_eq!(scene.says(1, FromWorker::Idle), ["wake 1"]);
    assert!(scene.says(1, FromWorker::Idle).is_empty());
    let unknown = Event::Hint(Hint::Ready("elsewhere".to_owned()));
    assert!(scene.apply(unknown).is_empty());
}

#[test]
fn a_hint_that_a_larger_pool_could_follow_is_looked_at() {
    let mut scene = Scene::new(0, 2);
    assert_eq!(scene.hint(), ["poll"]);
    assert_eq!(scene.polls(1), ["spawn 1"]);
    assert!(scene.polls(1).is_empty(), "it is on its way");
}

#[test]
fn a_task_that_waits_beside_an_idle_worker_wakes_it_though_the_hint_was_lost() {
    let mut scene = Scene::idle(2);
    assert_eq!(scene.polls(1), ["wake 1"]);
}

#[test]
fn rw11_workers_that_took_what_waited_are_not_started_twice() {
    let mut scene = Scene::new(1, 4);
    assert_eq!(scene.polls(0), ["spawn 1"]);
    scene.is_born(1);
    scene.says(1, FromWorker::Up);
    scene.says(1, FromWorker::Busy);
    assert!(scene.polls(0).is_empty(), "one runs, none waits");
    assert_eq!(scene.polls(2), ["spawn 2"]);
    for worker in [2, 3] {
        scene.is_born(worker);
        scene.says(worker, FromWorker::Up);
    }
    // The poll goes out, the two take their tasks, and the answer still counts these.
    scene.state.poll_request(true);
    scene.says(2, FromWorker::Busy);
    scene.says(3, FromWorker::Busy);
    let answer = Some(Answer { held: true, waiting: waiting(2), ..Answer::default() });
    let stale = Poll { regular: true, answer, ..Poll::default() };
    assert!(scene.apply(Event::Polled(stale)).is_empty());
    assert_eq!(scene.polls(2), ["spawn 1"], "two more, room for one");
    scene.is_born(4);
    scene.says(4, FromWorker::Up);
    scene.says(4, FromWorker::Busy);
    assert!(scene.polls(1).is_empty(), "one stays queued");
    for worker in [1, 2, 3, 4] {
        scene.says(worker, FromWorker::Idle);
    }
    scene.apply(Event::Published(true));
    scene.says(1, FromWorker::Idle);
    assert_eq!(scene.polls(0), ["retire 4: explicit shutdown"], "one at a poll");
    assert_eq!(scene.polls(0), ["retire 3: explicit shutdown"]);
    assert_eq!(scene.polls(0), ["retire 2: explicit shutdown"]);
    assert!(scene.polls(0).is_empty());
}

#[test]
fn rw15_a_worker_that_does_not_come_up_is_killed_and_replaced() {
    let mut scene = Scene::new(1, 1);
    assert_eq!(scene.polls(0), ["spawn 1"]);
    scene.is_born(1);
    assert_eq!(scene.state.deadline(), Some(scene.now + Duration::from_secs(10)));
    assert!(scene.after(Duration::from_millis(9999)).is_empty());
    assert_eq!(scene.after(Duration::from_millis(1)), ["kill 1"]);
    assert!(scene.after(Duration::from_secs(1)).is_empty(), "once");
    assert_eq!(scene.dies(1), ["clean up 1: timeout while starting", "poll"]);
    assert_eq!(scene.polls(0), ["spawn 1"]);
}

#[test]
fn workers_that_die_at_birth_are_started_more_slowly() {
    let mut scene = Scene::new(1, 1);
    assert_eq!(scene.polls(0), ["spawn 1"]);
    scene.is_born(1);
    scene.dies(1);
    let again = Poll {
        regular: false,
        answer: Some(Answer { held: true, ..Answer::default() }),
        ..Poll::default()
    };
    scene.state.poll_request(false);
    assert!(scene.apply(Event::Polled(again)).is_empty());
    assert_eq!(scene.polls(0), ["spawn 1"], "a second later");
}

#[test]
fn what_is_asked_of_a_worker_is_passed_on_once() {
    let mut scene = Scene::idle(3);
    let asked = |worker, asked| Asked { worker, asked };
    let both = vec![asked(1, Wish::Shutdown), asked(2, Wish::Kill)];
    let answer = Answer { asked: both, ..Answer::default() };
    assert_eq!(scene.sees(answer.clone()), ["retire 1: explicit shutdown", "kill 2"]);
    assert!(scene.sees(answer).is_empty());
    assert_eq!(scene.dies(2), ["clean up 2: killed by kill-worker", "poll"]);
    assert_eq!(scene.hint(), ["wake 3"], "the others claim nothing any more");
}

#[test]
fn aborts_reach_the_worker_that_has_the_run() {
    let mut scene = Scene::idle(1);
    scene.adopts(7);
    let abort = |worker| Abort {
        worker,
        task: 5,
        run: 2,
        asked: true,
        reason: Some("aborted by me".to_owned()),
    };
    let answer = Answer { aborts: vec![abort(1), abort(7), abort(99)], ..Answer::default() };
    assert_eq!(scene.sees(answer), ["abort 5 of 1: aborted by me"]);
}

#[test]
fn a_worker_of_an_earlier_monitor_counts_and_is_never_told_anything() {
    let mut scene = Scene::new(2, 2);
    scene.adopts(7);
    assert_eq!(scene.polls(5), ["spawn 1"]);
    assert_eq!(scene.state.poll_request(true).workers, [7]);
    assert!(scene.apply(Event::Signal(15)).is_empty());
}

#[test]
fn a_claim_that_comes_to_light_after_its_worker_died_is_recorded() {
    let mut scene = Scene::idle(1);
    scene.dies(1);
    assert!(scene.state.poll_request(true).dead.is_empty(), "it is being recorded");
    scene.apply(Event::CleanedUp(1));
    assert_eq!(scene.state.poll_request(true).dead, [1]);
    let answer = Answer { stray: vec![1], ..Answer::default() };
    assert!(scene.sees(answer).contains(&"record late claim of 1".to_owned()));
    scene.after(Duration::from_secs(60));
    assert!(scene.state.poll_request(true).dead.is_empty());
}

#[test]
fn new_domains_are_taken_and_get_workers() {
    let mut scene = Scene::new(1, 1);
    scene.polls(0);
    let answer = Answer { found: vec!["images".to_owned()], ..Answer::default() };
    assert_eq!(scene.sees(answer), ["take images"]);
    let serves = Event::Serves(vec!["default".to_owned(), "images".to_owned()]);
    assert_eq!(scene.apply(serves), ["poll"]);
    assert_eq!(scene.polls(0), ["spawn 1"]);
    assert_eq!(scene.state.pools["images"].spawning, 1);
}
