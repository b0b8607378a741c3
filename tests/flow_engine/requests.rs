//! The requests of people to flows: that they start, are aborted and are retried.

use rework_flow::model::{End, Event, Phase};
use rework_flow::plan::Plan;
use serde_json::Value;

use super::driven_flow::DrivenFlow;
use super::driver::{Driver, is_parked, not_reverted};
use super::random_plan::{random_input, random_plan};
use super::runs::{claim_tasks, record};

/// A flow that has stopped is retried at most so often.
const MOST_RESUMED: usize = 3;

/// This statement schedules a flow.
const SCHEDULE: &str = "select rework.schedule('flow', $1::text::json, domain => 'flows')";

/// Starts some flows with random plans, all in one transaction.
pub(super) fn start_flows(driver: &mut Driver<'_>, number: usize) -> Result<(), String> {
    let mut planned = Vec::new();
    for _ in 0..number {
        let input = random_input(&mut driver.random);
        let task: i64 = driver.session.query_value(SCHEDULE, &[&input.to_string()]);
        planned.push((task, random_plan(&mut driver.random, driver.operations), input));
    }
    driver.figures.flows += number;
    let first = driver.flows.len();
    plan_flows(driver, planned, 0);
    driver.compare(&(first..first + number).collect::<Vec<_>>())
}

/// Starts a flow with this plan.
pub(super) fn start_flow(driver: &mut Driver<'_>, plan: Plan, input: Value) {
    let task: i64 = driver.session.query_value(SCHEDULE, &[&input.to_string()]);
    plan_flows(driver, vec![(task, plan, input)], 0);
}

/// Lets the tasks of some flows return their plans, all in one transaction. The tasks are in the order of their ids.
fn plan_flows(driver: &mut Driver<'_>, flows: Vec<(i64, Plan, Value)>, earlier_task: i64) {
    let tasks: Vec<i64> = flows.iter().map(|(task, _, _)| *task).collect();
    let runs = claim_tasks(&driver.session, &tasks);
    let mut outputs = Vec::new();
    for (&run, (_, plan, input)) in runs.iter().zip(flows) {
        outputs.push(Some(serde_json::to_string(&plan).unwrap()));
        let mut flow = DrivenFlow::new(run, plan, input, driver.operations, earlier_task);
        flow.failures = [3, 12, 30][driver.random.usize(..3)];
        driver.figures.simple += usize::from(flow.is_simple());
        driver.figures.steps += flow.steps();
        driver.flows.push(flow);
    }
    record(&driver.session, &runs, &["planned"], &[], &outputs);
}

/// Records again that the code of a flow has returned its plan, which counts for nothing.
pub(super) fn plan_twice(driver: &mut Driver<'_>) -> Result<(), String> {
    let aborting = driver.flows.iter().position(|flow| flow.model.task_state() == "aborting");
    let Some(flow) = aborting.or_else(|| driver.random_flow()) else { return Ok(()) };
    let run = driver.flows[flow].run;
    record(&driver.session, &[run], &["planned"], &[], &[Some("{}".to_owned())]);
    driver.compare(&[flow])
}

/// Aborts a flow at random.
pub(super) fn abort_flow(driver: &mut Driver<'_>) -> Result<(), String> {
    let Some(flow) = driver.random_flow() else { return Ok(()) };
    abort(driver, flow)
}

/// Aborts this flow. In one case of two it is not to be reverted.
pub(super) fn abort(driver: &mut Driver<'_>, flow: usize) -> Result<(), String> {
    let revert = driver.random.bool();
    abort_with(driver, flow, revert)
}

/// Aborts this flow.
pub(super) fn abort_with(driver: &mut Driver<'_>, flow: usize, revert: bool) -> Result<(), String> {
    let id = driver.flows[flow].id;
    driver.session.query("select rework.abort($1, 'by test', $2)", &[&id, &revert]);
    driver.figures.aborts += 1;
    driver.flows[flow].apply(Event::Aborted { revert });
    driver.compare(&[flow])
}

/// Aborts a task of a flow at random. One that runs ends later.
pub(super) fn abort_task(driver: &mut Driver<'_>) -> Result<(), String> {
    let Some(flow) = driver.random_flow() else { return Ok(()) };
    let tasks = driver.flows[flow].open.len();
    if tasks == 0 {
        return Ok(());
    }
    let (work, task) = driver.flows[flow].open[driver.random.usize(..tasks)].clone();
    driver.session.query("select rework.abort($1, 'by test')", &[&task.id]);
    driver.figures.aborts += 1;
    if let Some(work) = work.filter(|_| task.state == "queued") {
        let end = End::Failed("aborted by test".to_owned());
        driver.flows[flow].apply(Event::Ended(vec![(work, end)]));
    }
    driver.compare(&[flow])
}

/// Retries some of the flows that wait for somebody.
pub(super) fn retry_flows(driver: &mut Driver<'_>) -> Result<(), String> {
    for flow in 0..driver.flows.len() {
        if !is_parked(&driver.flows[flow].model) || driver.random.u8(..3) > 0 {
            continue;
        }
        let failed = not_reverted(&driver.flows[flow].model);
        let reverted = (driver.random.u8(..3) == 0 && !failed.is_empty())
            .then(|| failed[driver.random.usize(..failed.len())]);
        if reverted.is_none() && driver.random.u8(..6) == 0 {
            abort(driver, flow)?;
            continue;
        }
        let name = reverted.map(|number| driver.flows[flow].step_name(number).to_owned());
        let id = driver.flows[flow].id;
        driver.session.query("select rework.retry_flow($1, $2)", &[&id, &name]);
        driver.figures.retries += 1;
        driver.flows[flow].apply(Event::Retried { reverted });
        driver.compare(&[flow])?;
    }
    Ok(())
}

/// Checks the flows that have ended. Retries some of them, and forgets the others.
pub(super) fn remove_ended(driver: &mut Driver<'_>) -> Result<(), String> {
    for flow in (0..driver.flows.len()).rev() {
        let phase = driver.flows[flow].model.phase();
        if !phase.is_end() {
            continue;
        }
        driver.flows[flow].check_end(&driver.session)?;
        let id = driver.flows[flow].id;
        let is_retried = match phase {
            Phase::Stopped => {
                driver.flows[flow].resumed < MOST_RESUMED && driver.random.u8(..4) > 0
            }
            Phase::Reverted => driver.random.u8(..10) == 0,
            _ => false,
        };
        if is_retried {
            driver.session.query("select rework.retry_flow($1)", &[&id]);
            driver.figures.retries += 1;
        }
        if is_retried && phase == Phase::Stopped {
            driver.flows[flow].resumed += 1;
            driver.flows[flow].apply(Event::Retried { reverted: None });
            driver.compare(&[flow])?;
            continue;
        }
        let ended = driver.flows.swap_remove(flow);
        let scopes = ended.model.scopes().iter();
        driver.figures.rounds += scopes.map(|scope| scope.round - 1).sum::<u32>();
        if is_retried {
            plan_again(driver, &ended)?;
            continue;
        }
        match phase {
            Phase::Done => driver.figures.done += 1,
            Phase::Reverted => driver.figures.reverted += 1,
            _ => driver.figures.stopped += 1,
        }
    }
    Ok(())
}

/// Gives a new plan to a flow that was reverted and is retried.
fn plan_again(driver: &mut Driver<'_>, ended: &DrivenFlow<'_>) -> Result<(), String> {
    let earlier_task = driver.session.query_value("select max(id) from rework.task", &[]);
    let plan = random_plan(&mut driver.random, driver.operations);
    plan_flows(driver, vec![(ended.id, plan, ended.input().clone())], earlier_task);
    let flow = driver.flows.len() - 1;
    driver.compare(&[flow])
}
