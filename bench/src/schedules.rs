//! The measurement `schedules`: firing many schedules that are due at once, as one monitor does it.

use std::time::Instant;

use anyhow::ensure;
use rework_core::{
    admin::schema,
    cron::fire::{MAX_TOGETHER, fire},
    db::{connect::Db, dsn::Dsn, size_limit::SizeLimit},
};

use crate::{
    database::{Server, connect},
    spread::met_or_missed,
};

/// The target: instants that are fired in a second.
const TARGET: f64 = 20_000.0;

/// The number of schedules.
const SCHEDULES: i32 = 75_000;

/// Measures how many instants a second are fired.
pub(crate) async fn run(server: &Server, quick: bool) -> anyhow::Result<()> {
    let schedules = if quick { SCHEDULES / 25 } else { SCHEDULES };
    let database = server.create().await?;
    let dsn = Dsn::parse(&database.dsn)?;
    schema::migrate(&dsn).await?;
    let admin = connect(&database.dsn).await?;
    admin.execute(include_str!("sql/schedules_fill.sql"), &[&schedules]).await?;
    admin.batch_execute("vacuum analyze").await?;
    let db = Db::connect(&dsn, "rework monitor").await?;
    let (mut fired, mut failed) = (0, 0);
    let started = Instant::now();
    fire(&db, &["default".to_owned()], &SizeLimit::new(MAX_TOGETHER), |page| {
        fired += page.firings.iter().filter(|firing| firing.task.is_some()).count();
        failed += page.failures.len();
    })
    .await?;
    let seconds = started.elapsed().as_secs_f64();
    let tasks: i64 = admin.query_one("select count(*) from rework.task", &[]).await?.get(0);
    ensure!(failed == 0, "{failed} schedules failed");
    ensure!(
        fired as i64 == tasks && tasks >= i64::from(schedules),
        "{fired} of {schedules} schedules fired, with {tasks} tasks"
    );
    let rate = fired as f64 / seconds;
    let met = met_or_missed(rate >= TARGET);
    println!("schedules: {schedules} due at once: {rate:.0} instants/s, target {TARGET}: {met}");
    server.drop(database).await
}
