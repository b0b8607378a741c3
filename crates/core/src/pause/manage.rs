//! Pausing and resuming. The SQL functions `rework.pause` and `rework.resume` do it
//! (`migrations/V02__placement.sql`).

use tokio_postgres::{Row, types::Type};

use crate::{
    db::{
        connect::{Db, Param},
        error::{Error, Result},
        row::Columns,
    },
    pause::row::{Pause, Scope},
};

/// Pauses everything in a scope. Later claims take none of its tasks. Tasks that workers have claimed before may still
/// start: [`progress`](crate::pause::progress) says whether any can.
///
/// Returns the pause. If exactly this is paused already, returns the former one. `Err` with SQLSTATE `RW404` if a name
/// does not exist, and `RW300` if several domains have the operation.
pub async fn pause(db: &Db, scope: Scope<'_>) -> Result<Pause> {
    let row = db.query_one(include_str!("sql/pause.sql"), &params(&scope)).await?;
    let id: i64 = Columns::new(&row).get("id")?;
    let row = db.query_one(include_str!("sql/find_pause.sql"), &[(&id, Type::INT8)]).await?;
    read(&row)
}

/// Ends the pause of exactly this scope. Returns whether there was one. Other pauses may still concern the same tasks:
/// [`overlapping`] returns them.
///
/// `Err` with SQLSTATE `RW404` if a name does not exist, and `RW300` if the operation is paused in several domains.
pub async fn resume(db: &Db, scope: Scope<'_>) -> Result<bool> {
    let row = db.query_one(include_str!("sql/resume.sql"), &params(&scope)).await?;
    Columns::new(&row).get("resumed")
}

/// Returns the pauses that have tasks in common with a scope.
pub async fn overlapping(db: &Db, scope: Scope<'_>) -> Result<Vec<Pause>> {
    let rows = db.query(include_str!("sql/overlapping_pauses.sql"), &params(&scope)).await?;
    rows.iter().map(read).collect()
}

fn params<'a>(scope: &'a Scope<'a>) -> [Param<'a>; 3] {
    [(&scope.domain, Type::TEXT), (&scope.operation, Type::TEXT), (&scope.host, Type::TEXT)]
}

fn read(row: &Row) -> Result<Pause> {
    Columns::of("pause", "id", row).json("pause")?.ok_or(Error::NoRow)
}
