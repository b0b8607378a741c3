//! The schema `rework`: made and brought up to date by the migrations, checked by everybody else.

use std::fmt::Write as _;

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    dsn::Dsn,
    error::{Error, Result},
    row::Columns,
};

mod embedded {
    refinery::embed_migrations!("../../migrations");
}

/// A chapter of the schema in this binary.
struct Chapter {
    number: i32,
    name: &'static str,
    /// As refinery stores it, in decimal.
    checksum: &'static str,
}

/// The chapters in their order, written by `build.rs`.
const CHAPTERS: &[Chapter] = include!(concat!(env!("OUT_DIR"), "/chapters.rs"));

/// The schema that this binary was written for: the number of its last migration.
pub const VERSION: i32 = 19;

/// Serialises whoever migrates; any number that nobody else uses.
const LOCK: i64 = 0x7265_776f_726b;

/// Brings the schema up to date, and says what it was and is. Nothing is ever dropped.
pub async fn migrate(dsn: &Dsn) -> Result<Migrated> {
    let mut db = Db::connect(dsn, "rework init-db").await?;
    // A lock of the session: the migrations are several transactions. It ends with the connection.
    db.execute_script(&format!("select pg_advisory_lock({LOCK})")).await?;
    match inspect(&db, dsn).await {
        Ok(version) if version > VERSION => return Ok(Migrated { applied: 0, version }),
        Ok(_) | Err(Error::SchemaOld { .. }) => {}
        // The number comes with the last chapter: others may be there of an attempt that was cut off.
        Err(Error::SchemaAbsent { .. }) => compare(&applied(&db).await?, dsn)?,
        Err(error) => return Err(error),
    }
    db.execute_script("create schema if not exists rework").await?;
    let report = embedded::migrations::runner()
        .set_migration_table_name("rework.migration")
        .run_async(db.client_mut())
        .await
        .map_err(|error| Error::Migration(Box::new(error)))?;
    crate::admin::partition::ensure(&db).await?;
    Ok(Migrated { applied: report.applied_migrations().len(), version: VERSION })
}

/// The SQL that `migrate` would run on an empty database, for whoever wants to read it first, and to
/// run it by hand.
pub fn script() -> String {
    let mut script = String::from(
        "begin;\ncreate schema if not exists rework;\n\
         create table if not exists rework.migration (\n    version int4 primary key, name varchar(255), \
         applied_on varchar(255), checksum varchar(255));\n",
    );
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    migrations.sort();
    for migration in migrations {
        let (version, name) = (migration.version(), migration.name());
        let _ = write!(
            script,
            "\n-- V{version:02}__{name}\n{}\ninsert into rework.migration values ({version}, '{name}', \
             to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '{}');\n",
            migration.sql().unwrap_or_default().trim_end(),
            migration.checksum()
        );
    }
    script.push_str("commit;\n");
    script
}

/// Gives a role rights: `schedule`, `read` or `run`.
pub async fn grant(db: &Db, role: &str, rights: &str) -> Result<()> {
    let params: [Param<'_>; 2] = [(&role, Type::NAME), (&rights, Type::TEXT)];
    db.query(include_str!("sql/grant_rights.sql"), &params).await.map(drop)
}

/// What `migrate` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations were applied; 0: it was up to date.
    pub applied: usize,
    /// The schema's version now.
    pub version: i32,
}

/// Refuses a schema that is absent, too old, too new or of another build, with what to do about it.
pub async fn check(db: &Db, dsn: &Dsn) -> Result<()> {
    inspect(db, dsn).await.map(drop)
}

/// The version of a schema that this binary can work with.
async fn inspect(db: &Db, dsn: &Dsn) -> Result<i32> {
    let row = match db.query_one(include_str!("sql/schema_version.sql"), &[]).await {
        Err(error) if error.is_undefined_table() => {
            return Err(Error::SchemaAbsent { database: dsn.database().to_owned() });
        }
        found => found?,
    };
    let row = Columns::new(&row);
    let chapters: Vec<i32> = row.get("chapters")?;
    let checksums: Vec<String> = row.get("checksums")?;
    compare(&chapters.into_iter().zip(checksums).collect::<Vec<_>>(), dsn)?;
    let (has, serves): (i32, i32) = (row.get("schema")?, row.get("serves")?);
    if has < VERSION {
        return Err(Error::SchemaOld { has, needs: VERSION });
    }
    if serves > VERSION {
        let binary = env!("CARGO_PKG_VERSION");
        return Err(Error::SchemaNew { has, serves, ours: VERSION, binary });
    }
    Ok(has)
}

/// The chapters that are there, with their checksums.
async fn applied(db: &Db) -> Result<Vec<(i32, String)>> {
    let rows = match db.query(include_str!("sql/schema_chapters.sql"), &[]).await {
        Err(error) if error.is_undefined_table() => return Ok(Vec::new()),
        found => found?,
    };
    let chapter = |row| {
        let row = Columns::of("migration", "version", row);
        Ok((row.get("version")?, row.get("checksum")?))
    };
    rows.iter().map(chapter).collect()
}

/// Until a version is released its chapters are edited in place, so a number alone says too little: of each
/// chapter that this binary has, the text must be the one that was applied.
fn compare(applied: &[(i32, String)], dsn: &Dsn) -> Result<()> {
    let other = CHAPTERS.iter().find(|chapter| {
        applied
            .iter()
            .any(|(number, checksum)| *number == chapter.number && *checksum != chapter.checksum)
    });
    match other {
        None => Ok(()),
        Some(chapter) => Err(Error::SchemaForeign {
            database: dsn.database().to_owned(),
            chapter: format!("{} ({})", chapter.number, chapter.name),
        }),
    }
}

/// Connects and checks the schema: what every command but `init-db` begins with.
pub async fn open(dsn: &Dsn, who: &str) -> Result<Db> {
    let db = Db::connect(dsn, who).await?;
    check(&db, dsn).await?;
    Ok(db)
}
