//! Lanes: queues of tasks that need the same operation, host and capabilities.
//!
//! For each host, the table `rework.host_lanes` has ranges of lane ids that the host can serve. These tests check that
//! the ranges contain exactly the right lanes, and that a claim costs the same with few and with many operations.

use serde_json::Value;

use crate::support::fleet_rows::{finish_all, insert_operations, insert_worker_on_a};
use crate::support::installation::Installation;
use crate::support::invariants;
use crate::support::session::Session;

/// Returns how many pages a claim of host `a` reads when no task is ready.
fn pages_read_by_claim(session: &Session) -> i64 {
    let claim = "select * from rework.claim(1, 1, 1, 'a', 'many', '{}')";
    // The first calls of a session make the plans, which reads further pages.
    session.execute(&format!("{claim}; {claim}"));
    let sql = format!("explain (analyze, buffers, format json) {claim}");
    let plan: Value = session.query_value(&sql, &[]);
    plan[0]["Plan"]["Shared Hit Blocks"].as_i64().expect("the plan has the number of pages")
}

#[test]
fn a_claim_reads_few_pages_also_with_many_operations() {
    let setup = Installation::new();
    let session = setup.session();
    insert_worker_on_a(session);
    insert_operations(session, 1, 2, &["a", "b"]);
    let few = pages_read_by_claim(session);
    insert_operations(session, 3, 3_000, &["a", "b"]);
    session.execute("vacuum analyze");
    let many = pages_read_by_claim(session);
    // The indexes of larger tables have one more level, so each access may read one more page.
    assert!(many <= few + 8, "{few} pages with two operations, {many} with 3,000");
    finish_all(session);
}

/// Returns the number of ranges of a host, and the number of lanes in these ranges.
fn ranges(session: &Session, host: &str) -> (i64, i64) {
    let count = "select count(*) from rework.host_lanes where host = $1";
    let lanes = "select count(*) from rework.lane
                   join rework.host_lanes on lane.id between low and high where host_lanes.host = $1";
    (session.query_value(count, &[&host]), session.query_value(lanes, &[&host]))
}

#[test]
fn ranges_change_with_operations_placements_and_lanes() {
    let setup = Installation::new();
    let session = setup.session();
    insert_operations(session, 1, 100, &["a", "b"]);
    assert_eq!(ranges(session, "a"), (1, 100));
    insert_operations(session, 101, 150, &["b"]);
    assert_eq!((ranges(session, "a"), ranges(session, "b")), ((1, 100), (1, 150)));
    session.execute(
        "delete from rework.placement p using rework.operation o
          where o.id = p.operation and p.host = 'a' and o.name = 'operation_50'",
    );
    assert_eq!(ranges(session, "a"), (2, 99));
    // A task with a host or with capabilities gets a lane of its own. The second task uses the lane of the first one.
    let task =
        "select rework.schedule('operation_1', domain => 'many', host => $1, capabilities => $2)";
    for (host, capabilities) in [(None, vec!["gpu"]), (Some("a"), vec![]), (Some("b"), vec![])] {
        session.query_value::<i64>(task, &[&host, &capabilities]);
        session.query_value::<i64>(task, &[&host, &capabilities]);
    }
    assert_eq!((ranges(session, "a"), ranges(session, "b")), ((4, 101), (3, 152)));
    session.execute("delete from rework.placement where host = 'a'");
    assert_eq!((ranges(session, "a"), ranges(session, "b")), ((0, 0), (3, 152)));
}

#[test]
fn repair_adds_a_lane_and_a_placement_of_concurrent_transactions() {
    let setup = Installation::new();
    let session = setup.session();
    insert_operations(session, 1, 1, &["b"]);
    let other = Session::open(setup.dsn());
    other.execute(
        "begin; select rework.schedule('operation_1', domain => 'many', capabilities => '{gpu}')",
    );
    session.execute(
        "insert into rework.placement (operation, host, kind, path)
         select id, 'a', 'rust', '/srv/operations' from rework.operation",
    );
    other.execute("commit");
    assert_eq!(
        invariants::wrong_lanes(session),
        1,
        "the triggers of one transaction found the rows of the other"
    );
    session.execute("select rework.repair_host_lanes('a')");
    assert_eq!(invariants::wrong_lanes(session), 0);
}

#[test]
fn a_lane_that_is_inserted_with_an_id_keeps_it() {
    let setup = Installation::new();
    let session = setup.session();
    insert_operations(session, 1, 1, &["a"]);
    session.execute(
        "insert into rework.lane (id, domain, operation, host) values (7, 'many', 1, 'a')",
    );
    assert_eq!(session.query_value::<i32>("select id from rework.lane where host = 'a'", &[]), 7);
    assert_eq!(ranges(session, "a"), (2, 2));
}

#[test]
fn a_range_that_is_too_wide_does_not_lead_to_wrong_claims() {
    let setup = Installation::new();
    let session = setup.session();
    insert_worker_on_a(session);
    insert_operations(session, 1, 1, &["a", "b"]);
    session.execute(
        "insert into rework.operation (domain, name) values ('other', 'operation_1');
         insert into rework.placement (operation, host, kind, path)
         select id, 'a', 'rust', '/srv/operations' from rework.operation where domain = 'other'",
    );
    // None of these tasks may run on host `a`.
    for arguments in ["'many', host => 'b'", "'many', capabilities => '{gpu}'", "'other'"] {
        let sql = format!("select rework.schedule('operation_1', domain => {arguments})");
        session.query_value::<i64>(&sql, &[]);
    }
    session.execute(
        "update rework.host_lanes set low = 0, high = 2147483646 where host = 'a' and domain = 'many'",
    );
    let claim = "select count(*) from rework.claim(1, 1, 1, 'a', 'many', '{}', scan_lanes => $1,
                     scan_lows => '{-32768}', scan_highs => '{32767}', scan_positions => '{0}')";
    for lane in [0, 1 << 30] {
        assert_eq!(session.query_value::<i64>(claim, &[&vec![lane]]), 0);
    }
    let claim = "select count(*) from rework.claim(1, 1, 1, 'a', 'many', '{}')";
    assert_eq!(session.query_value::<i64>(claim, &[]), 0);
    let schedule_for_any_host = "select rework.schedule('operation_1', domain => 'many')";
    session.query_value::<i64>(schedule_for_any_host, &[]);
    assert_eq!(session.query_value::<i64>(claim, &[]), 1);
    assert!(invariants::wrong_lanes(session) > 0);
    session.execute("select rework.repair_host_lanes('a')");
    assert_eq!(invariants::wrong_lanes(session), 0);
    finish_all(session);
}
