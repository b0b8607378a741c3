//! A worker of flows without any process. It claims the tasks of steps and records their ends, with the statement that
//! workers send. So the time of each end can be measured, in a flow of any size and age.

use std::{ops::RangeInclusive, time::Instant};

use anyhow::{Context as _, ensure};
use rework::Flow;
use rework_core::{
    db::{connect::Db, dsn::Dsn},
    flow::find_operations::find_operations,
    task::{
        complete::{Completion, Outcome, Recorded, complete},
        fence::Fence,
        payload::Payload,
    },
};
use rework_flow::{compile, operations::names};
use serde_json::json;
use tokio_postgres::Client;

use crate::database::{Database, connect};

/// The domain of the operations.
const DOMAIN: &str = "bench";

/// The connections of the worker.
pub(crate) struct FlowWorker {
    db: Db,
    /// A connection for everything that is not measured.
    admin: Client,
}

impl FlowWorker {
    pub(crate) async fn connect(database: &Database) -> anyhow::Result<FlowWorker> {
        let db = Db::connect(&Dsn::parse(&database.dsn)?, "rework worker").await?;
        Ok(FlowWorker { db, admin: connect(&database.dsn).await? })
    }

    /// Schedules a task, and records this plan as what its code has returned. Returns the id of the flow, and how long
    /// recording took, in microseconds.
    pub(crate) async fn start(&self, flow: &Flow) -> anyhow::Result<(i64, f64)> {
        let description = flow.description()?;
        let operations = find_operations(&self.db, &names(&description)).await?;
        let plan = serde_json::to_string(&compile(&description, DOMAIN, None, &operations)?)?;
        let schedule = r#"select rework.schedule('line', '{"steps": 1}')"#;
        let id: i64 = self.admin.query_one(schedule, &[]).await?.get(0);
        let ends = self.claim(id, None, Outcome::Planned, Payload::Json(plan)).await?;
        Ok((id, self.record(&ends).await?))
    }

    /// Ends the tasks of the started steps with these numbers. Returns how long recording took, in microseconds.
    pub(crate) async fn end(
        &self,
        flow: i64,
        steps: RangeInclusive<i32>,
        outcome: Outcome,
    ) -> anyhow::Result<f64> {
        let output = Payload::Json("1".to_owned());
        let ends = self.claim(flow, Some(&steps), outcome, output).await?;
        ensure!(!ends.is_empty(), "no step from {} to {} has started", steps.start(), steps.end());
        self.record(&ends).await
    }

    /// Returns the phase of a flow.
    pub(crate) async fn phase(&self, flow: i64) -> anyhow::Result<String> {
        let phase = "select phase from rework.flow where id = $1";
        Ok(self.admin.query_one(phase, &[&flow]).await?.get(0))
    }

    /// Claims the tasks of steps, or without `steps` that of the flow. Returns the ends of their runs.
    async fn claim(
        &self,
        flow: i64,
        steps: Option<&RangeInclusive<i32>>,
        outcome: Outcome,
        output: Payload,
    ) -> anyhow::Result<Vec<Completion>> {
        let (first, last) = (steps.map(|steps| *steps.start()), steps.map(|steps| *steps.end()));
        let sql = include_str!("sql/flows_claim.sql");
        let rows = self.admin.query(sql, &[&flow, &first, &last]).await?;
        let failed = outcome == Outcome::Failed;
        let error = failed.then(|| json!({"kind": "error", "message": "no", "traceback": null}));
        let reason = failed.then(|| "no".to_owned());
        let end_of = |row: &tokio_postgres::Row| Completion {
            error: error.clone(),
            output: if failed { Payload::None } else { output.clone() },
            started: Some(Instant::now()),
            ..Completion::new(
                Fence { task: row.get(0), run: row.get(1), token: row.get(2) },
                outcome,
                reason.clone(),
            )
        };
        Ok(rows.iter().map(end_of).collect())
    }

    /// Records ends in one transaction. Returns how long that took, in microseconds.
    async fn record(&self, ends: &[Completion]) -> anyhow::Result<f64> {
        let started = Instant::now();
        let recorded = complete(&self.db, ends, None).await.context("recording ends")?;
        let taken_us = started.elapsed().as_secs_f64() * 1e6;
        let all = recorded.iter().all(|recorded| matches!(recorded, Recorded::Now { .. }));
        ensure!(all && !ends.is_empty(), "not every end was recorded");
        Ok(taken_us)
    }
}
