//! Monitors beside each other: one for each domain of a host, and the next one at once.

use std::io::{Read as _, Write as _};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Stop};
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture};
use crate::support::{processes, wait};

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

/// What a monitor answers over HTTP: the status, and the document.
fn asked(address: &str, path: &str) -> (u16, Value) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn health_and_readiness_are_told_over_http() {
    let mut cluster = Cluster::new();
    let place = Installation::on(Database::on(&cluster));
    place.register([fixture()]);
    let monitor = place.monitor(&["--maxworkers", "1", "--listen", "127.0.0.1:0"]);
    let said = monitor.said();
    let address = said.split("http://").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    place.until("it is ready", || asked(address, "/ready").0 == 200);
    place.done(place.schedule("double", 1));
    assert_eq!(asked(address, "/health"), (200, json!({"healthy": true, "neglected_seconds": {}})));
    assert_eq!(asked(address, "/nothing").0, 404);
    // Work waits, its worker is idle, and nothing can be claimed.
    place.session().run(
        "create function public.no_claim() returns trigger language plpgsql as
         $$ begin raise exception 'not now'; end $$;
         create trigger no_claim before update on rework.task for each row
            when (new.state = 'running') execute function public.no_claim()",
    );
    let task = place.schedule("double", 2);
    place.until("it is unhealthy", || asked(address, "/health").0 == 503);
    let (_, told) = asked(address, "/health");
    assert!(told["neglected_seconds"]["default"].as_u64().unwrap() >= 15, "{told}");
    assert_eq!(asked(address, "/ready").0, 200);
    place.session().run("drop trigger no_claim on rework.task");
    place.done(task);
    place.until("it is healthy again", || asked(address, "/health").0 == 200);
    cluster.stop(Stop::Fast);
    wait::until("it is not ready", String::new, || asked(address, "/ready").0 == 503);
    assert_eq!(asked(address, "/health").0, 200, "to start it anew would mend nothing");
    cluster.start();
    place.until("it is ready again", || asked(address, "/ready").0 == 200);
    let mut second = place.unawaited_monitor(&["--domain", "other", "--listen", address]);
    assert_eq!(second.exit_code(), Some(1));
    let said = second.said();
    assert!(said.contains("cannot listen on") && said.contains("hint: "), "{said}");
}
