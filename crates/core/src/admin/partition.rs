//! Partitions of the log: one a day, made ahead of time, dropped when they are too old.

use chrono::{Days, NaiveDate, Utc};
use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
};

/// Days ahead of today that have a partition.
const DAYS_AHEAD: u64 = 3;

/// Makes the partitions of today and the next days that are missing. Who runs it at the same time
/// as another does no harm: a partition that was made meanwhile is left as it is.
pub async fn ensure(db: &Db) -> Result<()> {
    let today = Utc::now().date_naive();
    let days = (0..=DAYS_AHEAD).filter_map(|days| today.checked_add_days(Days::new(days)));
    for day in days.collect::<Vec<NaiveDate>>() {
        let params: [Param<'_>; 1] = [(&day, Type::DATE)];
        db.query(include_str!("sql/create_partition.sql"), &params).await?;
    }
    Ok(())
}
