//! Partitions of the log: one a day, made ahead of time, dropped when they are too old.

use chrono::{Days, NaiveDate, Utc};

use crate::{connect::Db, error::Result};

/// Days ahead of today that have a partition.
const DAYS_AHEAD: u64 = 3;

/// Makes the partitions of today and the next days that are missing. Who runs it at the same time
/// as another does no harm: a partition that was made meanwhile is left as it is.
pub async fn ensure(db: &Db) -> Result<()> {
    let today = Utc::now().date_naive();
    for day in (0..=DAYS_AHEAD).filter_map(|days| today.checked_add_days(Days::new(days))) {
        if let Some(next) = day.checked_add_days(Days::new(1)) {
            db.execute_script(&create(day, next)).await?;
        }
    }
    Ok(())
}

/// The statement for one day, in UTC. A day whose lines already went to the default partition
/// stays there. The lock waits no longer than a claim can bear.
fn create(day: NaiveDate, next: NaiveDate) -> String {
    let name = day.format("log_%Y%m%d");
    include_str!("sql/create_partition.sql")
        .replace("NAME", &name.to_string())
        .replace("FROM_DAY", &day.to_string())
        .replace("TO_DAY", &next.to_string())
}
