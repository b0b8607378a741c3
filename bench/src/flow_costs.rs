//! The parts `plan` and `ends` of the measurement `flows`: how long single transactions about flows take. No process
//! runs the steps (`flow_worker.rs`), so a flow can have as many steps and rounds as wanted.
//!
//! `ends` compares sides, each with a database of its own. Their ends alternate, so that a machine that becomes slower
//! affects both. With a controller, the server goes the slow way: it handles each flow alone
//! (`migrations/V29__flow_advance.sql`).

use anyhow::ensure;
use rework::{Flow, Step, Times};
use rework_core::task::complete::Outcome;
use tokio_postgres::Client;

use crate::{
    database::{Database, Server, connect},
    flow_worker::FlowWorker,
    installation::Programs,
    spread::{Spread, met_or_missed},
};

/// The target: the longest time of recording a plan, and of releasing its steps for their reverts, in milliseconds.
const TARGET_PLAN_MS: f64 = 1_000.0;

/// The target: the greatest ratio of the time of an end in a large or old flow to that in a small one.
const TARGET_RATIO: f64 = 1.2;

/// The target for that ratio on the slow way, while another session keeps an old snapshot.
const TARGET_SNAPSHOT_RATIO: f64 = 2.0;

/// Number of steps of a small flow.
const SMALL: i32 = 100;

/// Number of ends that are recorded together.
const BATCH: i32 = 500;

/// Measures how long recording a plan of 5,000 steps takes, and how long making the tasks that revert these steps.
pub(crate) async fn measure_plan(
    server: &Server,
    programs: &Programs,
    repeat: usize,
    quick: bool,
) -> anyhow::Result<()> {
    let steps = if quick { 500 } else { 5_000 };
    let database = new_database(server, programs).await?;
    let worker = FlowWorker::connect(&database).await?;
    let undoable = |n| no_op("undoable", n).revert("forget");
    let all = (0..steps).fold(Flow::unordered("all"), |flow, n| flow.add(undoable(n)));
    let (first, last) = (no_op("noop", steps), no_op("noop", steps + 1));
    let flow = Flow::linear("wide").add(first).add(all).add(last);
    let (mut plans, mut opens, mut undos) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repeat {
        let (id, plan_us) = worker.start(&flow).await?;
        plans.push(plan_us / 1e3);
        opens.push(worker.end(id, 0..=0, Outcome::Done).await? / 1e3);
        // Number 1 is the gate before the steps, and number `steps + 2` the one behind them.
        for first in (2..steps + 2).step_by(BATCH as usize) {
            let last = (first + BATCH - 1).min(steps + 1);
            worker.end(id, first..=last, Outcome::Done).await?;
        }
        undos.push(worker.end(id, steps + 3..=steps + 3, Outcome::Failed).await? / 1e3);
        let phase = worker.phase(id).await?;
        ensure!(phase == "reverting", "the flow is {phase}");
    }
    drop(worker);
    server.drop(database).await?;
    let [plans, opens, undos] = [plans, opens, undos].map(Spread::new);
    println!("  a flow of {steps} steps at once, one transaction each, median of {repeat}:");
    println!("    tasks of all steps made in {opens} ms");
    for (name, values) in [("plan recorded", plans), ("all released for undo", undos)] {
        let met = met_or_missed(values.median() <= TARGET_PLAN_MS);
        println!("    {name} in {values} ms, target ≤ {TARGET_PLAN_MS} ms: {met}");
    }
    Ok(())
}

/// The numbers of steps, rounds and ends to measure with.
struct Sizes {
    /// Number of steps of a large flow.
    large: i32,
    /// Number of rounds before the ends are measured.
    rounds: u32,
    /// Number of ends that are measured of each side.
    samples: usize,
}

/// Measures how long the end of a step takes: among many steps, after many rounds, and with an old snapshot.
pub(crate) async fn measure_ends(
    server: &Server,
    programs: &Programs,
    quick: bool,
) -> anyhow::Result<()> {
    let sizes = if quick {
        Sizes { large: 1_000, rounds: 20, samples: 50 }
    } else {
        Sizes { large: 19_900, rounds: 1_000, samples: 1_000 }
    };
    println!("  the end of a step, µs, median of {} (least … most):", sizes.samples);
    for (way, rounds, target) in
        [("hot way", None, TARGET_RATIO), ("slow way", Some(1), TARGET_SNAPSHOT_RATIO)]
    {
        let large = MeasuredFlow::new(server, programs, sizes.large, rounds).await?;
        let name = format!("{way}, among {} steps", sizes.large);
        compare(server, programs, &name, large, &sizes, TARGET_RATIO).await?;
        let mut old = MeasuredFlow::new(server, programs, sizes.large, rounds).await?;
        old.keep_snapshot().await?;
        let measured = i32::try_from(sizes.samples)?;
        old.advance(sizes.large - measured).await?;
        let name = format!("{way}, an old snapshot, after {} ends", sizes.large - measured);
        compare(server, programs, &name, old, &sizes, target).await?;
    }
    let mut old = MeasuredFlow::new(server, programs, SMALL, Some(2 * sizes.rounds)).await?;
    old.pass_rounds(sizes.rounds).await?;
    let name = format!("slow way, after {} rounds", sizes.rounds);
    compare(server, programs, &name, old, &sizes, TARGET_RATIO).await
}

/// Ends steps of a small flow and of this side alternately. Prints the times and their ratio, and drops both databases.
async fn compare(
    server: &Server,
    programs: &Programs,
    name: &str,
    mut other: MeasuredFlow,
    sizes: &Sizes,
    target: f64,
) -> anyhow::Result<()> {
    let mut small = MeasuredFlow::new(server, programs, SMALL, other.rounds.map(|_| 1)).await?;
    let (mut base, mut values) = (Vec::new(), Vec::new());
    for _ in 0..sizes.samples {
        base.push(small.next_end().await?);
        values.push(other.next_end().await?);
    }
    for side in [small, other] {
        drop((side.worker, side.observer));
        server.drop(side.database).await?;
    }
    let [base, values] = [base, values].map(Spread::new);
    let ratio = values.median() / base.median();
    println!("    {name}: {values}; among {SMALL} steps: {base}");
    let met = met_or_missed(ratio <= target);
    println!("      ratio {ratio:.2}, target ≤ {target}: {met}");
    Ok(())
}

/// A database with flows of one form, whose steps are ended one by one.
struct MeasuredFlow {
    database: Database,
    worker: FlowWorker,
    flow: Flow,
    /// Number of steps.
    steps: i32,
    /// Number of rounds that the controller of the flow allows. `None` if it has no controller.
    rounds: Option<u32>,
    /// The id of the present flow.
    id: i64,
    /// Number of its steps that have ended, in this round.
    ended: i32,
    /// The connection that keeps a snapshot. `None` if there is none.
    observer: Option<Client>,
}

impl MeasuredFlow {
    async fn new(
        server: &Server,
        programs: &Programs,
        steps: i32,
        rounds: Option<u32>,
    ) -> anyhow::Result<MeasuredFlow> {
        let database = new_database(server, programs).await?;
        let worker = FlowWorker::connect(&database).await?;
        let line = (0..steps).fold(Flow::linear("line"), |flow, n| flow.add(no_op("noop", n)));
        let flow = match rounds {
            Some(rounds) => line.retry(Times(rounds)),
            None => line,
        };
        let (id, _) = worker.start(&flow).await?;
        Ok(MeasuredFlow { database, worker, flow, steps, rounds, id, ended: 0, observer: None })
    }

    /// Keeps a snapshot, so that vacuum removes nothing that is updated from now on.
    async fn keep_snapshot(&mut self) -> anyhow::Result<()> {
        let observer = connect(&self.database.dsn).await?;
        let sql = "begin isolation level repeatable read; select count(*) from rework.step";
        observer.batch_execute(sql).await?;
        self.observer = Some(observer);
        Ok(())
    }

    /// Ends the next step. Returns how long that took, in microseconds. After the last step, another flow begins; if
    /// rounds are left, the last step fails, and another round begins.
    async fn next_end(&mut self) -> anyhow::Result<f64> {
        if self.ended == self.steps {
            (self.id, _) = self.worker.start(&self.flow).await?;
            self.ended = 0;
        }
        let is_last = self.ended + 1 == self.steps;
        if is_last && self.rounds.is_some_and(|rounds| rounds > 1) {
            self.end(Outcome::Failed).await?;
            self.ended = 0;
        }
        self.end(Outcome::Done).await
    }

    /// Ends this number of steps.
    async fn advance(&mut self, ends: i32) -> anyhow::Result<()> {
        for _ in 0..ends {
            self.next_end().await?;
        }
        Ok(())
    }

    /// Lets the third step fail in this number of rounds.
    async fn pass_rounds(&mut self, rounds: u32) -> anyhow::Result<()> {
        for _ in 0..rounds {
            self.end(Outcome::Done).await?;
            self.end(Outcome::Done).await?;
            self.end(Outcome::Failed).await?;
            self.ended = 0;
        }
        Ok(())
    }

    async fn end(&mut self, outcome: Outcome) -> anyhow::Result<f64> {
        // With a controller, number 0 is the gate before the steps.
        let number = self.ended + i32::from(self.rounds.is_some());
        self.ended += 1;
        self.worker.end(self.id, number..=number, outcome).await
    }
}

/// Returns a step that does nothing.
fn no_op(operation: &str, n: i32) -> Step {
    Step::operation(operation).named(format!("step {n}")).inject("n", n)
}

/// Creates a database with the schema and the operations. Its commits do not wait for the disk.
async fn new_database(server: &Server, programs: &Programs) -> anyhow::Result<Database> {
    let database = server.create().await?;
    server.set(&database, "synchronous_commit", "off").await?;
    programs.set_up(&database).await?;
    Ok(database)
}
