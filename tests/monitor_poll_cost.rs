//! The cost of the poll that a monitor sends each second: it must not grow with the number of queued tasks, so it must
//! not read the whole table `task`.

use serde_json::json;

use crate::support::installation::{Installation, fixture_program};

/// The length of the queue. With 50,000 tasks in a single lane, the planner could assume that all tasks are in this
/// lane and that a sequential scan is cheap.
const QUEUE: usize = 50_000;

/// How many polls the test waits for.
const POLLS: i64 = 5;

#[test]
fn polls_do_not_read_a_long_queue_of_another_host() {
    let setup = Installation::with_fixture();
    setup.rework(["register-operations", "--host", "elsewhere"]).args([fixture_program()]).run_ok();
    let sql =
        "select count(*) from rework.schedule_many('double', $1::json[], host => 'elsewhere')";
    let inputs = vec![json!(1); QUEUE];
    assert_eq!(setup.session().query_value::<i64>(sql, &[&inputs]), QUEUE as i64);
    // Makes a lane for every operation. All lanes are empty, except the one of `double`.
    setup.session().execute(
        "insert into rework.lane (domain, operation)
         select domain, id from rework.operation on conflict do nothing;
         analyze rework.task",
    );
    let sequential_scans = || {
        let sql = "select seq_scan from pg_stat_user_tables where relid = 'rework.task'::regclass";
        setup.session().query_value::<i64>(sql, &[])
    };
    // Each poll renews the lease.
    let polls = || {
        let sql = "select coalesce(max(renewals), 0) from rework.lease";
        setup.session().query_value::<i64>(sql, &[])
    };
    let before = sequential_scans();
    let _monitor =
        setup.start_monitor(&["--minworkers", "0", "--maxworkers", "1", "--lease", "4s"]);
    setup.wait_until("the monitor has polled several times", || polls() >= POLLS);
    assert_eq!(sequential_scans() - before, 0, "there were sequential scans of the table");
}
