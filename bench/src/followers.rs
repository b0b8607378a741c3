//! The measurement `followers`: two warm workers run many no-op tasks, and a no-op task follows each of them
//! (`run_after`). Compares the rate of all tasks, with the followers, with that of as many tasks that nothing follows
//! (`drain.rs`).

use crate::{
    database::Server,
    drain::{BATCH, Queue, drain},
    installation::Programs,
    spread::{Drained, Spread, met_or_missed},
};

/// The target: the least ratio of the rate with followers to the rate without them.
const TARGET_RATIO: f64 = 0.4;

/// The options of `followers`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Number of workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Number of tasks of one measurement; with followers, half of them are followers
    #[arg(long, default_value_t = 100_000)]
    tasks: i32,
    /// Number of measurements of each side
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Values of `synchronous_commit` to measure with
    #[arg(long, value_delimiter = ',', default_values = ["on", "off"])]
    sync: Vec<String>,
}

impl Default for Args {
    fn default() -> Args {
        Args { workers: 2, tasks: 100_000, repeat: 3, sync: vec!["on".into(), "off".into()] }
    }
}

pub(crate) async fn run(
    server: &Server,
    programs: &Programs,
    args: &Args,
    quick: bool,
) -> anyhow::Result<()> {
    let (tasks, repeat) = if quick { (5_000, 1) } else { (args.tasks, args.repeat) };
    println!(
        "\nfollowers: tasks/s of {tasks} no-op tasks, median of {repeat} (least … most); a task \
         follows each of the {} that are scheduled",
        tasks / 2
    );
    for sync in &args.sync {
        let (mut plain, mut followed) = (Vec::new(), Vec::new());
        for _ in 0..repeat {
            for (queue, runs) in
                [(Queue::plain(tasks), &mut plain), (Queue::followed(tasks / 2), &mut followed)]
            {
                runs.push(drain(server, programs, args.workers, BATCH, &queue, sync).await?);
            }
        }
        print_comparison(args.workers, sync, &plain, &followed);
    }
    Ok(())
}

fn print_comparison(workers: usize, sync: &str, plain: &[Drained], followed: &[Drained]) {
    let spread = |runs: &[Drained], figure: fn(&Drained) -> f64| {
        Spread::new(runs.iter().map(figure).collect())
    };
    let rates = [plain, followed].map(|runs| spread(runs, |run| run.rate));
    let costs = [plain, followed].map(|runs| spread(runs, |run| run.cpu_us));
    let ratio = rates[1].median() / rates[0].median();
    println!(
        "  synchronous_commit {sync}, {workers} workers: without followers {}, with followers {}",
        rates[0], rates[1]
    );
    println!(
        "    ratio {ratio:.2}, target ≥ {TARGET_RATIO}: {}",
        met_or_missed(ratio >= TARGET_RATIO)
    );
    println!("    CPU of a task, µs: without followers {}, with followers {}", costs[0], costs[1]);
}
