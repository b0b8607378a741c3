//! Tasks that become ready before the position from which a worker scans the queue.
//!
//! A worker starts its scan behind its latest claim. A task may become ready before this position, for example when an
//! old transaction commits. The worker must find such a task soon, also while the queue is long.
//! `crates/worker/src/writer/scan_start.rs` decides where a scan starts.

use serde_json::{Value, json};

use crate::batches::Batches;
use crate::support::session::Session;

/// The number of tasks in the queue. At 1 ms each, a worker needs several seconds.
const QUEUE: usize = 5_000;

/// How many tasks must be done before the test makes another task ready, so that the scan no longer starts at the first
/// position.
const DONE: i64 = 500;

/// A task was found soon if at least this many tasks of the queue started later.
const MIN_LATER_TASKS: i64 = 2_000;

/// A worker that has done a part of a long queue.
struct BusyWorker {
    batches: Batches,
    queue: Vec<i64>,
}

impl BusyWorker {
    /// Calls `before`, schedules the queue and waits until more than `DONE` tasks are done.
    fn new(before: impl FnOnce(&Batches)) -> BusyWorker {
        let batches = Batches::with_workers("1");
        before(&batches);
        let queue = batches.schedule(&vec![json!({"milliseconds": 1}); QUEUE]);
        let busy = BusyWorker { batches, queue };
        busy.batches.setup.wait_until("a part of the queue is done", || busy.count_done() > DONE);
        busy
    }

    fn session(&self) -> &Session {
        self.batches.setup.session()
    }

    /// Returns how many tasks of the queue are done.
    fn count_done(&self) -> i64 {
        let sql = "select count(*) from rework.task where state = 'done' and id = any ($1)";
        self.session().query_value(sql, &[&self.queue])
    }

    /// Waits until all tasks are done, and asserts that at least `MIN_LATER_TASKS` started after `task`.
    fn assert_found_soon(&self, task: i64) {
        self.batches.setup.wait_until_done(task);
        for queued in &self.queue {
            self.batches.setup.wait_until_done(*queued);
        }
        let sql = "select count(*) from rework.task
                    where id = any ($1)
                      and started_at > (select started_at from rework.task where id = $2)";
        let later_tasks: i64 = self.session().query_value(sql, &[&self.queue, &task]);
        assert!(
            later_tasks >= MIN_LATER_TASKS,
            "only {later_tasks} of {QUEUE} tasks started after task {task}"
        );
    }
}

#[test]
fn a_task_of_a_transaction_that_commits_late_is_found_soon() {
    let mut late_transaction = None;
    let busy = BusyWorker::new(|batches| {
        let session = Session::open(batches.setup.dsn());
        session.execute("begin");
        let sql = "select rework.schedule('appends_number', $1::text::json)";
        let input: Value = batches.uncounted_input();
        let task: i64 = session.query_value(sql, &[&input.to_string()]);
        late_transaction = Some((session, task));
    });
    let (session, task) = late_transaction.unwrap();
    session.execute("commit");
    busy.assert_found_soon(task);
}

#[test]
fn a_task_with_higher_priority_is_found_soon() {
    let busy = BusyWorker::new(|_| {});
    let sql = "select rework.schedule('double', '1', priority => 7)";
    let urgent: i64 = busy.session().query_value(sql, &[]);
    busy.assert_found_soon(urgent);
}

#[test]
fn a_task_whose_claim_was_undone_is_found_soon() {
    let busy = BusyWorker::new(|_| {});
    // Simulates a claim of another worker that was rolled back: the task is queued at its old position, which is before
    // the position from which this worker scans.
    let sql = "update rework.task set position = 0, state = 'queued'
                where id = $1 and state = 'queued' returning id";
    let last = busy.queue[QUEUE - 1];
    let _: i64 = busy.session().query_value(sql, &[&last]);
    busy.assert_found_soon(last);
}
