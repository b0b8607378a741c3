//! Lanes: what a host serves is found by ranges of their numbers, so that a claim costs the same however
//! many operations there are, and no lane is ever outside of them.

use serde_json::Value;

use crate::support::fleet::{end_it, operations, worker_of_a};
use crate::support::installation::Installation;
use crate::support::invariants;
use crate::support::session::Session;

/// Pages that a claim of host `a` reads where nothing is ready, by its own plans.
fn pages(session: &Session) -> i64 {
    let claim = "select * from rework.claim(1, 1, 1, 'a', 'many', '{}')";
    session.run(&format!("{claim}; {claim}"));
    let sql = format!("explain (analyze, buffers, format json) {claim}");
    let plan: Value = session.one(&sql, &[]);
    plan[0]["Plan"]["Shared Hit Blocks"].as_i64().expect("it reads some")
}

#[test]
fn a_claim_reads_as_much_with_many_operations_as_with_few() {
    let place = Installation::new();
    let session = place.session();
    worker_of_a(session);
    operations(session, 1, 2, &["a", "b"]);
    let few = pages(session);
    operations(session, 3, 3_000, &["a", "b"]);
    session.run("vacuum analyze");
    let many = pages(session);
    // Indexes are a page higher, that is all.
    assert!(many <= few + 8, "{few} pages with two operations, {many} with 3,000");
    end_it(session);
}

/// The ranges of a host, as (number of ranges, lanes in them).
fn ranges(session: &Session, host: &str) -> (i64, i64) {
    let count = "select count(*) from rework.served where host = $1";
    let lanes = "select count(*) from rework.lane
                   join rework.served on lane.id between low and high where served.host = $1";
    (session.one(count, &[&host]), session.one(lanes, &[&host]))
}

#[test]
fn ranges_follow_what_is_registered() {
    let place = Installation::new();
    let session = place.session();
    operations(session, 1, 100, &["a", "b"]);
    assert_eq!(ranges(session, "a"), (1, 100));
    operations(session, 101, 150, &["b"]);
    assert_eq!((ranges(session, "a"), ranges(session, "b")), ((1, 100), (1, 150)));
    session.run(
        "delete from rework.placement p using rework.operation o
          where o.id = p.operation and p.host = 'a' and o.name = 'operation_50'",
    );
    assert_eq!(ranges(session, "a"), (2, 99));
    // A lane of its own for what needs a host, or something of it.
    let task =
        "select rework.schedule('operation_1', domain => 'many', host => $1, capabilities => $2)";
    for (host, capabilities) in [(None, vec!["gpu"]), (Some("a"), vec![]), (Some("b"), vec![])] {
        session.one::<i64>(task, &[&host, &capabilities]);
        session.one::<i64>(task, &[&host, &capabilities]);
    }
    assert_eq!((ranges(session, "a"), ranges(session, "b")), ((4, 101), (3, 152)));
    session.run("delete from rework.placement where host = 'a'");
    assert_eq!((ranges(session, "a"), ranges(session, "b")), ((0, 0), (3, 152)));
}

#[test]
fn a_lane_and_a_placement_made_at_the_same_moment_are_found_later() {
    let place = Installation::new();
    let session = place.session();
    operations(session, 1, 1, &["b"]);
    let other = Session::open(place.dsn());
    other.run(
        "begin; select rework.schedule('operation_1', domain => 'many', capabilities => '{gpu}')",
    );
    session.run(
        "insert into rework.placement (operation, host, kind, path)
         select id, 'a', 'rust', '/srv/operations' from rework.operation",
    );
    other.run("commit");
    assert_eq!(invariants::of_lanes(session), 1, "neither has seen the other");
    session.run("select rework.mend_served('a')");
    assert_eq!(invariants::of_lanes(session), 0);
}

#[test]
fn a_lane_that_is_put_back_keeps_its_number() {
    let place = Installation::new();
    let session = place.session();
    operations(session, 1, 1, &["a"]);
    session.run("insert into rework.lane (id, domain, operation, host) values (7, 'many', 1, 'a')");
    assert_eq!(session.one::<i32>("select id from rework.lane where host = 'a'", &[]), 7);
    assert_eq!(ranges(session, "a"), (2, 2));
}

#[test]
fn a_range_that_is_too_wide_brings_no_task_that_the_host_may_not_run() {
    let place = Installation::new();
    let session = place.session();
    worker_of_a(session);
    operations(session, 1, 1, &["a", "b"]);
    session.run(
        "insert into rework.operation (domain, name) values ('other', 'operation_1');
         insert into rework.placement (operation, host, kind, path)
         select id, 'a', 'rust', '/srv/operations' from rework.operation where domain = 'other'",
    );
    for besides in ["'many', host => 'b'", "'many', capabilities => '{gpu}'", "'other'"] {
        let sql = format!("select rework.schedule('operation_1', domain => {besides})");
        session.one::<i64>(&sql, &[]);
    }
    session.run(
        "update rework.served set low = 0, high = 2147483646 where host = 'a' and domain = 'many'",
    );
    let claim = "select count(*) from rework.claim(1, 1, 1, 'a', 'many', '{}', lanes => $1,
                     lows => '{-32768}', highs => '{32767}', floors => '{0}')";
    for lane in [0, 1 << 30] {
        assert_eq!(session.one::<i64>(claim, &[&vec![lane]]), 0);
    }
    let claim = "select count(*) from rework.claim(1, 1, 1, 'a', 'many', '{}')";
    assert_eq!(session.one::<i64>(claim, &[]), 0);
    let own = "select rework.schedule('operation_1', domain => 'many')";
    session.one::<i64>(own, &[]);
    assert_eq!(session.one::<i64>(claim, &[]), 1);
    assert!(invariants::of_lanes(session) > 0);
    session.run("select rework.mend_served('a')");
    assert_eq!(invariants::of_lanes(session), 0);
    end_it(session);
}
