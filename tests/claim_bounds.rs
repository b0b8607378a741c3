//! The size of what one claim takes, and of what a worker reads again after the answer to a claim was lost.

use rework_core::db::connect::Db;
use rework_core::db::dsn::Dsn;
use rework_core::task::claim::{Claimant, existing_claims};
use rework_core::task::fence::Fence;
use serde_json::{Value, json};

use crate::support::fleet_rows::{finish_all, insert_operations, insert_worker_on_a};
use crate::support::installation::Installation;

/// The number of tasks with large metadata.
const TASKS: usize = 30;

/// The size of the metadata of a task in bytes. Seven tasks exceed 128 KiB.
const METADATA_BYTES: usize = 20_000;

/// The most tasks in one claim. The last one may exceed the limit.
const MOST: i64 = 7;

/// Makes an installation with a worker, and with tasks that have no input and large metadata.
fn with_large_metadata() -> Installation {
    let setup = Installation::new();
    insert_worker_on_a(setup.session());
    insert_operations(setup.session(), 1, 1, &["a"]);
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..TASKS {
        let text: String = (0..METADATA_BYTES).map(|_| random.alphanumeric()).collect();
        let sql = "select rework.schedule('operation_1', domain => 'many', metadata => $1)";
        setup.session().query_value::<i64>(sql, &[&json!(text)]);
    }
    setup
}

/// Claims as many tasks as one claim takes, and returns how many.
fn claim(setup: &Installation) -> i64 {
    let sql = "select count(*) from rework.claim(1, 1, 1, 'a', 'many', '{}', '{1}', '{1000}')";
    setup.session().query_value(sql, &[])
}

#[test]
fn a_claim_of_large_metadata_is_limited_by_its_size() {
    let setup = with_large_metadata();
    let (first, second) = (claim(&setup), claim(&setup));
    assert!((2..=MOST).contains(&first) && (2..=MOST).contains(&second), "{first} and {second}");
    let no_metadata = "update rework.task set metadata = null where state = 'queued'";
    setup.session().execute(no_metadata);
    assert_eq!(claim(&setup), TASKS as i64 - first - second, "small tasks fit into one claim");
    finish_all(setup.session());
}

#[test]
fn lost_claims_of_large_tasks_are_read_again_in_several_parts() {
    let setup = with_large_metadata();
    let mut claimed = 0;
    while claimed < TASKS as i64 {
        claimed += claim(&setup);
    }
    let dsn = Dsn::parse(setup.dsn()).unwrap();
    let claimant = Claimant {
        worker: 1,
        lease: 1,
        epoch: 1,
        host: "a".to_owned(),
        domain: "many".to_owned(),
        capabilities: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut known: Vec<Fence> = Vec::new();
    runtime.block_on(async {
        let db = Db::connect(&dsn, "test").await.unwrap();
        loop {
            let found = existing_claims(&db, &claimant, &known, 1000).await.unwrap();
            if found.is_empty() {
                break;
            }
            assert!(found.len() <= MOST as usize, "{} at once", found.len());
            let metadata = found.iter().filter_map(|task| task.metadata.as_deref());
            assert!(metadata.map(serde_json::from_str::<Value>).all(|value| value.is_ok()));
            known.extend(found.iter().map(|task| task.fence));
        }
        let one = existing_claims(&db, &claimant, &known[2..], 1).await.unwrap();
        assert_eq!(one.len(), 1, "no more than requested");
    });
    let mut tasks: Vec<i64> = known.iter().map(|fence| fence.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    assert_eq!((tasks.len(), known.len()), (TASKS, TASKS), "each one once");
    finish_all(setup.session());
}
