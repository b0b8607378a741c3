//! `schedule --many` with a slow program before the pipe: the transaction starts when there is something to send. If
//! the server ends a transaction in which nothing happens, the error says so.

use std::io::Write as _;
use std::time::Duration;

use crate::support::{Installation, wait};

/// How long the server waits for the next statement of a transaction.
const IDLE_TIMEOUT: Duration = Duration::from_millis(400);

/// Makes an installation whose server ends transactions in which nothing happens.
fn setup() -> Installation {
    let setup = Installation::with_fixture();
    setup.session().execute(&format!(
        "alter database {} set idle_in_transaction_session_timeout = '{}ms'",
        setup.database_name(),
        IDLE_TIMEOUT.as_millis()
    ));
    setup
}

#[test]
fn lines_that_come_slowly_are_scheduled() {
    let setup = setup();
    let mut child = setup.rework(["schedule", "double", "--many", "-"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    for line in ["1\n", "2\n", "3\n"] {
        stdin.write_all(line.as_bytes()).unwrap();
        wait::let_time_pass(IDLE_TIMEOUT * 2);
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let tasks: i64 = setup.session().query_value("select count(*) from rework.task", &[]);
    assert_eq!(tasks, 3);
}

#[test]
fn a_transaction_that_the_server_has_ended_is_explained() {
    let setup = setup();
    let mut child = setup.rework(["schedule", "double", "--many", "-"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    // More lines than one statement takes, so that the transaction starts.
    let lines = "1\n".repeat(6_000);
    stdin.write_all(lines.as_bytes()).unwrap();
    setup.wait_until("the transaction has started", || {
        let sql = "select exists (select from pg_stat_activity where datname = current_database()
                     and state = 'idle in transaction' and query ~ 'schedule_many')";
        setup.session().query_value(sql, &[])
    });
    setup.wait_until("the server has closed the connection", || {
        let sql = "select count(*) = 0 from pg_stat_activity where datname = current_database()
                     and application_name = 'rework schedule'";
        setup.session().query_value(sql, &[])
    });
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for text in [
        "the connection to Postgres has ended",
        "idle-in-transaction timeout",
        "write them to a file first",
        "--many FILE",
    ] {
        assert!(stderr.contains(text), "no `{text}` in {stderr}");
    }
    let tasks: i64 = setup.session().query_value("select count(*) from rework.task", &[]);
    assert_eq!(tasks, 0);
}
