//! The measurement `bulk`: scheduling many tasks in one commit, by the command line and by the Rust client. Compares
//! both with a bare `COPY` of the same rows into a table of the same shape.

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
    spread::{Spread, met_or_missed},
};

/// The target: the least ratio of the rate to that of `COPY`.
const TARGET_RATIO: f64 = 0.6;

/// The size of the chunks in which `COPY` gets its rows, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// The options of `bulk`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of rows of one measurement
    #[arg(long, default_value_t = 200_000)]
    rows: u32,
    /// Number of measurements of each side
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

impl Default for Args {
    fn default() -> Args {
        Args { rows: 200_000, repeat: 3 }
    }
}

/// The three ways to insert rows that are compared.
#[derive(Debug, Clone, Copy)]
enum Side {
    Copy,
    CommandLine,
    Client,
}

/// The input of `noop`.
#[derive(Debug, Serialize, JsonSchema)]
struct TaskInput {
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
        let [copy, command_line, client] = rates.map(Spread::new);
        println!("  synchronous_commit {commit}: bare COPY {copy}");
        for (side, rate) in
            [("rework schedule --many", command_line), ("Client::schedule_many", client)]
        {
            let ratio = rate.median() / copy.median();
            let met = met_or_missed(ratio >= TARGET_RATIO);
            println!("    {side} {rate}: ratio {ratio:.2}, target ≥ {TARGET_RATIO}: {met}");
        }
    }
    Ok(())
}

/// Measures one side in a fresh database. Returns rows per second.
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
        Side::CommandLine => (run_command(&database, programs, rows).await?, "rework.task"),
        Side::Client => (call_client(&database, rows).await?, "rework.task"),
    };
    let client = connect(&database.dsn).await?;
    let count = format!("select count(*), current_setting('synchronous_commit') from {table}");
    let row = client.query_one(&count, &[]).await?;
    let (count, setting): (i64, String) = (row.get(0), row.get(1));
    ensure!(
        count == i64::from(rows) && setting == commit,
        "{side:?}: {count} rows with synchronous_commit {setting}"
    );
    server.drop(database).await?;
    Ok(f64::from(rows) / took.as_secs_f64())
}

/// Measures `COPY` from memory, over a connection that is open already.
async fn copy(database: &Database, rows: u32) -> anyhow::Result<Duration> {
    let client = connect(&database.dsn).await?;
    client.batch_execute(include_str!("sql/bulk_table.sql")).await?;
    let chunks = chunks(rows);
    let started = Instant::now();
    let sql = "copy bare.task (operation, lane, state, input) from stdin";
    let mut sink = Box::pin(client.copy_in(sql).await?);
    for chunk in chunks {
        sink.feed(Cursor::new(chunk)).await?;
    }
    sink.as_mut().finish().await?;
    Ok(started.elapsed())
}

/// Returns the rows as text for `COPY`, in chunks of at most [`CHUNK_BYTES`].
fn chunks(rows: u32) -> Vec<Vec<u8>> {
    let mut chunks = vec![Vec::new()];
    for n in 1..=rows {
        let row = format!("1\t1\tqueued\t{{\"n\": {n}}}\n");
        match chunks.last_mut() {
            Some(chunk) if chunk.len() + row.len() <= CHUNK_BYTES => chunk.extend(row.bytes()),
            _ => chunks.push(row.into_bytes()),
        }
    }
    chunks
}

/// Measures `rework schedule --many FILE`, from the start of the program to its end.
async fn run_command(
    database: &Database,
    programs: &Programs,
    rows: u32,
) -> anyhow::Result<Duration> {
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
    let started = Instant::now();
    let status = command.status().await?;
    let took = started.elapsed();
    ensure!(status.success(), "`rework schedule --many` failed: {status}");
    Ok(took)
}

/// Measures `Client::schedule_many` with values from memory, over a connection that is open already.
async fn call_client(database: &Database, rows: u32) -> anyhow::Result<Duration> {
    let client = Client::connect(&database.dsn).await?;
    // The pool of the client connects at its first use, which must not be measured.
    client.schedule_many("noop", Vec::<TaskInput>::new()).await?;
    let started = Instant::now();
    let tasks = client.schedule_many("noop", (1..=rows).map(|n| TaskInput { n })).await?;
    let took = started.elapsed();
    ensure!(tasks.len() == rows as usize, "{} ids for {rows} tasks", tasks.len());
    Ok(took)
}
