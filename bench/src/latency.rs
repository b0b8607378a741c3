//! The measurement `latency`: the time from the commit of a task to the first instruction of the operation's code,
//! while the workers are idle. The task is scheduled from SQL, and its operation returns the time at which it started.
//! Both run on one machine, so they read the same clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use crate::{
    database::Server,
    installation::{Installation, Programs},
    spread::{Spread, met_or_missed},
};

/// The targets for the median and for the 99th percentile, in milliseconds.
const TARGETS_MS: (f64, f64) = (1.2, 3.0);

/// The time after a commit in which the database is not polled. A task usually takes less time
/// until its end.
const TASK_TIME: Duration = Duration::from_millis(10);

/// The longest time that a task may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Number of idle workers: one starts the task, the other stays idle.
const WORKERS: usize = 2;

/// The options of `latency`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of tasks that are scheduled every 20 to 50 ms
    #[arg(long, default_value_t = 300)]
    close: u32,
    /// Number of tasks that are scheduled every second
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
    // Irregular, so that the tasks are never in phase with anything periodic.
    let irregular = |n: u32| Duration::from_millis(20 + u64::from(n * 7 % 31));
    print_latency(&mut rework, "every 20 to 50 ms", close, irregular).await?;
    print_latency(&mut rework, "every second", apart, |n| {
        Duration::from_millis(985 + u64::from(n * 7 % 31))
    })
    .await?;
    rework.stop().await?;
    server.drop(database).await
}

async fn print_latency(
    rework: &mut Installation,
    name: &str,
    times: u32,
    pause: impl Fn(u32) -> Duration,
) -> anyhow::Result<()> {
    let mut values = Vec::new();
    for n in 0..times {
        sleep(pause(n)).await;
        values.push(start_latency(rework).await?);
    }
    let values = Spread::new(values);
    let (p50, p95, p99) = (values.median(), values.quantile(0.95), values.quantile(0.99));
    println!("  {name}, {times} times: p50 {p50:.2}, p95 {p95:.2}, p99 {p99:.2}");
    let (target_p50, target_p99) = TARGETS_MS;
    println!("    target p50 ≤ {target_p50} ms: {}", met_or_missed(p50 <= target_p50));
    println!("    target p99 ≤ {target_p99} ms: {}", met_or_missed(p99 <= target_p99));
    Ok(())
}

/// Schedules a task. Returns the time from its commit to its first instruction, in milliseconds.
pub(crate) async fn start_latency(rework: &mut Installation) -> anyhow::Result<f64> {
    let scheduled = rework.client.query_one("select rework.schedule('stamp')", &[]).await?;
    let committed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as f64;
    let task: i64 = scheduled.get(0);
    // Polling earlier would take CPU time from what is measured.
    sleep(TASK_TIME).await;
    rework.wait_until_drained(TIMEOUT).await?;
    let output = "select output::text::bigint from rework.task where id = $1 and state = 'done'";
    let started: i64 = rework.client.query_one(output, &[&task]).await?.get(0);
    Ok((started as f64 - committed) / 1_000.0)
}
