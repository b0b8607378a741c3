//! Aged: whether the rate holds while another session keeps an old snapshot, so that nothing of what was
//! ready once can be cleared away, and in a table that is full of what is done and of what is not for us.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use tokio::time::sleep;

use crate::{
    database::{Database, Server, connect},
    installation::{Installation, Programs},
    spread::{Spread, verdict},
};

/// The least share of the rate without it, in the last window.
const TARGET: f64 = 0.8;

/// The longest that one claim in a hundred may take.
const CLAIM_MS: f64 = 20.0;

/// Seconds of a window.
const WINDOW: i32 = 5;

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Tasks that are queued
    #[arg(long, default_value_t = 6_000_000)]
    tasks: i64,
    /// How long it is looked on
    #[arg(long, default_value_t = 60)]
    seconds: i32,
    /// Tasks that are done before
    #[arg(long, default_value_t = 5_000_000)]
    done: i64,
    /// Tasks that are ready before, and not for this host
    #[arg(long, default_value_t = 1_000_000)]
    elsewhere: i64,
    /// How many workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { tasks: 6_000_000, seconds: 60, done: 5_000_000, elsewhere: 1_000_000, workers: 2 }
    }
}

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burden {
    Nothing,
    Snapshot,
    Full,
}

/// What was seen.
struct Seen {
    rates: Vec<f64>,
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
    println!("\naged: tasks/s in windows of {WINDOW} s, of {} queued no-op tasks", args.tasks);
    let clean = measure(server, programs, &args, Burden::Nothing).await?;
    show("nothing in the way", &clean);
    for (what, burden) in
        [("an old snapshot", Burden::Snapshot), ("many done, and many for others", Burden::Full)]
    {
        let seen = measure(server, programs, &args, burden).await?;
        show(what, &seen);
        let last = |seen: &Seen| seen.rates.last().copied().unwrap_or_default();
        let ratio = last(&seen) / last(&clean);
        println!(
            "    last window {ratio:.2} of clean, target ≥ {TARGET}: {}",
            verdict(ratio >= TARGET)
        );
        let p99 = seen.claims.quantile(0.99);
        println!("    claim p99 {p99:.1} ms, target ≤ {CLAIM_MS}: {}", verdict(p99 <= CLAIM_MS));
    }
    Ok(())
}

fn show(what: &str, seen: &Seen) {
    let rates: Vec<String> = seen.rates.iter().map(|rate| format!("{:.1}", rate / 1e3)).collect();
    let (median, p99) = (seen.claims.median(), seen.claims.quantile(0.99));
    println!(
        "  {what}: thousands/s {}; claim median {median:.1} ms, p99 {p99:.1}",
        rates.join(" ")
    );
}

async fn measure(
    server: &Server,
    programs: &Programs,
    args: &Args,
    burden: Burden,
) -> anyhow::Result<Seen> {
    let database = server.create().await?;
    for (name, value) in [("log_min_duration_statement", "0"), ("log_parameter_max_length", "0")] {
        server.set(&database, name, value).await?;
    }
    let rework = Installation::start(&database, programs, args.workers, &[]).await?;
    if burden == Burden::Full {
        let before = include_str!("sql/aged_before.sql");
        rework.client.execute(before, &[&args.done, &args.elsewhere]).await?;
    }
    let old = connect(&database.dsn).await?;
    let read = "begin isolation level repeatable read; select count(*) from rework.operation";
    let queued: i32 = i32::try_from(args.tasks)?;
    rework.client.query(include_str!("sql/rework_schedule.sql"), &[&queued]).await?;
    if burden == Burden::Snapshot {
        old.batch_execute(read).await?;
    }
    let since: DateTime<Utc> =
        rework.client.query_one("select clock_timestamp()", &[]).await?.get(0);
    let from = server_log_bytes()?;
    sleep(Duration::from_secs(args.seconds.unsigned_abs().into())).await;
    let claims = claims(from)?;
    let rates = windows(&database, since, args.seconds).await?;
    drop(old);
    rework.stop().await?;
    server.drop(database).await?;
    Ok(Seen { rates, claims })
}

async fn windows(
    database: &Database,
    since: DateTime<Utc>,
    seconds: i32,
) -> anyhow::Result<Vec<f64>> {
    let client = connect(&database.dsn).await?;
    let sql = include_str!("sql/aged_windows.sql");
    let rows = client.query(sql, &[&since, &WINDOW, &(seconds / WINDOW)]).await?;
    Ok(rows.iter().map(|row| row.get::<_, i64>(1) as f64 / f64::from(WINDOW)).collect())
}

fn server_log() -> anyhow::Result<String> {
    let folder = std::env::var("REWORK_TEST_SOCKET_DIR").context("run bench/figures")?;
    Ok(format!("{folder}/../log"))
}

fn server_log_bytes() -> anyhow::Result<usize> {
    Ok(usize::try_from(std::fs::metadata(server_log()?)?.len())?)
}

/// How long claims took, in milliseconds, by what the server has logged since.
fn claims(from: usize) -> anyhow::Result<Spread> {
    let log = std::fs::read(server_log()?)?;
    let log = String::from_utf8_lossy(log.get(from..).unwrap_or_default()).into_owned();
    let claimed = |line: &str| -> Option<f64> {
        let (_, rest) = line.split_once("duration: ")?;
        let (took, what) = rest.split_once(" ms  execute")?;
        what.contains("-- claim:").then(|| took.parse().ok())?
    };
    Ok(Spread::new(log.lines().filter_map(claimed).collect()))
}
