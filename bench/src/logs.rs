//! The measurement `logs`: how many lines per second a task can print, until all of them are in Postgres. Also measures
//! how much that slows down the short tasks of another worker: it compares them with the same tasks next to a task that
//! prints nothing.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    spread::{Spread, met_or_missed},
};

/// The target for the lines per second of one task.
const TARGET_LINES: f64 = 200_000.0;

/// The target: the least ratio of the rate of short tasks next to a printing task to that next to a silent one.
const TARGET_RATIO: f64 = 0.8;

/// The longest time that the first task may run, and again the longest wait for the other tasks
/// after its end.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How often the state of the first task is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The result of one measurement.
struct LogsResult {
    /// The lines that the first task printed, per second of its run.
    line_rate: f64,
    /// Short tasks per second of the other worker.
    task_rate: f64,
}

pub(crate) async fn run(server: &Server, programs: &Programs, quick: bool) -> anyhow::Result<()> {
    let (lines, short_tasks, repeat) = if quick { (50_000, 50, 1) } else { (1_000_000, 500, 3) };
    println!("\nlogs: a task that prints {lines} lines, median of {repeat} (least … most)");
    let (mut next_to_printing, mut next_to_silent) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        // 8 ms for each short task, so that the silent task ends after them.
        let silent = ("hold", i64::from(short_tasks) * 8);
        next_to_silent.push(measure(server, programs, silent, short_tasks).await?);
        next_to_printing.push(measure(server, programs, ("print", lines), short_tasks).await?);
    }
    let spread = |runs: &[LogsResult], figure: fn(&LogsResult) -> f64| {
        Spread::new(runs.iter().map(figure).collect())
    };
    let rate = spread(&next_to_printing, |run| run.line_rate);
    println!(
        "  {rate} lines/s are in Postgres, target ≥ {TARGET_LINES}: {}",
        met_or_missed(rate.median() >= TARGET_LINES)
    );
    let printing = spread(&next_to_printing, |run| run.task_rate);
    let silent = spread(&next_to_silent, |run| run.task_rate);
    let ratio = printing.median() / silent.median();
    println!("  tasks/s of 5 ms in another worker: {printing}, next to a silent task {silent}");
    println!(
        "    ratio {ratio:.2}, target ≥ {TARGET_RATIO}: {}",
        met_or_missed(ratio >= TARGET_RATIO)
    );
    Ok(())
}

/// Measures once: one worker runs the first task, and the other worker runs short tasks meanwhile.
async fn measure(
    server: &Server,
    programs: &Programs,
    (operation, amount): (&str, i64),
    short_tasks: i32,
) -> anyhow::Result<LogsResult> {
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, 2, &[]).await?;
    let schedule = "select rework.schedule($1, to_json($2::bigint))";
    let first: i64 = rework.client.query_one(schedule, &[&operation, &amount]).await?.get(0);
    while state(&rework, first).await? == "queued" {
        sleep(POLL_INTERVAL / 10).await;
    }
    let started = Instant::now();
    let schedule = "select count(*) from rework.schedule_many('hold', array_fill('5'::json, array[$1::integer]))";
    rework.client.query_one(schedule, &[&short_tasks]).await?;
    while state(&rework, first).await? == "running" {
        ensure!(started.elapsed() < TIMEOUT, "the first task is still running after {TIMEOUT:?}");
        sleep(POLL_INTERVAL).await;
    }
    let took = started.elapsed();
    rework.wait_until_drained(TIMEOUT).await?;
    let stored =
        "select count(*) from rework.log where task = $1 and stream = 'stdout' and not continues";
    let stored: i64 = rework.client.query_one(stored, &[&first]).await?.get(0);
    ensure!(
        operation != "print" || stored == amount,
        "only {stored} of {amount} lines are in the log"
    );
    let span = "select count(*), extract(epoch from max(finished_at) - min(started_at))::float8
                  from rework.task where id > $1 and state = 'done'";
    let row = rework.client.query_one(span, &[&first]).await?;
    let (done, seconds): (i64, f64) = (row.get(0), row.get(1));
    ensure!(done == i64::from(short_tasks), "only {done} of {short_tasks} tasks are done");
    rework.stop().await?;
    server.drop(database).await?;
    Ok(LogsResult {
        line_rate: stored as f64 / took.as_secs_f64(),
        task_rate: done as f64 / seconds,
    })
}

async fn state(rework: &Installation, task: i64) -> anyhow::Result<String> {
    let sql = "select state from rework.task where id = $1";
    Ok(rework.client.query_one(sql, &[&task]).await?.get(0))
}
