//! The order in which a transaction locks the flows whose steps it ends. Two transactions that end steps of the same two
//! flows wait for each other in that order, and so are not part of a deadlock.

use std::thread;

use serde_json::json;

use crate::flow_engine::operations::Operations;
use crate::flow_engine::runs::{claim_tasks, record, try_record_done};
use crate::support::Installation;
use crate::support::session::Session;

/// The SQLSTATE of the session that is the victim of a deadlock.
const DEADLOCK_DETECTED: &str = "40P01";

/// The SQLSTATE of a session that has waited for a lock for longer than `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The number of sessions that wait for a lock.
const WAITING: &str = "select count(*) from pg_stat_activity
                        where datname = current_database() and wait_event_type = 'Lock'";

/// Runs of one step of each of two flows.
type Batch = Vec<(i64, i64)>;

/// Makes two flows with two steps each, all of which run. Returns the older flow, and two batches, each with
/// one step of each flow.
fn two_batches(session: &Session, operations: &Operations) -> (i64, [Batch; 2]) {
    let step = |number: i32| {
        json!({"number": number, "name": format!("s{number}"), "scope": 0, "kind": "task",
            "operation": operations.execute, "before": [], "after": [], "on_failure": "revert"})
    };
    let plan = json!({"simple": true, "returns": null, "remaining": 2,
        "scopes": [{"number": 0, "first": 0, "last": 1, "name": "p", "pattern": "unordered"}],
        "steps": [step(0), step(1)]});
    let mut batches = [Batch::new(), Batch::new()];
    let mut flows = Vec::new();
    for _ in 0..2 {
        let sql = "select rework.schedule('flow', domain => 'flows')";
        let flow: i64 = session.query_value(sql, &[]);
        let run = claim_tasks(session, &[flow]);
        record(session, &run, &["planned"], &[], &[Some(plan.to_string())]);
        let sql = "select id from rework.task where flow = $1 order by step";
        let tasks: Vec<i64> = session.query_values(sql, &[&flow]);
        for (batch, run) in batches.iter_mut().zip(claim_tasks(session, &tasks)) {
            batch.push(run);
        }
        flows.push(flow);
    }
    (flows[0], batches)
}

/// Lets two sessions record a batch each, the second one while the first one waits for the lock of the older flow. Returns
/// the SQLSTATEs of the sessions that failed.
///
/// `directions` has the value of `test.direction` in each session. If the first session locks the older flow first, then
/// the second one locks the newer flow meanwhile, and each has what the other one needs.
fn meet(setup: &Installation, operations: &Operations, directions: [i64; 2]) -> Vec<String> {
    let (session, dsn) = (setup.session(), setup.dsn());
    let blocker = Session::open(dsn);
    let (older, batches) = two_batches(session, operations);
    blocker.execute(&format!("begin; select from rework.flow where id = {older} for update"));
    thread::scope(|scope| {
        let mut recorded = Vec::new();
        for (batch, direction) in batches.iter().zip(directions) {
            recorded.push(scope.spawn(move || {
                let own = Session::open(dsn);
                own.execute(&format!(
                    "set deadlock_timeout = '50ms'; set test.direction = '{direction}'"
                ));
                try_record_done(&own, batch)
            }));
            while !recorded.iter().any(thread::ScopedJoinHandle::is_finished)
                && session.query_value::<i64>(WAITING, &[]) < recorded.len() as i64
            {
                thread::yield_now();
            }
        }
        blocker.execute("commit");
        recorded.into_iter().filter_map(|recorded| recorded.join().unwrap().err()).collect()
    })
}

/// Repeats [`meet`] until neither session has waited for too long, which a busy machine may cause.
fn codes(setup: &Installation, operations: &Operations, directions: [i64; 2]) -> Vec<String> {
    let met = std::iter::repeat_with(|| meet(setup, operations, directions));
    let mut in_time = met.filter(|codes| codes.iter().all(|code| code != LOCK_NOT_AVAILABLE));
    in_time.next().unwrap()
}

#[test]
fn two_batches_of_the_same_flows_wait_for_each_other_in_one_order() {
    let setup = Installation::new();
    let operations = Operations::insert(setup.session());
    assert_eq!(codes(&setup, &operations, [1, 1]), Vec::<String>::new());

    // The same, but one session locks the oldest flow first.
    let definition: String =
        setup.session().query_value("select pg_get_functiondef('rework.lock_flows'::regproc)", &[]);
    let order = "order by f.id desc\n               for no key update of f";
    assert!(definition.contains(order), "{definition}");
    let two_orders = "order by f.id * current_setting('test.direction')::integer desc
               for no key update of f";
    setup.session().execute(&definition.replace(order, two_orders));
    assert_eq!(codes(&setup, &operations, [-1, 1]), [DEADLOCK_DETECTED]);
}
