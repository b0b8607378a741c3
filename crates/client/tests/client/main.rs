//! Tests the client with a real Postgres, which `REWORK_TEST_DSN` names. Where tasks must run, a real `rework monitor`
//! runs the operations of `crates/sdk/examples/fixture.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests and their helper functions may panic"
)]

mod database;
mod monitor;
mod wait;

use std::time::Duration;

use rework_client::{
    AfterFailure, Bytes, Client, End, OnConflict, State, UniqueWhile, schedule_many_within,
    schedule_within,
};
use serde_json::{Value, json};

use crate::database::Database;
use crate::monitor::Monitor;
use crate::wait::until;

fn done() -> End {
    End { state: State::Done, reason: None }
}

#[tokio::test]
async fn outputs_logs_and_ends_of_tasks_can_be_read() {
    let database = Database::new().await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let _monitor = Monitor::start(&database.dsn());
    until("registered", async || client.schedule("nothing", &()).await.is_ok()).await;

    let task = client.schedule("echo", &json!({"a": 1})).domain("other").await.unwrap();
    assert_eq!(client.join(task).await.unwrap(), done());
    assert_eq!(client.output::<Value>(task).await.unwrap(), json!({"a": 1}));

    let task = client.schedule("reversed", &Bytes(b"\x00\xffa".to_vec())).await.unwrap();
    assert_eq!(client.join(task).await.unwrap(), done());
    assert_eq!(client.output_bytes(task).await.unwrap(), Some(Bytes(b"a\xff\x00".to_vec())));
    assert_eq!(client.output::<Value>(task).await.unwrap_err().kind(), "output");

    let task = client.schedule("fails_on_purpose", &"never").await.unwrap();
    let end = client.join(task).await.unwrap();
    assert_eq!(end.state, State::Failed);
    assert!(end.reason.as_ref().unwrap().contains("no use"), "{end:?}");
    assert_eq!(client.output::<String>(task).await.unwrap(), "half of it");

    let task = client.schedule("number", &()).await.unwrap();
    assert_eq!(client.join(task).await.unwrap(), done());
    let lines = client.logs(task).await.unwrap();
    let texts: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.bytes)).collect();
    assert_eq!(texts, [format!("{task}"), format!("child {task}"), format!("end {task}")]);
    assert_eq!(client.output::<Option<u32>>(task).await.unwrap(), None);

    let task = client.schedule("awaits_abort", &()).await.unwrap();
    until("it runs", async || !client.logs(task).await.unwrap().is_empty()).await;
    client.abort(task, "by its test").await.unwrap();
    let end = client.join(task).await.unwrap();
    assert_eq!((end.state, end.reason.as_deref()), (State::Aborted, Some("aborted by its test")));
    assert_eq!(client.output::<String>(task).await.unwrap(), "aborted by its test");
}

#[tokio::test]
async fn a_task_exists_only_if_its_transaction_is_committed() {
    let database = Database::new().await;
    database.register("idle").await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let mut own = database.connect().await;

    let transaction = own.transaction().await.unwrap();
    let task = schedule_within(&transaction, "idle", &json!({"a": 1})).priority(3).await.unwrap();
    assert!(client.output::<Value>(task).await.unwrap_err().message().contains("no task"));
    transaction.rollback().await.unwrap();
    assert_eq!(client.join(task).await.unwrap_err().message(), format!("there is no task {task}"));

    let transaction = own.transaction().await.unwrap();
    let task = schedule_within(&transaction, "idle", &()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(client.output::<Option<Value>>(task).await.unwrap(), None);
}

#[tokio::test]
async fn many_tasks_are_scheduled_in_order_all_or_none() {
    let database = Database::new().await;
    database.register("idle").await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let tasks = client.schedule_many("idle", 1..=12_000).priority(4).await.unwrap();
    assert!(tasks.len() == 12_000 && tasks.is_sorted());
    for (index, input) in [(0, 1), (4_999, 5_000), (5_000, 5_001), (11_999, 12_000)] {
        let shown = database.show(tasks[index]).await;
        assert_eq!((&shown["input"], &shown["priority"]), (&json!(input), &json!(4)), "{index}");
    }
    assert!(client.schedule_many("idle", [(); 0]).await.unwrap().is_empty());
    let mixed = client.schedule_many("idle", [Bytes(b"\xff".to_vec())]).await.unwrap();
    assert_eq!(database.show(mixed[0]).await["input"], json!({"base64": "/w=="}));

    // The keys of a JSON object are texts.
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = client.schedule_many("idle", [unwritable]).await.unwrap_err();
    assert_eq!(error.kind(), "output", "{error}");
    let error = client.schedule_many("unknown", [1]).await.unwrap_err();
    assert_eq!(error.message(), "operation `unknown` is not registered");

    let mut own = database.connect().await;
    let transaction = own.transaction().await.unwrap();
    let tasks = schedule_many_within(&transaction, "idle", ["a", "b"]).await.unwrap();
    assert_eq!(tasks.len(), 2);
    transaction.rollback().await.unwrap();
    assert!(client.join(tasks[0]).await.unwrap_err().message().contains("no task"));
}

#[tokio::test]
async fn all_options_of_a_request_are_stored() {
    let database = Database::new().await;
    database.register("idle").await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let request = || {
        client
            .schedule("idle", &json!([1, 2]))
            .domain("default")
            .host("elsewhere")
            .priority(-7)
            .delay(Duration::from_secs(3600))
            .unique_key("k")
            .metadata(&json!({"who": "me"}))
    };
    let task = request().await.unwrap();
    assert_eq!(request().await.unwrap(), task, "a unique key makes one task");
    let waiting = client.schedule("idle", &1).after([task]).after_failure(AfterFailure::Run);
    let waiting = waiting.await.unwrap();
    assert_eq!(database.show(waiting).await["state"], json!("waiting"));
    let many = client.schedule_many("idle", [1, 2]).after([task, waiting]).await.unwrap();
    assert_eq!(database.show(many[1]).await["state"], json!("waiting"));
    client.abort(task, "by the test").await.unwrap();
    let states = [database.show(waiting).await, database.show(many[0]).await];
    assert_eq!(states.map(|shown| shown["state"].clone()), ["queued", "aborted"]);
    let shown = database.show(task).await;
    for (key, value) in [
        ("state", json!("aborted")),
        ("host", json!("elsewhere")),
        ("priority", json!(-7)),
        ("unique_key", json!("k")),
        ("metadata", json!({"who": "me"})),
        ("input", json!([1, 2])),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_request_says_whether_it_has_created_the_task() {
    let database = Database::new().await;
    database.register("idle").await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let hour = Duration::from_secs(3600);
    let request = |input: i32| {
        let request = client.schedule("idle", &input).unique_key("k");
        request.unique_while(UniqueWhile::Unfinished).unique_for(hour)
    };
    let first = request(1).once().await.unwrap();
    assert!(first.created && first.state == State::Queued, "{first:?}");
    let again = request(2).once().await.unwrap();
    assert_eq!((again.task, again.created), (first.task, false));
    let replaced = request(3).on_conflict(OnConflict::Replace).delay(hour).once().await.unwrap();
    assert_eq!((replaced.task, replaced.created), (first.task, false));
    assert_eq!(replaced.state, State::Delayed);
    assert_eq!(database.show(first.task).await["input"], json!(3));
    let debounced = request(4).debounce(hour).at_most(Duration::from_millis(1)).await.unwrap();
    assert_eq!(debounced, first.task);
    assert_eq!(database.show(first.task).await["state"], json!("queued"), "the limit is reached");
    client.abort(first.task, "by its test").await.unwrap();
    let mut own = database.connect().await;
    let transaction = own.transaction().await.unwrap();
    let request = schedule_within(&transaction, "idle", &5).unique_key("k");
    assert!(request.once().await.unwrap().created, "an aborted task is not unfinished");
    transaction.rollback().await.unwrap();
    let error = client.schedule("idle", &6).debounce(hour).await.unwrap_err();
    assert!(error.message().contains("no unique key"), "{error}");
}

#[tokio::test]
async fn each_of_many_tasks_may_have_a_unique_key() {
    let database = Database::new().await;
    database.register("idle").await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let keys = || (1..=1_500).map(|number| format!("key {}", number % 1_200));
    let scheduled = client.schedule_many("idle", 1..=1_500).once(keys()).await.unwrap();
    assert_eq!(scheduled.iter().filter(|scheduled| scheduled.created).count(), 1_200);
    assert_eq!(scheduled[1_299].task, scheduled[99].task, "input 1,300 has the key of input 100");
    assert_eq!(database.show(scheduled[1_199].task).await["input"], json!(1_200));
    let mut own = database.connect().await;
    let transaction = own.transaction().await.unwrap();
    let request = schedule_many_within(&transaction, "idle", 1..=1_500);
    let again = request.unique_while(UniqueWhile::Queued).once(keys()).await.unwrap();
    assert!(again.iter().all(|scheduled| !scheduled.created));
    transaction.commit().await.unwrap();
    let error = client.schedule_many("idle", 1..=3).once(["a", "b"]).await.unwrap_err();
    assert!(error.message().contains("3 inputs and 2 keys"), "{error}");
}

#[tokio::test]
async fn join_returns_when_the_task_ends_also_after_a_lost_connection() {
    let database = Database::new().await;
    database.register("idle").await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let task = client.schedule("idle", &()).await.unwrap();
    let other = client.schedule("idle", &()).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.join(task).await.unwrap() }
    });
    until("the client waits", async || database.notifies_end(task).await).await;
    // The client's connection is lost: the client opens a new one, requests the notification again, and goes on
    // waiting.
    database.terminate_connections("rework client").await;
    client.abort(other, "by its test").await.unwrap();
    client.abort(task, "by its test").await.unwrap();
    assert_eq!(waiting.await.unwrap().reason.as_deref(), Some("aborted by its test"));
}

#[tokio::test]
async fn errors_have_hints() {
    let database = Database::new().await;
    let client = Client::connect(&database.dsn()).await.unwrap();
    let error = client.schedule("unknown", &()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), ("queue", "operation `unknown` is not registered"));
    assert_eq!(error.traceback(), Some("hint: see `rework list-operations`"));
    let error = client.abort(7, "by its test").await.unwrap_err();
    assert!(error.message().contains('7'), "{error}");
    let error = Client::connect("postgres://127.0.0.1:1/none").await.unwrap_err();
    assert!(error.message().starts_with("cannot connect to Postgres"), "{error}");
    let error = Client::connect("nonsense").await.unwrap_err();
    assert!(error.message().contains("does not name a database"), "{error}");
    let empty = Database::without_schema().await;
    let error = Client::connect(&empty.dsn()).await.unwrap_err();
    assert!(error.traceback().unwrap().contains("rework init-db"), "{error:?}");
}
