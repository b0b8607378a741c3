//! Latency: a worker waits, a task is scheduled from SQL; the time from the return of the commit to
//! the first instruction of the operation's code, which notes it itself. Both are on one machine
//! and read one clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    spread::{Spread, verdict},
};

/// The median, and what one in a hundred may take, in milliseconds.
const TARGETS_MS: (f64, f64) = (1.2, 3.0);

/// More than a task takes.
const QUIET: Duration = Duration::from_millis(10);

const PATIENCE: Duration = Duration::from_secs(30);

/// Workers that wait: one that starts the task, and one that does not.
const WORKERS: usize = 2;

/// How much.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Tasks that follow each other in 20 to 50 ms
    #[arg(long, default_value_t = 300)]
    close: u32,
    /// Tasks that follow each other in a second
    #[arg(long, default_value_t = 60)]
    apart: u32,
}

impl Default for Args {
    fn default() -> Args {
        Args { close: 300, apart: 60 }
    }
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let (close, apart) = if quick { (50, 5) } else { (args.close, args.apart) };
    println!("\nlatency: from the commit of a task to the first instruction of its code, ms");
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, WORKERS, &[]).await?;
    // Never in step with anything that ticks.
    let uneven = |n: u32| Duration::from_millis(20 + u64::from(n * 7 % 31));
    report(&mut rework, "every 20 to 50 ms", close, uneven).await?;
    report(&mut rework, "every second", apart, |n| {
        Duration::from_millis(985 + u64::from(n * 7 % 31))
    })
    .await?;
    rework.stop().await?;
    server.drop(database).await
}

async fn report(
    rework: &mut Installation,
    what: &str,
    times: u32,
    pause: impl Fn(u32) -> Duration,
) -> anyhow::Result<()> {
    let mut values = Vec::new();
    for n in 0..times {
        sleep(pause(n)).await;
        values.push(start(rework).await?);
    }
    let values = Spread::new(values);
    let (p50, p95, p99) = (values.median(), values.quantile(0.95), values.quantile(0.99));
    println!("  {what}, {times} times: p50 {p50:.2}, p95 {p95:.2}, p99 {p99:.2}");
    let (median, worst) = TARGETS_MS;
    println!("    target p50 ≤ {median} ms: {}", verdict(p50 <= median));
    println!("    target p99 ≤ {worst} ms: {}", verdict(p99 <= worst));
    Ok(())
}

/// Milliseconds from the commit of one task to its first instruction.
pub(crate) async fn start(rework: &mut Installation) -> anyhow::Result<f64> {
    let scheduled = rework.client.query_one("select rework.schedule('stamp')", &[]).await?;
    let committed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as f64;
    let task: i64 = scheduled.get(0);
    // To look on would take of the machine what is measured.
    sleep(QUIET).await;
    rework.drained(PATIENCE).await?;
    let output = "select output::text::bigint from rework.task where id = $1 and state = 'done'";
    let began: i64 = rework.client.query_one(output, &[&task]).await?.get(0);
    Ok((began as f64 - committed) / 1_000.0)
}
