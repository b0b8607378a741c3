//! Scenes: events in, actions out, no process and no database.

use std::time::{Duration, Instant};

use rework_core::{
    control::{AbortCause, FromWorker, ToWorker},
    tick::{Abort, Answer, Asked, Waiting, Wish},
};
use rework_process::Exit;

use super::*;
use crate::event::{Finish, Hint, Look};

const KILLED: Exit = Exit::Signal { signal: 9, core: false };

/// A state and its clock.
struct Scene {
    state: State,
    now: Instant,
}

impl Scene {
    fn new(min: u32, max: u32) -> Scene {
        let (timeout, grace) = (Duration::from_secs(10), Some(Duration::from_secs(25)));
        let domains = vec!["default".to_owned()];
        let state = State::new(Bounds { min, max }, timeout, grace, domains);
        Scene { state, now: Instant::now() }
    }

    /// With idle workers 1, 2, …, whose domain is published.
    fn idle(workers: i64) -> Scene {
        let mut scene = Scene::new(workers as u32, workers as u32);
        for worker in 1..=workers {
            scene.is_born(worker);
            scene.says(worker, FromWorker::Up);
            scene.says(worker, FromWorker::Idle);
        }
        scene.apply(Event::Published(true));
        scene.says(1, FromWorker::Idle);
        scene
    }

    fn apply(&mut self, event: Event) -> Vec<String> {
        self.state.apply(event, self.now);
        self.actions()
    }

    fn after(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.state.on_time(self.now);
        self.actions()
    }

    fn is_born(&mut self, worker: i64) -> Vec<String> {
        self.apply(Event::Born { worker, domain: "default".to_owned() })
    }

    fn says(&mut self, worker: i64, message: FromWorker) -> Vec<String> {
        self.apply(Event::Said(worker, message))
    }

    fn hint(&mut self) -> Vec<String> {
        self.apply(Event::Hint(Hint::Ready("default".to_owned())))
    }

    fn dies(&mut self, worker: i64) -> Vec<String> {
        let (exit, last_words) = (Some(KILLED), String::new());
        self.apply(Event::Ended { worker, exit, last_words })
    }

    fn looks(&mut self, tasks: i64) -> Vec<String> {
        self.sees(Answer { waiting: waiting(tasks), ..Answer::default() })
    }

    /// A look of its second, and its answer.
    fn sees(&mut self, answer: Answer) -> Vec<String> {
        self.now += Duration::from_secs(1);
        let told_wants = self.state.question(true).wants.is_some();
        let answer = Some(Answer { held: true, ..answer });
        self.apply(Event::Seen(Look { standing: true, renewed: false, told_wants, answer }))
    }

    fn actions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.state.actions).iter().map(brief).collect()
    }
}

fn waiting(tasks: i64) -> Vec<Waiting> {
    let domain = "default".to_owned();
    (tasks > 0).then_some(Waiting { domain, tasks }).into_iter().collect()
}

fn brief(action: &Action) -> String {
    match action {
        Action::Tell(id, ToWorker::Wake) => format!("wake {id}"),
        Action::Tell(id, ToWorker::Retire { reason }) => format!("retire {id}: {reason}"),
        Action::Tell(id, ToWorker::Abort { task, cause: AbortCause::Asked, reason, .. }) => {
            format!("abort {task} of {id}: {reason}")
        }
        Action::Tell(id, ToWorker::Abort { task, reason, .. }) => {
            format!("drain {task} of {id}: {reason}")
        }
        Action::Tell(id, message) => format!("tell {id}: {message:?}"),
        Action::Kill(id) => format!("kill {id}"),
        Action::NoteUp(id) => format!("up {id}"),
        Action::Spawn { count, .. } => format!("spawn {count}"),
        Action::Close { worker, closing } => format!("close {worker}: {}", closing.reason),
        Action::CloseAgain(worker) => format!("close {worker} again"),
        Action::Publish(domains) => format!("publish {}", domains.join(" ")),
        Action::Look => "look".to_owned(),
        Action::Take(domains) => format!("take {}", domains.join(" ")),
        Action::Finish(finish) => format!("finish {finish:?}"),
    }
}

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
    assert_eq!(scene.hint(), ["look"]);
    assert_eq!(scene.looks(1), ["spawn 1"]);
    assert!(scene.looks(1).is_empty(), "it is on its way");
}

#[test]
fn a_task_that_waits_beside_an_idle_worker_wakes_it_though_the_hint_was_lost() {
    let mut scene = Scene::idle(2);
    assert_eq!(scene.looks(1), ["wake 1"]);
}

#[test]
fn rw11_workers_that_took_what_waited_are_not_started_twice() {
    let mut scene = Scene::new(1, 4);
    assert_eq!(scene.looks(0), ["spawn 1"]);
    scene.is_born(1);
    scene.says(1, FromWorker::Up);
    scene.says(1, FromWorker::Busy);
    assert!(scene.looks(0).is_empty(), "one runs, none waits");
    assert_eq!(scene.looks(2), ["spawn 2"]);
    for worker in [2, 3] {
        scene.is_born(worker);
        scene.says(worker, FromWorker::Up);
    }
    // The look goes out, the two take their tasks, and the answer still counts these.
    scene.state.question(true);
    scene.says(2, FromWorker::Busy);
    scene.says(3, FromWorker::Busy);
    let answer = Some(Answer { held: true, waiting: waiting(2), ..Answer::default() });
    let stale = Look { standing: true, answer, ..Look::default() };
    assert!(scene.apply(Event::Seen(stale)).is_empty());
    assert_eq!(scene.looks(2), ["spawn 1"], "two more, room for one");
    scene.is_born(4);
    scene.says(4, FromWorker::Up);
    scene.says(4, FromWorker::Busy);
    assert!(scene.looks(1).is_empty(), "one stays queued");
    for worker in [1, 2, 3, 4] {
        scene.says(worker, FromWorker::Idle);
    }
    scene.apply(Event::Published(true));
    scene.says(1, FromWorker::Idle);
    assert_eq!(scene.looks(0), ["retire 4: explicit shutdown"], "one at a look");
    assert_eq!(scene.looks(0), ["retire 3: explicit shutdown"]);
    assert_eq!(scene.looks(0), ["retire 2: explicit shutdown"]);
    assert!(scene.looks(0).is_empty());
}

#[test]
fn rw15_a_worker_that_does_not_come_up_is_killed_and_replaced() {
    let mut scene = Scene::new(1, 1);
    assert_eq!(scene.looks(0), ["spawn 1"]);
    scene.is_born(1);
    assert_eq!(scene.state.deadline(), Some(scene.now + Duration::from_secs(10)));
    assert!(scene.after(Duration::from_millis(9999)).is_empty());
    assert_eq!(scene.after(Duration::from_millis(1)), ["kill 1"]);
    assert!(scene.after(Duration::from_secs(1)).is_empty(), "once");
    assert_eq!(scene.dies(1), ["close 1: timeout while starting", "look"]);
    assert_eq!(scene.looks(0), ["spawn 1"]);
}

#[test]
fn workers_that_die_at_birth_are_started_more_slowly() {
    let mut scene = Scene::new(1, 1);
    assert_eq!(scene.looks(0), ["spawn 1"]);
    scene.is_born(1);
    scene.dies(1);
    let again = Look {
        standing: false,
        answer: Some(Answer { held: true, ..Answer::default() }),
        ..Look::default()
    };
    scene.state.question(false);
    assert!(scene.apply(Event::Seen(again)).is_empty());
    assert_eq!(scene.looks(0), ["spawn 1"], "a second later");
}

#[test]
fn what_is_asked_of_a_worker_is_passed_on_once() {
    let mut scene = Scene::idle(3);
    let asked = |worker, asked| Asked { worker, asked };
    let both = vec![asked(1, Wish::Shutdown), asked(2, Wish::Kill)];
    let answer = Answer { asked: both, ..Answer::default() };
    assert_eq!(scene.sees(answer.clone()), ["retire 1: explicit shutdown", "kill 2"]);
    assert!(scene.sees(answer).is_empty());
    assert_eq!(scene.dies(2), ["close 2: killed by kill-worker", "look"]);
    assert_eq!(scene.hint(), ["wake 3"], "the others claim nothing any more");
}

#[test]
fn aborts_reach_the_worker_that_has_the_run() {
    let mut scene = Scene::idle(1);
    let orphan = Event::Adopted { worker: 7, domain: "default".to_owned() };
    scene.apply(orphan);
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
    scene.apply(Event::Adopted { worker: 7, domain: "default".to_owned() });
    assert_eq!(scene.looks(5), ["spawn 1"]);
    assert_eq!(scene.state.question(true).workers, [7]);
    assert!(scene.apply(Event::Signal(15)).is_empty());
}

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
    assert!(!scene.state.question(true).abort_all);
    scene.says(2, FromWorker::Leaving { reason: why.to_owned() });
    let (exit, last_words) = (Some(Exit::Code(0)), String::new());
    let left = scene.apply(Event::Ended { worker: 2, exit, last_words });
    assert_eq!(left, [format!("close 2: {why}"), "look".to_owned()]);
    assert!(scene.apply(Event::Closed(2)).is_empty());
    assert_eq!(scene.after(Duration::from_secs(25)), ["look"]);
    assert!(scene.state.question(true).abort_all);
    let run = Abort { worker: 1, task: 5, run: 1, asked: false, reason: None };
    let answer = Answer { aborts: vec![run], ..Answer::default() };
    assert_eq!(scene.sees(answer), ["drain 5 of 1: aborted by the monitor's shutdown"]);
    assert_eq!(scene.after(Duration::from_secs(10)), ["kill 1"]);
    assert_eq!(scene.dies(1), [format!("close 1: {why}"), "look".to_owned()]);
    assert!(scene.after(Duration::ZERO).is_empty());
    scene.apply(Event::Closed(1));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::Asked(15))]);
}

#[test]
fn a_second_signal_ends_the_grace_and_nobody_is_started_meanwhile() {
    let mut scene = Scene::new(2, 2);
    assert_eq!(scene.looks(1), ["spawn 2"]);
    scene.is_born(1);
    scene.says(1, FromWorker::Up);
    scene.says(1, FromWorker::Busy);
    assert_eq!(scene.apply(Event::Signal(2)), ["retire 1: monitor exit: signal 2 (interrupted)"]);
    assert_eq!(scene.is_born(2), ["retire 2: monitor exit: signal 2 (interrupted)"]);
    assert!(scene.looks(3).is_empty());
    assert_eq!(scene.apply(Event::Signal(2)), ["look"]);
    assert_eq!(scene.apply(Event::Signal(2)), ["kill 1", "kill 2"]);
    assert_eq!(scene.apply(Event::Signal(2)), [format!("finish {:?}", Finish::Asked(2))]);
}

#[test]
fn without_its_lease_a_monitor_kills_its_workers_and_records_nothing() {
    let mut scene = Scene::idle(1);
    scene.state.question(true);
    let answer = Some(Answer { held: false, ..Answer::default() });
    assert_eq!(scene.apply(Event::Seen(Look { answer, ..Look::default() })), ["kill 1"]);
    let (exit, last_words) = (Some(KILLED), String::new());
    scene.state.apply(Event::Ended { worker: 1, exit, last_words }, scene.now);
    let closed = scene.state.actions.iter().any(
        |action| matches!(action, Action::Close { closing, .. } if closing.silent && closing.sweep),
    );
    assert!(closed);
    scene.actions();
    scene.apply(Event::Closed(1));
    assert_eq!(scene.after(Duration::ZERO), [format!("finish {:?}", Finish::LeaseLost)]);
}

#[test]
fn a_claim_that_comes_to_light_after_its_worker_died_is_recorded() {
    let mut scene = Scene::idle(1);
    scene.dies(1);
    assert!(scene.state.question(true).dead.is_empty(), "it is being recorded");
    scene.apply(Event::Closed(1));
    assert_eq!(scene.state.question(true).dead, [1]);
    let answer = Answer { stray: vec![1], ..Answer::default() };
    assert!(scene.sees(answer).contains(&"close 1 again".to_owned()));
    scene.after(Duration::from_secs(60));
    assert!(scene.state.question(true).dead.is_empty());
}

#[test]
fn new_domains_are_taken_and_get_workers() {
    let mut scene = Scene::new(1, 1);
    scene.looks(0);
    let answer = Answer { found: vec!["images".to_owned()], ..Answer::default() };
    assert_eq!(scene.sees(answer), ["take images"]);
    let serves = Event::Serves(vec!["default".to_owned(), "images".to_owned()]);
    assert_eq!(scene.apply(serves), ["look"]);
    assert_eq!(scene.looks(0), ["spawn 1"]);
    assert_eq!(scene.state.pools["images"].spawning, 1);
}
