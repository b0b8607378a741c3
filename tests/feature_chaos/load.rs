//! The clients of a feature chaos test: each schedules its tasks one by one in a session of its own. A request without
//! a reply is sent again.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use crate::support::session::Session;
use crate::support::wait;

/// The number of clients.
pub(crate) const CLIENTS: u64 = 8;

/// The number of unique keys. All clients schedule each of them.
const KEYS: i64 = 12;

/// The longest time that a run takes, in milliseconds.
const LONGEST_RUN: u64 = 12;

/// How often a request is sent before the test fails, and the pause between two attempts. Together they are longer than
/// any fault of the test.
const MOST_ATTEMPTS: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);

const SCHEDULE: &str = "
    select task, created
      from rework.schedule_once($1, $2::json, unique_key => $3, unique_while => $4, after => $5::bigint[],
                                after_failure => $6)";

/// The actions of a client.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// The tasks that it has created, and those that had the keys of its requests.
    pub(crate) tasks: Vec<i64>,
    /// How many requests found a task that had their key.
    pub(crate) kept: usize,
}

/// Starts the clients. Each schedules `count` tasks, with a pause after each of them.
pub(crate) fn start(
    dsn: &str,
    path: &Path,
    seed: u64,
    count: usize,
    pause: Duration,
) -> Vec<JoinHandle<Acknowledged>> {
    (0..CLIENTS)
        .map(|number| {
            let (dsn, path) = (dsn.to_owned(), path.to_owned());
            thread::spawn(move || {
                let random = Rng::with_seed(seed.wrapping_add(number + 1));
                let mut client = Client { number, session: open(&dsn), path, random };
                client.schedule_all(count, pause)
            })
        })
        .collect()
}

/// Opens a session. A new backend can be ended at once.
fn open(dsn: &str) -> Session {
    wait::until_some("a client connects", wait::TIMEOUT, String::new, || {
        Session::try_open(dsn).ok()
    })
}

struct Client {
    number: u64,
    session: Session,
    path: PathBuf,
    random: Rng,
}

/// A task to schedule.
struct Request {
    operation: &'static str,
    /// The number in its input.
    number: i64,
    key: String,
    unique_while: &'static str,
    after: Option<Vec<i64>>,
    after_failure: &'static str,
}

impl Client {
    fn schedule_all(&mut self, count: usize, pause: Duration) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        for position in 0..count {
            let request = self.next(position, &acknowledged.tasks);
            let (task, created) = self.send(&request);
            acknowledged.tasks.push(task);
            acknowledged.kept += usize::from(!created && request.unique_while == "unfinished");
            wait::let_time_pass(pause);
        }
        acknowledged
    }

    /// Returns the next request. Each has a key, so that it makes one task, however often it is sent.
    fn next(&mut self, position: usize, before: &[i64]) -> Request {
        let request = |operation| Request {
            operation,
            number: 0,
            key: format!("client {} request {position}", self.number),
            unique_while: "exists",
            after: None,
            after_failure: "run",
        };
        let predecessor = before.last().copied();
        match (position % 4, predecessor) {
            (0, _) => {
                let number = self.random.i64(0..KEYS);
                let key = format!("key {number}");
                let unique_while = "unfinished";
                Request { number, key, unique_while, ..request("witnessed_unique") }
            }
            (1, Some(task)) => {
                let after_failure = if position % 8 == 1 { "run" } else { "abort" };
                let after = Some(vec![task]);
                Request { number: task, after, after_failure, ..request("witnessed_after") }
            }
            (2, _) => request("witnessed_followed"),
            _ => request("witnessed_put_off"),
        }
    }

    /// Sends a request until it is acknowledged. Returns the task and whether it was created.
    fn send(&mut self, request: &Request) -> (i64, bool) {
        let milliseconds = self.random.u64(0..LONGEST_RUN);
        let input =
            json!({ "path": self.path, "number": request.number, "milliseconds": milliseconds });
        let Request { operation, key, unique_while, after, after_failure, .. } = request;
        let mut last = None;
        for _ in 0..MOST_ATTEMPTS {
            let result = self
                .session
                .try_query(SCHEDULE, &[operation, &input, key, unique_while, after, after_failure]);
            match result {
                Ok(rows) => return (rows[0].get(0), rows[0].get(1)),
                Err(error) => {
                    let code = error.code().map(|code| code.code().to_owned());
                    let is_refused = code.is_some_and(|code| code.starts_with("RW"));
                    assert!(!is_refused, "a request for `{operation}` was refused: {error:?}");
                    last = Some(error);
                }
            }
            wait::let_time_pass(PAUSE);
        }
        panic!("a request for `{operation}` was never acknowledged: {last:?}")
    }
}
