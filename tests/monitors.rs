//! Monitors beside each other: one for each domain of a host, and the next one at once.

use nix::sys::signal::Signal;

use crate::support::{Installation, processes, wait};

#[test]
fn a_second_live_monitor_of_the_same_host_and_domain_is_refused() {
    let place = Installation::with_fixture();
    let first = place.monitor(&["--maxworkers", "1"]);
    let id: i64 = place.session().one("select id from rework.monitor", &[]);
    let mut second = place.unawaited_monitor(&["--domain", "default", "--maxworkers", "1"]);
    assert_eq!(second.exit_code(), Some(1));
    let said = second.said();
    for fact in [format!("monitor {id} "), first.pid().to_string(), "`default`".to_owned()] {
        assert!(said.contains(&fact), "no `{fact}` in {said}");
    }
    assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
    place.done(place.schedule("double", 1));
}

#[test]
fn monitors_of_other_domains_stand_side_by_side() {
    let place = Installation::with_fixture();
    let _one = place.monitor(&["--maxworkers", "1"]);
    let _other = place.awaited_monitor(&["--domain", "nondefault", "--maxworkers", "1"]);
    place.done(place.schedule("double", 1));
    place.done(place.schedule("other_dom", 1));
    let listed = place.rework(["list-monitors"]).ok().lines();
    assert_eq!(listed.len(), 2, "{listed:?}");
}

#[test]
fn a_dead_monitor_is_replaced_at_once() {
    let place = Installation::with_fixture();
    let mut first = place.monitor(&["--maxworkers", "1"]);
    place.done(place.schedule("double", 1));
    first.kill();
    let task = place.schedule("double", 2);
    let _second = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(task);
    // A lease would have been waited for for 20 seconds.
    let seconds = task.seconds() + (task.began() - task.queued_at).as_seconds_f64();
    assert!(seconds < 10.0, "{seconds} s");
    let ended: i64 = place
        .session()
        .one("select count(*) from rework.monitor where finished_at is not null", &[]);
    assert_eq!(ended, 1);
}

#[test]
fn a_stopped_monitor_is_not_taken_for_a_dead_one() {
    let place = Installation::with_fixture();
    let first = place.monitor(&["--maxworkers", "1"]);
    first.signal(Signal::SIGSTOP);
    let id: i64 = place.session().one("select id from rework.monitor", &[]);
    let _second = place.unawaited_monitor(&["--domain", "default"]);
    let live = "select id from rework.monitor where finished_at is null";
    wait::stays("the second one waits, or leaves", wait::A_WHILE, || {
        place.session().all::<i64>(live, &[]) == [id]
    });
    assert!(processes::is_alive(first.pid()));
    first.signal(Signal::SIGCONT);
    place.done(place.schedule("double", 1));
}
