//! The measurement `aged`: whether the rate stays the same in two bad situations. In one, another session keeps an old
//! snapshot, so that vacuum cannot remove the index entries of claimed tasks. In the other, the table is full of tasks
//! that are done, and of ready tasks for other hosts.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tokio_postgres::Row;

use crate::{
    database::{Database, Server, connect},
    installation::{Installation, Programs},
    spread::{Spread, met_or_missed},
};

/// The target: the least ratio of the rate in the last window to that of a clean table.
const TARGET_RATIO: f64 = 0.8;

/// The target for the 99th percentile of the duration of a claim, in milliseconds.
const TARGET_CLAIM_MS: f64 = 20.0;

/// The length of a window, in seconds. The rate is measured in each window.
const WINDOW_SECONDS: i32 = 5;

/// The options of `aged`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of tasks that are queued
    #[arg(long, default_value_t = 6_000_000)]
    tasks: i64,
    /// How long the rate is measured, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: i32,
    /// Number of done tasks in the full table
    #[arg(long, default_value_t = 5_000_000)]
    done: i64,
    /// Number of ready tasks for other hosts in the full table
    #[arg(long, default_value_t = 1_000_000)]
    elsewhere: i64,
    /// Number of workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { tasks: 6_000_000, seconds: 60, done: 5_000_000, elsewhere: 1_000_000, workers: 2 }
    }
}

/// The situation in which rework is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    /// Only the queued tasks are in the table.
    Clean,
    /// Another session keeps a snapshot from before the first claim.
    OldSnapshot,
    /// Many done tasks, and many ready tasks of other hosts, are in the table.
    FullTable,
}

/// The result of one measurement.
struct AgedResult {
    /// Tasks per second in each window.
    rates: Vec<f64>,
    /// Durations of the claims, in milliseconds.
    claims: Spread,
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let mut args = args.clone();
    if quick {
        (args.tasks, args.seconds, args.done, args.elsewhere) = (500_000, 10, 50_000, 10_000);
    }
    println!(
        "\naged: tasks/s in windows of {WINDOW_SECONDS} s, of {} queued no-op tasks",
        args.tasks
    );
    let clean = measure(server, programs, &args, Situation::Clean).await?;
    print_rates("nothing in the way", &clean);
    for (name, situation) in [
        ("an old snapshot", Situation::OldSnapshot),
        ("many done, and many for others", Situation::FullTable),
    ] {
        let measured = measure(server, programs, &args, situation).await?;
        print_rates(name, &measured);
        let last = |measured: &AgedResult| measured.rates.last().copied().unwrap_or_default();
        let ratio = last(&measured) / last(&clean);
        println!(
            "    last window {ratio:.2} of clean, target ≥ {TARGET_RATIO}: {}",
            met_or_missed(ratio >= TARGET_RATIO)
        );
        let p99 = measured.claims.quantile(0.99);
        let met = met_or_missed(p99 <= TARGET_CLAIM_MS);
        println!("    claim p99 {p99:.1} ms, target ≤ {TARGET_CLAIM_MS}: {met}");
    }
    Ok(())
}

fn print_rates(name: &str, measured: &AgedResult) {
    let rates: Vec<String> =
        measured.rates.iter().map(|rate| format!("{:.1}", rate / 1e3)).collect();
    let (median, p99) = (measured.claims.median(), measured.claims.quantile(0.99));
    println!(
        "  {name}: thousands/s {}; claim median {median:.1} ms, p99 {p99:.1}",
        rates.join(" ")
    );
}

async fn measure(
    server: &Server,
    programs: &Programs,
    args: &Args,
    situation: Situation,
) -> anyhow::Result<AgedResult> {
    let database = server.create().await?;
    // The durations of claims are read from the log of the server.
    for (name, value) in [("log_min_duration_statement", "0"), ("log_parameter_max_length", "0")] {
        server.set(&database, name, value).await?;
    }
    let rework = Installation::start(&database, programs, args.workers, &[]).await?;
    if situation == Situation::FullTable {
        let fill = include_str!("sql/aged_fill.sql");
        rework.client.execute(fill, &[&args.done, &args.elsewhere]).await?;
    }
    let observer = connect(&database.dsn).await?;
    let take_snapshot =
        "begin isolation level repeatable read; select count(*) from rework.operation";
    let queued: i32 = i32::try_from(args.tasks)?;
    rework.client.query(include_str!("sql/rework_schedule.sql"), &[&queued]).await?;
    if situation == Situation::OldSnapshot {
        observer.batch_execute(take_snapshot).await?;
    }
    let since: DateTime<Utc> =
        rework.client.query_one("select clock_timestamp()", &[]).await?.get(0);
    let log_start = server_log_bytes()?;
    sleep(Duration::from_secs(args.seconds.unsigned_abs().into())).await;
    let claims = claim_durations(log_start)?;
    let rates = rates_by_window(&database, since, args.seconds).await?;
    drop(observer);
    rework.stop().await?;
    server.drop(database).await?;
    Ok(AgedResult { rates, claims })
}

/// Returns the tasks per second in each window after `since`.
async fn rates_by_window(
    database: &Database,
    since: DateTime<Utc>,
    seconds: i32,
) -> anyhow::Result<Vec<f64>> {
    let client = connect(&database.dsn).await?;
    let sql = include_str!("sql/aged_windows.sql");
    let rows = client.query(sql, &[&since, &WINDOW_SECONDS, &(seconds / WINDOW_SECONDS)]).await?;
    let rate = |row: &Row| row.get::<_, i64>(1) as f64 / f64::from(WINDOW_SECONDS);
    Ok(rows.iter().map(rate).collect())
}

/// Returns the path of the server's log, as `scripts/with-postgres` lays it out.
fn server_log() -> anyhow::Result<String> {
    let folder = std::env::var("REWORK_TEST_SOCKET_DIR")
        .context("REWORK_TEST_SOCKET_DIR is not set: run bench/figures")?;
    Ok(format!("{folder}/../log"))
}

fn server_log_bytes() -> anyhow::Result<usize> {
    Ok(usize::try_from(std::fs::metadata(server_log()?)?.len())?)
}

/// Returns the durations of claims, in milliseconds, that the server has logged after its first `start` bytes.
fn claim_durations(start: usize) -> anyhow::Result<Spread> {
    let log = std::fs::read(server_log()?)?;
    let log = String::from_utf8_lossy(log.get(start..).unwrap_or_default()).into_owned();
    let duration_of_claim = |line: &str| -> Option<f64> {
        let (_, duration) = line.split_once("duration: ")?;
        let (milliseconds, statement) = duration.split_once(" ms  execute")?;
        statement.contains("-- claim:").then(|| milliseconds.parse().ok())?
    };
    Ok(Spread::new(log.lines().filter_map(duration_of_claim).collect()))
}
