//! Statements that miss their deadline: they are shown in the log and in the health of the monitor, and tried with
//! less.

use std::time::Duration;

use serde_json::json;

use crate::support::http;
use crate::support::session::Session;
use crate::support::{Installation, wait};

/// Lets statements that claim more than four tasks wait until nobody locks the row of table `gate`.
const SLOW_CLAIMS: &str = "create table public.gate as select 1 as gate;
     create function public.slow() returns trigger language plpgsql as
     $$ begin
         if (select count(*) > 4 from changed where state = 'running') then
             perform from public.gate for share;
         end if;
         return null;
     end $$;
     create trigger slow after update on rework.task
        referencing new table as changed for each statement execute function public.slow()";

/// Twice the deadline, and some time for the rest.
const TWO_DEADLINES: Duration = Duration::from_secs(40);

#[test]
fn a_claim_that_misses_its_deadline_twice_is_shown_and_tried_with_fewer_tasks() {
    let setup = Installation::with_fixture();
    // With at most 30 tasks, an eighth of them are fewer than the trigger notices.
    let options = ["--maxworkers", "1", "--batch", "30", "--listen", "127.0.0.1:0"];
    let monitor = setup.start_monitor(&options);
    let address = http::address(&monitor);
    let input = json!({"path": setup.folder().join("numbers"), "number": 1});
    // The worker learns that the tasks are short.
    for task in setup.schedule_many("appends_number", &vec![input.clone(); 100]) {
        setup.wait_until_done(task);
    }
    let worker: i64 = setup.session().query_value("select id from rework.worker", &[]);
    setup.wait_until("the worker is idle", || {
        setup.session().query_value("select idle_domains = '{default}' from rework.monitor", &[])
    });
    setup.session().execute(SLOW_CLAIMS);
    let blocking = Session::open(setup.dsn());
    blocking.execute("begin; select from public.gate for update");
    let tasks = setup.schedule_many("appends_number", &vec![input; 90]);
    let describe = || setup.diagnostics();
    wait::until_some("a statement is overdue", TWO_DEADLINES, describe, || {
        let (code, body) = http::get(&address, "/health");
        let shown = body["overdue_statements"][format!("worker {worker}")] == json!("a claim");
        (code == 200 && shown).then_some(())
    });
    let output = monitor.output();
    assert!(output.contains("a claim: Postgres did not answer within 10 s, 2 times"), "{output}");
    setup.wait_until("a smaller claim succeeds", || {
        let sql = "select count(*) > 0 from rework.task where id = any ($1) and state = 'done'";
        setup.session().query_value(sql, &[&tasks])
    });
    // All tasks of a claim have the same token.
    let largest: i64 = setup.session().query_value(
        "select max(count) from (select count(*) from rework.task
                                  where id = any ($1) and state = 'done' group by token) as claim",
        &[&tasks],
    );
    assert!(largest <= 4, "a claim of {largest} tasks");
    blocking.execute("commit");
    for task in tasks {
        assert_eq!(setup.wait_until_done(task).run, 1, "the claims without an answer were found");
    }
}
