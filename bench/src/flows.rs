//! The measurement `flows`: how long a flow of 100 no-op steps takes with one idle worker, and the rate of the steps of
//! many flows, compared with that of plain no-op tasks. `flow_costs.rs` measures single transactions of large and old
//! flows.

use std::time::Duration;

use crate::{
    database::Server,
    drain::{BATCH, Queue, drain},
    flow_costs,
    installation::{Installation, Programs},
    spread::{Drained, Spread, met_or_missed},
};

/// The target: the longest time from scheduling a flow of [`LINE`] steps to its end, in milliseconds.
const TARGET_LINE_MS: f64 = 150.0;

/// The target: the least ratio of the rate of steps to that of plain tasks.
const TARGET_RATIO: f64 = 0.3;

/// Number of steps of the flow whose duration is measured.
const LINE: i32 = 100;

/// Number of workers that run many flows.
const WORKERS: usize = 2;

/// The longest time that a flow may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The options of `flows`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of flows of 10 steps of one measurement
    #[arg(long, default_value_t = 1_000)]
    flows: i32,
    /// Number of plain tasks of one measurement
    #[arg(long, default_value_t = 100_000)]
    tasks: i32,
    /// Number of measurements of each side
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// The measures to run
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    only: Vec<Part>,
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A flow of 100 steps
    Line,
    /// The rate of the steps of many flows
    Rate,
    /// A plan of 5,000 steps, and their reverts
    Plan,
    /// The end of a step in large and in old flows
    Ends,
}

impl Part {
    const ALL: [Part; 4] = [Part::Line, Part::Rate, Part::Plan, Part::Ends];
}

impl Default for Args {
    fn default() -> Args {
        Args { flows: 1_000, tasks: 100_000, repeat: 3, only: Part::ALL.to_vec() }
    }
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let mut args = args.clone();
    if quick {
        (args.flows, args.tasks, args.repeat) = (50, 5_000, 1);
    }
    println!("\nflows:");
    for part in &args.only {
        match part {
            Part::Line => measure_line(server, programs, if quick { 3 } else { 20 }).await?,
            Part::Rate => measure_rate(server, programs, &args).await?,
            Part::Plan => flow_costs::measure_plan(server, programs, args.repeat, quick).await?,
            Part::Ends => flow_costs::measure_ends(server, programs, quick).await?,
        }
    }
    Ok(())
}

/// Measures the time from scheduling a flow to its end, with one worker that is idle before.
async fn measure_line(server: &Server, programs: &Programs, times: usize) -> anyhow::Result<()> {
    let database = server.create().await?;
    let mut rework = Installation::start(&database, programs, 1, &[]).await?;
    let schedule = format!(r#"select rework.schedule('line', '{{"steps": {LINE}}}')"#);
    let duration = "select extract(epoch from finished_at - queued_at)::float8 * 1000 \
                    from rework.task where id = $1 and state = 'done'";
    let mut values = Vec::new();
    // The first flow warms the plans of the server.
    for _ in 0..=times {
        let flow: i64 = rework.client.query_one(&schedule, &[]).await?.get(0);
        rework.wait_until_drained(TIMEOUT).await?;
        values.push(rework.client.query_one(duration, &[&flow]).await?.get(0));
    }
    rework.stop().await?;
    server.drop(database).await?;
    let values = Spread::new(values.split_off(1));
    println!("  {LINE} no-op steps in a line, one idle worker, {times} times: {values} ms");
    let met = met_or_missed(values.median() <= TARGET_LINE_MS);
    println!("    from schedule to end, target ≤ {TARGET_LINE_MS} ms: {met}");
    Ok(())
}

/// Measures the rate of the steps of many flows, compared with that of plain tasks.
async fn measure_rate(server: &Server, programs: &Programs, args: &Args) -> anyhow::Result<()> {
    let (mut plain, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        for (queue, runs) in
            [(Queue::plain(args.tasks), &mut plain), (Queue::flows(args.flows), &mut steps)]
        {
            runs.push(drain(server, programs, WORKERS, BATCH, &queue, "on").await?);
        }
    }
    let spread = |runs: &[Drained], figure: fn(&Drained) -> f64| {
        Spread::new(runs.iter().map(figure).collect())
    };
    let rates = [&plain, &steps].map(|runs| spread(runs, |run| run.rate));
    let costs = [&plain, &steps].map(|runs| spread(runs, |run| run.cpu_us));
    let ratio = rates[1].median() / rates[0].median();
    println!(
        "  {} flows of 10 no-op steps, {WORKERS} workers, median of {}: plain tasks/s {}, steps/s {}",
        args.flows, args.repeat, rates[0], rates[1]
    );
    let met = met_or_missed(ratio >= TARGET_RATIO);
    println!("    ratio {ratio:.2}, target ≥ {TARGET_RATIO}: {met}");
    println!("    CPU, µs: of a plain task {}, of a step {}", costs[0], costs[1]);
    Ok(())
}
