//! `rework export-scheduled`: saves schedules to a file as JSON. `import_scheduled.rs` reads such a file.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use rework_core::cron::list::list_scheduled;

use crate::{context::Context, exit::Exit};

/// Save schedules to a file as JSON
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only schedules of this domain
    #[arg(long)]
    domain: Option<String>,
    /// The file to write; `-` for standard output
    #[arg(long, default_value = "rework.sched")]
    path: PathBuf,
}

/// Saves the schedules and prints their number.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let listed = list_scheduled(&db, args.domain.as_deref()).await?;
    let schedules: Vec<_> = listed.iter().map(|listed| &listed.schedule).collect();
    let mut text = serde_json::to_string_pretty(&schedules)?;
    text.push('\n');
    if args.path == Path::new("-") {
        context.write(text.as_bytes())?;
    } else {
        let path = args.path.display();
        save(&args.path, &text).with_context(|| format!("cannot write `{path}`"))?;
        context.print(format_args!("saved {} entries into {path}", schedules.len()))?;
    }
    Ok(Exit::Done.into())
}

/// Writes the file completely or not at all: a temporary file is renamed when all data is on disk.
fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
