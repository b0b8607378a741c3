//! A monitor's look once a second costs the same whatever waits: it reads no table from end to end.

use serde_json::json;

use crate::support::installation::{Installation, fixture};

/// Enough that to read it from end to end seems cheap for what is thought to be all of one kind.
const QUEUE: usize = 50_000;

/// Looks at it.
const LOOKS: i64 = 5;

#[test]
fn a_long_queue_of_another_host_is_not_read() {
    let place = Installation::with_fixture();
    place.rework(["register-operations", "--host", "elsewhere"]).args([fixture()]).ok();
    let sql = "select count(*) from rework.schedule_many('double', $1, host => 'elsewhere')";
    let inputs = vec![json!(1); QUEUE];
    assert_eq!(place.session().one::<i64>(sql, &[&inputs]), QUEUE as i64);
    // Every operation has a lane, and none but this one anything in it.
    place.session().run(
        "insert into rework.lane (domain, operation)
         select domain, id from rework.operation on conflict do nothing;
         analyze rework.task",
    );
    let read = || {
        let sql = "select seq_scan from pg_stat_user_tables where relid = 'rework.task'::regclass";
        place.session().one::<i64>(sql, &[])
    };
    let looks = || {
        let sql = "select coalesce(max(renewals), 0) from rework.lease";
        place.session().one::<i64>(sql, &[])
    };
    let before = read();
    let _monitor = place.monitor(&["--minworkers", "0", "--maxworkers", "1", "--lease", "4s"]);
    place.until("it has looked several times", || looks() >= LOOKS);
    assert_eq!(read() - before, 0, "{LOOKS} looks or more read the table so many times");
}
