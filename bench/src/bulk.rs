//! Bulk: many tasks in one commit, by the command line and by the Rust client, beside bare `COPY` of
//! the same rows into a table of the same shape.

use std::{
    fmt::Write as _,
    fs,
    io::Cursor,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures_util::SinkExt as _;
use rework_client::Client;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    database::{Database, Server, connect},
    installation::Programs,
    spread::{Spread, verdict},
};

/// The least share of the rate of `COPY`.
const TARGET: f64 = 0.6;

/// Bytes of rows that `COPY` is given at once.
const PIECE: usize = 64 << 10;

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Rows of one measurement
    #[arg(long, default_value_t = 200_000)]
    rows: u32,
    /// Measurements of each side
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { rows: 200_000, repeat: 3 }
    }
}

/// Who puts rows into a table.
#[derive(Debug, Clone, Copy)]
enum Side {
    Copy,
    CommandLine,
    Client,
}

/// What `noop` takes.
#[derive(Debug, Serialize, JsonSchema)]
struct Number {
    n: u32,
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let (rows, repeat) = if quick { (20_000, 1) } else { (args.rows, args.repeat) };
    println!("\nbulk: rows/s of {rows} tasks, median of {repeat} (least … most)");
    for commit in ["on", "off"] {
        let sides = [Side::Copy, Side::CommandLine, Side::Client];
        let mut rates = sides.map(|_| Vec::new());
        for _ in 0..repeat {
            for (side, rates) in sides.iter().zip(&mut rates) {
                rates.push(measure(server, programs, *side, commit, rows).await?);
            }
        }
        let [copy, typed, called] = rates.map(Spread::new);
        println!("  synchronous_commit {commit}: bare COPY {copy}");
        for (who, rate) in [("rework schedule --many", typed), ("Client::schedule_many", called)] {
            let ratio = rate.median() / copy.median();
            let verdict = verdict(ratio >= TARGET);
            println!("    {who} {rate}: ratio {ratio:.2}, target ≥ {TARGET}: {verdict}");
        }
    }
    Ok(())
}

/// Rows per second of one side, in a database of its own.
async fn measure(
    server: &Server,
    programs: &Programs,
    side: Side,
    commit: &str,
    rows: u32,
) -> anyhow::Result<f64> {
    let mut database = server.create().await?;
    programs.set_up(&database).await?;
    database.dsn = format!("{}?options=-c%20synchronous_commit%3D{commit}", database.dsn);
    let (took, table) = match side {
        Side::Copy => (copy(&database, rows).await?, "bare.task"),
        Side::CommandLine => (schedule(&database, programs, rows).await?, "rework.task"),
        Side::Client => (call(&database, rows).await?, "rework.task"),
    };
    let client = connect(&database.dsn).await?;
    let count = format!("select count(*), current_setting('synchronous_commit') from {table}");
    let row = client.query_one(&count, &[]).await?;
    let (there, setting): (i64, String) = (row.get(0), row.get(1));
    ensure!(there == i64::from(rows) && setting == commit, "{side:?}: {there} rows, {setting}");
    server.drop(database).await?;
    Ok(f64::from(rows) / took.as_secs_f64())
}

/// Over a connection that is there, from memory.
async fn copy(database: &Database, rows: u32) -> anyhow::Result<Duration> {
    let client = connect(&database.dsn).await?;
    client.batch_execute(include_str!("sql/bulk_table.sql")).await?;
    let pieces = pieces(rows);
    let began = Instant::now();
    let sql = "copy bare.task (operation, lane, state, input) from stdin";
    let mut sink = Box::pin(client.copy_in(sql).await?);
    for piece in pieces {
        sink.feed(Cursor::new(piece)).await?;
    }
    sink.as_mut().finish().await?;
    Ok(began.elapsed())
}

fn pieces(rows: u32) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for n in 1..=rows {
        let row = format!("1\t1\tqueued\t{{\"n\": {n}}}\n");
        match pieces.last_mut() {
            Some(piece) if piece.len() + row.len() <= PIECE => piece.extend(row.bytes()),
            _ => pieces.push(row.into_bytes()),
        }
    }
    pieces
}

/// From the start of the program to its end, from a file.
async fn schedule(database: &Database, programs: &Programs, rows: u32) -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("inputs.jsonl");
    let mut lines = String::new();
    for n in 1..=rows {
        writeln!(lines, "{{\"n\": {n}}}")?;
    }
    fs::write(&file, lines)?;
    let mut command = programs.command(database);
    command.args(["schedule", "noop", "-q", "--many"]).arg(&file);
    let ids = fs::File::create(folder.path().join("ids"))?;
    command.stdout(ids).stderr(Stdio::null());
    let began = Instant::now();
    let ended = command.status().await?;
    let took = began.elapsed();
    ensure!(ended.success(), "`rework schedule --many` ended with {ended}");
    Ok(took)
}

/// Over a client that is connected, from values.
async fn call(database: &Database, rows: u32) -> anyhow::Result<Duration> {
    let client = Client::connect(&database.dsn).await?;
    // Its pool connects when it is first used.
    client.schedule_many("noop", Vec::<Number>::new()).await?;
    let began = Instant::now();
    let tasks = client.schedule_many("noop", (1..=rows).map(|n| Number { n })).await?;
    let took = began.elapsed();
    ensure!(tasks.len() == rows as usize, "{} ids", tasks.len());
    Ok(took)
}
