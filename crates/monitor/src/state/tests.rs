//! Scenes of workers that are started, woken, retired, and die.

use std::time::Duration;

use rework_core::fleet::{
    monitor_poll::{PollReply, RunToAbort, WorkerRequest},
    stop_worker::StopMode,
};
use rework_wire::worker::FromWorker;

use super::scene::{Scene, waiting};
use crate::event::{CompletedPoll, Event, Notification};

#[test]
fn the_domain_of_an_idle_worker_is_published_and_the_worker_claims_again_after_the_commit() {
    let mut scene = Scene::new(1, 1);
    scene.starts_worker(1);
    assert_eq!(scene.worker_sends(1, FromWorker::Started), ["ready 1"]);
    assert_eq!(scene.worker_sends(1, FromWorker::Idle), ["publish default"]);
    assert_eq!(scene.apply(Event::Published(true)), ["wake 1"]);
    assert!(scene.worker_sends(1, FromWorker::Idle).is_empty());
}

#[test]
fn one_notification_wakes_one_worker_after_the_other_while_there_is_work() {
    let mut scene = Scene::idle(3);
    assert_eq!(scene.notify(), ["wake 1"]);
    assert_eq!(scene.worker_sends(1, FromWorker::Busy), ["wake 2"]);
    assert_eq!(scene.worker_sends(2, FromWorker::Busy), ["wake 3"]);
    assert!(scene.worker_sends(3, FromWorker::Idle).is_empty(), "no task is left");
    assert!(scene.worker_sends(1, FromWorker::Idle).is_empty());
}

#[test]
fn a_notification_without_idle_worker_is_kept_for_the_next_idle_worker() {
    let mut scene = Scene::idle(1);
    assert_eq!(scene.notify(), ["wake 1"]);
    assert!(scene.notify().is_empty(), "it is claiming already, perhaps too early");
    assert_eq!(scene.worker_sends(1, FromWorker::Idle), ["wake 1"]);
    assert!(scene.worker_sends(1, FromWorker::Idle).is_empty());
    let unknown = Event::Notified(Notification::Ready("elsewhere".to_owned()));
    assert!(scene.apply(unknown).is_empty());
}

#[test]
fn a_notification_causes_a_poll_if_the_pool_may_grow() {
    let mut scene = Scene::new(0, 2);
    assert_eq!(scene.notify(), ["poll"]);
    assert_eq!(scene.poll_counts(1), ["spawn 1"]);
    assert!(scene.poll_counts(1).is_empty(), "the worker is being started");
}

#[test]
fn a_poll_wakes_an_idle_worker_for_a_waiting_task_after_a_lost_notification() {
    let mut scene = Scene::idle(2);
    assert_eq!(scene.poll_counts(1), ["wake 1"]);
}

#[test]
fn workers_that_claimed_the_waiting_tasks_are_not_started_twice() {
    let mut scene = Scene::new(1, 4);
    assert_eq!(scene.poll_counts(0), ["spawn 1"]);
    scene.starts_worker(1);
    scene.worker_sends(1, FromWorker::Started);
    scene.worker_sends(1, FromWorker::Busy);
    assert!(scene.poll_counts(0).is_empty(), "one task runs, none waits");
    assert_eq!(scene.poll_counts(2), ["spawn 2"]);
    for worker in [2, 3] {
        scene.starts_worker(worker);
        scene.worker_sends(worker, FromWorker::Started);
    }
    // The poll is sent, then the two workers claim their tasks, and the reply still counts these tasks.
    scene.state.poll_plan(true);
    scene.worker_sends(2, FromWorker::Busy);
    scene.worker_sends(3, FromWorker::Busy);
    let reply = Some(PollReply { renewals: Some(0), waiting: waiting(2), ..PollReply::default() });
    let stale = CompletedPoll { regular: true, reply, ..CompletedPoll::default() };
    assert!(scene.apply(Event::Polled(Box::new(stale))).is_empty());
    assert_eq!(scene.poll_counts(2), ["spawn 1"], "two more tasks, room for one worker");
    scene.starts_worker(4);
    scene.worker_sends(4, FromWorker::Started);
    scene.worker_sends(4, FromWorker::Busy);
    assert!(scene.poll_counts(1).is_empty(), "one task stays queued");
    for worker in [1, 2, 3, 4] {
        scene.worker_sends(worker, FromWorker::Idle);
    }
    scene.apply(Event::Published(true));
    scene.worker_sends(1, FromWorker::Idle);
    assert_eq!(scene.poll_counts(0), ["retire 4: explicit shutdown"], "one worker for each poll");
    assert_eq!(scene.poll_counts(0), ["retire 3: explicit shutdown"]);
    assert_eq!(scene.poll_counts(0), ["retire 2: explicit shutdown"]);
    assert!(scene.poll_counts(0).is_empty());
}

#[test]
fn a_worker_that_does_not_start_in_time_is_killed_and_replaced() {
    let mut scene = Scene::new(1, 1);
    assert_eq!(scene.poll_counts(0), ["spawn 1"]);
    scene.starts_worker(1);
    assert_eq!(scene.state.deadline(), Some(scene.now + Duration::from_secs(10)));
    assert!(scene.after(Duration::from_millis(9999)).is_empty());
    assert_eq!(scene.after(Duration::from_millis(1)), ["kill 1"]);
    assert!(scene.after(Duration::from_secs(1)).is_empty(), "once");
    assert_eq!(scene.worker_dies(1), ["clean up 1: timeout while starting", "poll"]);
    assert_eq!(scene.poll_counts(0), ["spawn 1"]);
}

#[test]
fn workers_that_die_at_their_start_are_started_more_slowly() {
    let mut scene = Scene::new(1, 1);
    assert_eq!(scene.poll_counts(0), ["spawn 1"]);
    scene.starts_worker(1);
    scene.worker_dies(1);
    let again = CompletedPoll {
        regular: false,
        reply: Some(PollReply { renewals: Some(0), ..PollReply::default() }),
        ..CompletedPoll::default()
    };
    scene.state.poll_plan(false);
    assert!(scene.apply(Event::Polled(Box::new(again))).is_empty());
    assert_eq!(scene.poll_counts(0), ["spawn 1"], "a second later");
}

#[test]
fn a_request_to_stop_a_worker_is_carried_out_once() {
    let mut scene = Scene::idle(3);
    let request = |worker, requested| WorkerRequest { worker, requested };
    let both = vec![request(1, StopMode::Shutdown), request(2, StopMode::Kill)];
    let reply = PollReply { worker_requests: both, ..PollReply::default() };
    assert_eq!(scene.poll_gets(reply.clone()), ["retire 1: explicit shutdown", "kill 2"]);
    assert!(scene.poll_gets(reply).is_empty());
    assert_eq!(scene.worker_dies(2), ["clean up 2: killed by kill-worker", "poll"]);
    assert_eq!(scene.notify(), ["wake 3"], "the other workers claim no more tasks");
}

#[test]
fn an_abort_is_sent_to_the_worker_that_has_the_run() {
    let mut scene = Scene::idle(1);
    scene.adopts(7);
    let abort = |worker| RunToAbort {
        worker,
        task: 5,
        run: 2,
        requested: true,
        reason: Some("aborted by me".to_owned()),
    };
    let reply = PollReply { aborts: vec![abort(1), abort(7), abort(99)], ..PollReply::default() };
    assert_eq!(scene.poll_gets(reply), ["abort 5 of 1: aborted by me"]);
}

#[test]
fn a_worker_of_an_earlier_monitor_counts_and_receives_no_message() {
    let mut scene = Scene::new(2, 2);
    scene.adopts(7);
    assert_eq!(scene.poll_counts(5), ["spawn 1"]);
    assert_eq!(scene.state.poll_plan(true).workers, [7]);
    assert!(scene.apply(Event::Signal(15)).is_empty());
}

#[test]
fn a_claim_that_becomes_visible_after_the_death_of_its_worker_is_recorded() {
    let mut scene = Scene::idle(1);
    scene.worker_dies(1);
    assert!(scene.state.poll_plan(true).dead_workers.is_empty(), "its end is being recorded");
    scene.apply(Event::CleanedUp(1));
    assert_eq!(scene.state.poll_plan(true).dead_workers, [1]);
    let reply = PollReply { late_claims: vec![1], ..PollReply::default() };
    assert!(scene.poll_gets(reply).contains(&"record late claim of 1".to_owned()));
    scene.after(Duration::from_secs(60));
    assert!(scene.state.poll_plan(true).dead_workers.is_empty());
}

#[test]
fn new_domains_are_taken_and_get_workers() {
    let mut scene = Scene::new(1, 1);
    scene.poll_counts(0);
    let reply = PollReply { new_domains: vec!["images".to_owned()], ..PollReply::default() };
    assert_eq!(scene.poll_gets(reply), ["take images"]);
    let taken = Event::DomainsTaken(vec!["default".to_owned(), "images".to_owned()]);
    assert_eq!(scene.apply(taken), ["poll"]);
    assert_eq!(scene.poll_counts(0), ["spawn 1"]);
    assert_eq!(scene.state.pools["images"].spawning, 1);
}

#[test]
fn after_a_recovery_the_monitor_reports_when_all_workers_have_compared_their_runs() {
    let mut scene = Scene::idle(2);
    let reply = PollReply { recovery: Some(7), ..PollReply::default() };
    let check = |worker: i64| format!("send {worker}: CheckRuns {{ recovery: 7 }}");
    assert_eq!(scene.poll_gets(reply.clone()), [check(1), check(2)]);
    let checked = |recovery| FromWorker::RunsChecked { recovery, is_complete: true };
    assert!(scene.worker_sends(1, checked(7)).is_empty());
    assert_eq!(scene.state.poll_plan(true).checked_recovery, None);
    assert!(scene.worker_sends(2, checked(6)).is_empty(), "of an earlier recovery");
    assert_eq!(scene.worker_sends(2, checked(7)), ["poll"]);
    assert_eq!(scene.state.poll_plan(true).checked_recovery, Some(7));
    assert!(scene.poll_gets(reply).is_empty(), "other hosts are not ready");
    scene.poll_gets(PollReply::default());
    assert_eq!(scene.state.poll_plan(true).checked_recovery, None);
}

#[test]
fn a_worker_whose_claims_are_lost_is_killed_before_the_monitor_reports() {
    let mut scene = Scene::idle(1);
    scene.poll_gets(PollReply { recovery: Some(7), ..PollReply::default() });
    let lost = FromWorker::RunsChecked { recovery: 7, is_complete: false };
    assert_eq!(scene.worker_sends(1, lost), ["kill 1"]);
    let reason = "the database has lost its last transactions";
    assert_eq!(scene.worker_dies(1), [format!("clean up 1: {reason}"), "poll".to_owned()]);
    assert_eq!(scene.state.poll_plan(true).checked_recovery, None, "its processes may still run");
    assert_eq!(scene.apply(Event::ProcessesGone(1)), ["poll"]);
    assert_eq!(scene.state.poll_plan(true).checked_recovery, Some(7));
}

#[test]
fn a_monitor_whose_renewals_have_gone_back_kills_its_workers_and_starts_again() {
    let mut scene = Scene::idle(1);
    scene.poll_gets(PollReply { renewals: Some(5), ..PollReply::default() });
    assert_eq!(scene.state.poll_plan(true).known_renewals, 5);
    let reply = Some(PollReply { renewals: Some(4), ..PollReply::default() });
    let poll = CompletedPoll { reply, ..CompletedPoll::default() };
    let actions = scene.apply(Event::Polled(Box::new(poll)));
    assert_eq!(actions, ["disarm", "kill 1"]);
    assert!(scene.state.drain.as_ref().is_some_and(crate::state::drain::Drain::reexec));
}

#[test]
fn idle_workers_give_their_connections_back_when_others_cannot_connect() {
    let mut scene = Scene::idle(2);
    assert_eq!(scene.notify(), ["wake 1"]);
    assert_eq!(scene.worker_sends(1, FromWorker::NoConnection), ["send 2: CloseConnection"]);
    assert!(scene.apply(Event::ConnectionRefused).is_empty(), "not twice in a second");
    scene.after(Duration::from_secs(1));
    assert_eq!(scene.apply(Event::ConnectionRefused), ["send 2: CloseConnection"]);
}

#[test]
fn an_overdue_statement_of_a_worker_is_shown_for_a_minute() {
    let mut scene = Scene::idle(1);
    let statement = "a claim".to_owned();
    scene.worker_sends(1, FromWorker::Overdue { statement });
    let shown = scene.state.overdue_statements.recent(scene.now);
    assert_eq!(shown["worker 1"], "a claim");
    scene.after(Duration::from_secs(60));
    assert!(scene.state.overdue_statements.recent(scene.now).is_empty());
}

#[test]
fn a_poll_that_missed_its_deadline_twice_is_shown_and_the_next_one_counts_no_tasks() {
    let mut scene = Scene::idle(1);
    scene.apply(Event::PollMissedDeadline);
    assert!(!scene.state.poll_plan(true).count_ready.is_empty());
    assert!(scene.state.overdue_statements.recent(scene.now).is_empty());
    scene.apply(Event::PollMissedDeadline);
    assert!(scene.state.poll_plan(true).count_ready.is_empty());
    assert_eq!(scene.state.overdue_statements.recent(scene.now)["monitor"], "its poll");
    scene.poll_gets(PollReply::default());
    assert!(!scene.state.poll_plan(true).count_ready.is_empty());
}
