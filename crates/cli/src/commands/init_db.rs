//! `rework init-db`: make the schema, or bring it up to date.

use std::process::ExitCode;

use rework_core::admin::schema::{self, Migrated};

use crate::{context::Context, exit::Exit};

/// Make the schema `rework`, or bring it up to date; nothing is ever dropped
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Give a role the rights to `schedule`, to `read` or to `run`: `--grant run=workers`; may be given
    /// again
    #[arg(long, value_name = "RIGHTS=ROLE", value_parser = rights)]
    grant: Vec<(String, String)>,
    /// Only print the SQL that makes the schema; no database is needed
    #[arg(long, conflicts_with = "grant")]
    print_sql: bool,
}

/// Migrates, and says what that came to.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if args.print_sql {
        context.write(schema::script().as_bytes())?;
        return Ok(Exit::Done.into());
    }
    let migrated = schema::migrate(&context.dsn()?).await?;
    if !context.quiet {
        context.print(said(migrated))?;
    }
    if !args.grant.is_empty() {
        let db = context.open().await?;
        for (rights, role) in args.grant {
            schema::grant(&db, &role, &rights).await?;
            context.note(format_args!("role `{role}` has the rights to {rights}"));
        }
    }
    Ok(Exit::Done.into())
}

fn rights(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((rights @ ("schedule" | "read" | "run"), role)) if !role.is_empty() => {
            Ok((rights.to_owned(), role.to_owned()))
        }
        _ => Err("write it as `schedule=ROLE`, `read=ROLE` or `run=ROLE`".to_owned()),
    }
}

fn said(Migrated { applied, version }: Migrated) -> String {
    match applied {
        0 => format!("already at version {version}"),
        // One migration for each version: all of them were missing.
        _ if i32::try_from(applied) == Ok(version) => {
            format!("schema rework made, version {version}")
        }
        _ => format!("schema rework brought up to version {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said() {
        for (applied, expected) in [
            (0, "already at version 12"),
            (12, "schema rework made, version 12"),
            (3, "schema rework brought up to version 12"),
        ] {
            assert_eq!(said(Migrated { applied, version: 12 }), expected);
        }
    }
}
