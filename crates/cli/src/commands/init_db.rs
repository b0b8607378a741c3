//! `rework init-db`: make the schema, or bring it up to date.

use std::process::ExitCode;

use rework_core::schema::{self, Migrated};

use crate::{context::Context, exit::Exit};

/// Make the schema `rework`, or bring it up to date; nothing is ever dropped
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Migrates, and says what that came to.
pub async fn run(_: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let migrated = schema::migrate(&context.dsn()?).await?;
    if !context.quiet {
        context.print(said(migrated))?;
    }
    Ok(Exit::Done.into())
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
