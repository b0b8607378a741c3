//! Creates the daily partitions of the log table ahead of time.
//!
//! `vacuum.rs` drops the partitions of past days when they are empty.

use chrono::{Days, NaiveDate, Utc};
use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
};

/// Number of days after today that get a partition. Lines can be written for that long although nothing runs
/// [`ensure_partitions`].
const DAYS_AHEAD: u64 = 3;

/// Creates the missing partitions for today and for the next three days.
///
/// Several processes may call this at the same time: a partition that exists is left as it is.
pub async fn ensure_partitions(db: &Db) -> Result<()> {
    let today = Utc::now().date_naive();
    let days = (0..=DAYS_AHEAD).filter_map(|days| today.checked_add_days(Days::new(days)));
    for day in days.collect::<Vec<NaiveDate>>() {
        let params: [Param<'_>; 1] = [(&day, Type::DATE)];
        db.query(include_str!("sql/create_partition.sql"), &params).await?;
    }
    Ok(())
}
