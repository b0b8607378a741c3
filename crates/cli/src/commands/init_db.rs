//! `rework init-db`: creates the schema `rework`, or migrates it to the version of this program.

use std::process::ExitCode;

use rework_core::admin::schema::{self, Migrated};

use crate::{context::Context, exit::Exit};

/// Create the schema `rework`, or migrate it to the current version; it never drops data
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Grant a role the rights to `schedule`, `read` or `run`, for example `run=workers`; repeatable
    #[arg(long, value_name = "RIGHTS=ROLE", value_parser = rights)]
    grant: Vec<(String, String)>,
    /// Only print the SQL that creates the schema; this needs no database
    #[arg(long, conflicts_with = "grant")]
    print_sql: bool,
}

/// Migrates the schema, prints its version, and grants rights.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if args.print_sql {
        context.write(schema::script().as_bytes())?;
        return Ok(Exit::Done.into());
    }
    let migrated = schema::migrate(&context.dsn()?).await?;
    if !context.quiet {
        context.print(summary(migrated))?;
    }
    if !args.grant.is_empty() {
        let db = context.open().await?;
        for (rights, role) in args.grant {
            schema::grant(&db, &role, &rights).await?;
            context.note(format_args!("granted role `{role}` the rights to {rights}"));
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

/// Returns the line that describes what was done.
fn summary(Migrated { applied, is_new, version }: Migrated) -> String {
    match applied {
        0 => format!("already at version {version}"),
        _ if is_new => format!("schema rework created, version {version}"),
        _ => format!("schema rework migrated to version {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_done() {
        for (applied, is_new, expected) in [
            (0, false, "already at version 12"),
            (11, true, "schema rework created, version 12"),
            (3, false, "schema rework migrated to version 12"),
        ] {
            assert_eq!(summary(Migrated { applied, is_new, version: 12 }), expected);
        }
    }
}
