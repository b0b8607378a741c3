//! The database schema `rework`: [`migrate`] installs and upgrades it, [`check`] verifies that this binary can use it.
//!
//! The files of `migrations/` are embedded in the binary. Each of them is called a chapter: it creates one table or
//! function, and has a number, a name and a checksum of its text. `rework init-db` calls [`migrate`]; every other
//! command calls [`open`].

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

/// A chapter of the schema, as it is embedded in this binary.
struct Chapter {
    number: i32,
    name: &'static str,
    /// The checksum of the chapter's text, in decimal digits, as refinery stores it in `rework.migration`.
    checksum: &'static str,
}

/// All chapters by ascending number. `build.rs` writes this list.
const CHAPTERS: &[Chapter] = include!(concat!(env!("OUT_DIR"), "/chapters.rs"));

/// The schema version that this binary was written for. The last chapter, `version`, stores the same number.
pub const VERSION: i32 = 28;

/// The table of the applied chapters, as refinery creates it.
const MIGRATION_TABLE: &str = "create schema if not exists rework;
create table if not exists rework.migration (
    version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255));
";

/// Installs the schema or upgrades it to [`VERSION`]. Drops nothing.
///
/// A newer schema that still supports this binary is left as it is.
///
/// # Errors
///
/// `Err` if the schema was created by another build, if it is too new for this binary, or if a chapter fails.
pub async fn migrate(dsn: &Dsn) -> Result<Migrated> {
    let dsn = &dsn.for_writing();
    let mut db = Db::connect(dsn, "rework init-db").await?;
    refuse_other_encodings(&db, dsn).await?;
    if let Some(version) = newer_version(&db, dsn).await? {
        return Ok(Migrated { applied: 0, is_new: false, version });
    }
    create_migration_table(&db).await?;
    let _lock = lock_migrations(dsn).await?;
    // Another process may have migrated the schema before the lock was free.
    if let Some(version) = newer_version(&db, dsn).await? {
        return Ok(Migrated { applied: 0, is_new: false, version });
    }
    let mut runner = embedded::migrations::runner();
    let chapters = runner.get_migrations().len();
    let migration = runner
        .set_migration_table_name("rework.migration")
        .run_async(db.client_mut())
        .await
        .map_err(|error| migration_error(&error))?;
    crate::admin::partition::ensure_partitions(&db).await?;
    let applied = migration.applied_migrations().len();
    Ok(Migrated { applied, is_new: applied == chapters, version: VERSION })
}

/// Refuses a database that cannot store every text, before anything is created in it.
async fn refuse_other_encodings(db: &Db, dsn: &Dsn) -> Result<()> {
    let row = db.query_one(include_str!("sql/server_encoding.sql"), &[]).await?;
    let encoding: String = Columns::new(&row).get("encoding")?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(Error::OtherEncoding { database: dsn.database().to_owned(), encoding })
}

/// Converts the error of a chapter. It names the chapter, and has everything that the server said.
fn migration_error(error: &refinery::Error) -> Error {
    let source = std::error::Error::source(error);
    match (error.kind(), source.and_then(|source| source.downcast_ref::<tokio_postgres::Error>())) {
        (refinery::error::Kind::Connection(step, _), Some(error)) => {
            Error::of_migration(step.clone(), error)
        }
        _ => Error::Migration {
            step: "the migration".to_owned(),
            why: error.to_string(),
            hint: None,
        },
    }
}

/// Returns the version of a schema that is newer than this binary and still supports it; `None` if the schema may be
/// migrated. `Err` in the cases of [`migrate`].
async fn newer_version(db: &Db, dsn: &Dsn) -> Result<Option<i32>> {
    match inspect(db, dsn).await {
        Ok(version) => Ok(Some(version).filter(|version| *version > VERSION)),
        Err(Error::SchemaOld { .. }) => Ok(None),
        // The last chapter creates the table that holds the version. Without it, an interrupted installation may
        // still have applied earlier chapters.
        Err(Error::SchemaMissing { .. }) => {
            compare(&applied_chapters(db).await?, dsn)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Creates the schema and the table of the applied chapters, unless they exist.
async fn create_migration_table(db: &Db) -> Result<()> {
    let created = match db.execute_script(MIGRATION_TABLE).await {
        // Another process may have created one of them at the same time. Then it is visible now.
        Err(error) if !error.is_connection() => db.execute_script(MIGRATION_TABLE).await,
        created => created,
    };
    created.map_err(|error| error.in_migration("create schema rework and its table migration"))
}

/// Lets one process migrate at a time. Returns a connection whose open transaction locks the table of the applied
/// chapters. Dropping it releases the lock.
///
/// The chapters are applied on another connection, in transactions of their own. They can be recorded in the table,
/// because the lock conflicts with itself only. Taking the lock needs a right on the table. An advisory lock would need
/// none, so that every role could hold up the migration.
async fn lock_migrations(dsn: &Dsn) -> Result<Db> {
    let lock = Db::connect(dsn, "rework init-db (lock)").await?;
    let sql = "begin; lock table rework.migration in share update exclusive mode";
    lock.execute_script(sql).await?;
    Ok(lock)
}

/// Returns the SQL that [`migrate`] would run on an empty database, so that a person can read it and run it by hand.
///
/// The script also fills `rework.migration`, so that [`migrate`] later finds its chapters applied.
pub fn script() -> String {
    let mut script = format!("begin;\n{MIGRATION_TABLE}");
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

/// Grants a set of rights to a role. `rights` is `schedule`, `read` or `run`. `Err` with SQLSTATE
/// `RW400` if there is no such set. `Err` also if the role of this connection may not grant rights:
/// only the owner of the schema may.
pub async fn grant(db: &Db, role: &str, rights: &str) -> Result<()> {
    let params: [Param<'_>; 2] = [(&role, Type::NAME), (&rights, Type::TEXT)];
    db.query(include_str!("sql/grant_rights.sql"), &params).await.map(drop)
}

/// The result of [`migrate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Number of chapters that were applied. 0 if the schema was up to date.
    pub applied: usize,
    /// Whether there was no schema before.
    pub is_new: bool,
    /// The version of the schema after the migration.
    pub version: i32,
}

/// Checks that this binary can use the schema.
///
/// # Errors
///
/// `Err` if the schema is missing, too old, too new, or was created by another build. The error's hint says what to
/// do.
pub async fn check(db: &Db, dsn: &Dsn) -> Result<()> {
    inspect(db, dsn).await.map(drop)
}

/// Returns the version of the schema if this binary can use it.
async fn inspect(db: &Db, dsn: &Dsn) -> Result<i32> {
    let row = match db.query_one(include_str!("sql/schema_version.sql"), &[]).await {
        Err(error) if error.is_undefined_table() => {
            return Err(Error::SchemaMissing { database: dsn.database().to_owned() });
        }
        result => result?,
    };
    let row = Columns::new(&row);
    let chapters: Vec<i32> = row.get("chapters")?;
    let checksums: Vec<String> = row.get("checksums")?;
    compare(&chapters.into_iter().zip(checksums).collect::<Vec<_>>(), dsn)?;
    // `serves` is the oldest binary, named by its schema version, that the schema still supports.
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

/// Returns number and checksum of each chapter that was applied to the database.
async fn applied_chapters(db: &Db) -> Result<Vec<(i32, String)>> {
    let rows = match db.query(include_str!("sql/schema_chapters.sql"), &[]).await {
        Err(error) if error.is_undefined_table() => return Ok(Vec::new()),
        result => result?,
    };
    let chapter = |row| {
        let row = Columns::of("migration", "version", row);
        Ok((row.get("version")?, row.get("checksum")?))
    };
    rows.iter().map(chapter).collect()
}

/// Checks that the applied chapters have the same text as the chapters of this binary.
///
/// Equal numbers are not enough: until a version is released, its chapters are edited in place. Chapters that only one
/// side has are not compared.
fn compare(applied: &[(i32, String)], dsn: &Dsn) -> Result<()> {
    let differing = CHAPTERS.iter().find(|chapter| {
        applied
            .iter()
            .any(|(number, checksum)| *number == chapter.number && *checksum != chapter.checksum)
    });
    match differing {
        None => Ok(()),
        Some(chapter) => Err(Error::SchemaMismatch {
            database: dsn.database().to_owned(),
            chapter: format!("{} ({})", chapter.number, chapter.name),
        }),
    }
}

/// Connects to the database and checks its schema. `application_name` is what Postgres shows for
/// the connection. `Err` if the connection fails, or in the cases of [`check`].
pub async fn open(dsn: &Dsn, application_name: &str) -> Result<Db> {
    let db = Db::connect(dsn, application_name).await?;
    check(&db, dsn).await?;
    Ok(db)
}
