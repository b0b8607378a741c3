//! A worker looks behind what it has claimed. What becomes ready before that place is found soon all the
//! same, while a long queue is worked off.

use serde_json::{Value, json};

use crate::batches::Batches;
use crate::support::session::Session;

/// A queue that takes seconds, of which so much is done already.
const QUEUE: usize = 5_000;
const DONE: i64 = 500;

/// What is found soon is found before so many others.
const OTHERS: i64 = 2_000;

struct Busy {
    batches: Batches,
    queue: Vec<i64>,
}

impl Busy {
    fn new(before: impl FnOnce(&Batches)) -> Busy {
        let batches = Batches::with_workers("1");
        before(&batches);
        let queue = batches.schedule(&vec![json!({"milliseconds": 1}); QUEUE]);
        let busy = Busy { batches, queue };
        busy.batches.place.until("it is well under way", || busy.done() > DONE);
        busy
    }

    fn session(&self) -> &Session {
        self.batches.place.session()
    }

    fn done(&self) -> i64 {
        let sql = "select count(*) from rework.task where state = 'done' and id = any ($1)";
        self.session().one(sql, &[&self.queue])
    }

    /// That this one ran while most of the queue waited.
    fn was_found_soon(&self, task: i64) {
        self.batches.place.done(task);
        for one in &self.queue {
            self.batches.place.done(*one);
        }
        let sql = "select count(*) from rework.task
                    where id = any ($1)
                      and started_at > (select started_at from rework.task where id = $2)";
        let after: i64 = self.session().one(sql, &[&self.queue, &task]);
        assert!(after >= OTHERS, "only {after} of {QUEUE} came after it");
    }
}

fn schedule(session: &Session, besides: &str) -> i64 {
    session.one(&format!("select rework.schedule('double', '1'{besides})"), &[])
}

#[test]
fn a_transaction_that_commits_late() {
    let mut late = None;
    let busy = Busy::new(|batches| {
        let session = Session::open(batches.place.dsn());
        session.run("begin");
        let sql = "select rework.schedule('notes', $1::text::json)";
        let input: Value = batches.one();
        let task: i64 = session.one(sql, &[&input.to_string()]);
        late = Some((session, task));
    });
    let (session, task) = late.unwrap();
    session.run("commit");
    busy.was_found_soon(task);
}

#[test]
fn what_is_more_urgent() {
    let busy = Busy::new(|_| {});
    let urgent = schedule(busy.session(), ", priority => 7");
    busy.was_found_soon(urgent);
}

#[test]
fn a_claim_that_came_to_nothing() {
    let busy = Busy::new(|_| {});
    // As if another worker had claimed it and gone away: it is where it was.
    let sql = "update rework.task set position = 0, state = 'queued' where id = $1 and state = 'queued' returning id";
    let last = busy.queue[QUEUE - 1];
    let _: i64 = busy.session().one(sql, &[&last]);
    busy.was_found_soon(last);
}
