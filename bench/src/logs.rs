//! Logs: a task that prints as fast as it can, until all its lines are in Postgres; and the short tasks
//! of another worker meanwhile, beside the same tasks while the first worker holds a task that is silent.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    spread::{Spread, verdict},
};

/// Lines per second of one task.
const TARGET: f64 = 200_000.0;

/// The least share of their rate that other tasks keep.
const OTHERS: f64 = 0.8;

const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is asked whether all is there.
const LOOK: Duration = Duration::from_millis(20);

/// What was measured beside one first task.
struct Measured {
    /// Lines per second.
    lines: f64,
    /// Short tasks per second.
    others: f64,
}

pub(crate) async fn run(server: &Server, programs: &Programs, quick: bool) -> anyhow::Result<()> {
    let (lines, others, repeat) = if quick { (50_000, 50, 1) } else { (1_000_000, 500, 3) };
    println!("\nlogs: a task that prints {lines} lines, median of {repeat} (least … most)");
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        let silent = ("hold", i64::from(others) * 8);
        alone.push(measure(server, programs, silent, others).await?);
        beside.push(measure(server, programs, ("print", lines), others).await?);
    }
    let of = |measured: &[Measured], what: fn(&Measured) -> f64| {
        Spread::new(measured.iter().map(what).collect())
    };
    let rate = of(&beside, |one| one.lines);
    println!(
        "  {rate} lines/s are in Postgres, target ≥ {TARGET}: {}",
        verdict(rate.median() >= TARGET)
    );
    let (beside, alone) = (of(&beside, |one| one.others), of(&alone, |one| one.others));
    let share = beside.median() / alone.median();
    println!("  tasks/s of 5 ms in another worker: {beside}, beside a silent task {alone}");
    println!("    ratio {share:.2}, target ≥ {OTHERS}: {}", verdict(share >= OTHERS));
    Ok(())
}

/// Has one worker run the first task, and the other one short ones.
async fn measure(
    server: &Server,
    programs: &Programs,
    (operation, amount): (&str, i64),
    others: i32,
) -> anyhow::Result<Measured> {
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, 2, &[]).await?;
    let schedule = "select rework.schedule($1, to_json($2::bigint))";
    let first: i64 = rework.client.query_one(schedule, &[&operation, &amount]).await?.get(0);
    while state(&rework, first).await? == "queued" {
        sleep(LOOK / 10).await;
    }
    let began = Instant::now();
    let schedule = "select count(*) from rework.schedule_many('hold', array_fill('5'::json, array[$1::integer]))";
    rework.client.query_one(schedule, &[&others]).await?;
    while state(&rework, first).await? == "running" {
        ensure!(began.elapsed() < PATIENCE, "the first task runs on after {PATIENCE:?}");
        sleep(LOOK).await;
    }
    let took = began.elapsed();
    rework.drained(PATIENCE).await?;
    let kept = "select count(*) from rework.log where task = $1 and stream = 'stdout'";
    let kept: i64 = rework.client.query_one(kept, &[&first]).await?.get(0);
    ensure!(operation != "print" || kept == amount, "{kept} of {amount} lines are in the log");
    let span = "select count(*), extract(epoch from max(finished_at) - min(started_at))::float8
                  from rework.task where id > $1 and state = 'done'";
    let row = rework.client.query_one(span, &[&first]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    ensure!(done == i64::from(others), "{done} of {others} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Measured { lines: kept as f64 / took.as_secs_f64(), others: done as f64 / seconds })
}

async fn state(rework: &Installation, task: i64) -> anyhow::Result<String> {
    let sql = "select state from rework.task where id = $1";
    Ok(rework.client.query_one(sql, &[&task]).await?.get(0))
}
