//! `rework import-from`: imports operations, schedules and queued tasks from a database of the Python rework, and
//! prints what was imported. The crate `rework-import` does the import.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    process::ExitCode,
};

use rework_core::{
    cron::{error::CronError, rule::Rule},
    db::{connect::Db, dsn::Dsn},
};
use rework_import::{
    ImportError, ImportOptions, ImportSummary, ImportedItem, ItemKind, SkippedItem, import_from,
};

use crate::{
    context::Context, error_text::hinted, escape, exit::Exit, json_list::on_one_line,
    options::Format,
};

/// Import operations, schedules and queued tasks from a database of the Python rework 0.17
///
/// The source database is only read and does not change. Stop its monitors first, otherwise they run the queued tasks
/// too. A second import adds what is new since the first one and imports nothing twice. If something cannot be
/// imported, it is listed with the reason, and the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The target is the database of every command: `--db`, `$REWORK_DSN` and so on."
)]
pub struct Args {
    /// The source database: its DSN, or its name in `rework.toml`
    #[arg(value_name = "DSN")]
    from: String,
    /// Only show what would be imported
    #[arg(long)]
    dry_run: bool,
    /// The time zone of the imported rules [default: `UTC`]. In the Python rework it was the zone of the monitor's
    /// machine
    #[arg(long)]
    zone: Option<String>,
    /// The name of a host here, by its address in the Python rework: `192.0.2.2=alpha`. Tasks and schedules for that
    /// address are for this host only; repeatable
    #[arg(long, value_name = "ADDRESS=NAME", value_parser = host)]
    host: Vec<(String, String)>,
}

/// Imports, and prints what was imported and what was skipped.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let from = if Dsn::is_plausible(&args.from) {
        Dsn::parse(&args.from)?
    } else {
        Dsn::parse(&context.config().dsn(&args.from)?.0)?
    };
    let zone = args.zone.as_deref().unwrap_or("UTC");
    // This only checks the time zone before the import starts. The rule itself is not used.
    Rule::parse("0 0 * * *", zone).map_err(CronError::Rule)?;
    let hosts: BTreeMap<String, String> = args.host.into_iter().collect();
    let wanted = ImportOptions { zone, hosts: &hosts, dry_run: args.dry_run };
    let mut db = context.open().await?;
    let mut source = Db::connect(&from, "rework import-from").await?;
    let imported = import_from(&mut db, &mut source, &wanted).await.map_err(with_own_hint)?;
    match context.format {
        _ if context.quiet => print_task_ids(&imported, context)?,
        Format::Json => context.print(serde_json::to_string_pretty(&imported)?)?,
        Format::Jsonl => context.print(on_one_line(&imported)?)?,
        Format::Table => context.write(lines(&imported).as_bytes())?,
    }
    if args.zone.is_none() && imported.schedules.iter().any(|one| one.new) {
        context.warn(
            "the time zone of the new schedules is UTC\n\
             hint: for another zone, add `--zone Europe/Vienna`; to change existing schedules: \
             `rework export-scheduled`, edit the file, `rework import-scheduled`",
        );
    }
    warn(&imported, &hosts, context);
    Ok(if imported.skipped.is_empty() { Exit::Done } else { Exit::Error }.into())
}

/// Returns the error with its hint.
fn with_own_hint(error: ImportError) -> anyhow::Error {
    match (error.hint(), error) {
        (_, ImportError::Core(error)) => error.into(),
        (hint, error) => hinted(error.to_string(), hint.unwrap_or_default()),
    }
}

/// Parses `ADDRESS=NAME`.
fn host(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((theirs, ours)) if !theirs.is_empty() && !ours.is_empty() => {
            Ok((theirs.to_owned(), ours.to_owned()))
        }
        _ => Err("write it as `192.0.2.2=alpha`".to_owned()),
    }
}

/// Prints the ids of the new tasks.
fn print_task_ids(imported: &ImportSummary, context: &Context) -> anyhow::Result<()> {
    imported.tasks.iter().filter_map(|task| task.id).try_for_each(|id| context.print(id))
}

/// Returns the result for people: one line for each new or skipped item, then the totals.
fn lines(imported: &ImportSummary) -> String {
    let verb = if imported.dry_run { "would import" } else { "imported" };
    let mut lines = Vec::new();
    for one in imported.operations.iter().filter(|one| one.new) {
        lines.push(format!("{verb} operation {} {}", one.name, one.domain));
    }
    for one in imported.schedules.iter().filter(|one| one.new) {
        let ImportedItem { from, operation, domain, .. } = one;
        let rule = one.rule.as_deref().unwrap_or_default();
        let id = one.id.map(|id| format!(" as {id}")).unwrap_or_default();
        lines.push(format!("{verb} schedule {from} {operation} {domain} \"{rule}\"{id}"));
    }
    let mut tasks: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in imported.tasks.iter().filter(|one| one.new) {
        *tasks.entry((&one.operation, &one.domain)).or_default() += 1;
    }
    for ((operation, domain), new) in tasks {
        lines.push(format!("{verb} {new} task{} of {operation} {domain}", plural(new)));
    }
    for skipped in &imported.skipped {
        let SkippedItem { kind, from, operation, domain, reason } = skipped;
        let kind = kind.as_str();
        lines.push(format!("skipped {kind} {from} {operation} {domain}: {reason}"));
    }
    let lines = lines.iter().map(|line| escape::line(line).into_owned() + "\n");
    lines.collect::<String>() + &totals(imported, verb)
}

/// Returns one line with totals for each kind of item, and a last line that counts the tasks that
/// are not imported because they are not queued.
fn totals(imported: &ImportSummary, verb: &str) -> String {
    let count_items = |all: &[ImportedItem]| count(all.iter().map(|one| one.new));
    let mut text = String::new();
    for (kind, (new, known)) in [
        (ItemKind::Operation, count(imported.operations.iter().map(|one| one.new))),
        (ItemKind::Schedule, count_items(&imported.schedules)),
        (ItemKind::Task, count_items(&imported.tasks)),
    ] {
        let noun = format!("{}{}", kind.as_str(), plural(new));
        let skipped = imported.skipped.iter().filter(|skipped| skipped.kind == kind).count();
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        let _ = writeln!(text, "{verb} {new} {noun} ({known} already known{skipped})");
    }
    let other = imported.not_queued;
    let _ = writeln!(
        text,
        "not queued, so not imported: {} running, {} aborting, {} ended",
        other.running, other.aborting, other.ended
    );
    text
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Returns the number of new items and the number of other items.
fn count(new: impl Iterator<Item = bool>) -> (usize, usize) {
    new.fold((0, 0), |(new, known), one| (new + usize::from(one), known + usize::from(!one)))
}

/// Prints warnings and the steps that the user has to take next.
fn warn(imported: &ImportSummary, hosts: &BTreeMap<String, String>, context: &Context) {
    let database = &imported.database;
    if imported.monitors > 0 {
        context.warn(format_args!(
            "a monitor of the Python rework serves database `{database}`: it also runs the tasks queued there\n\
             hint: stop it, then run this command again to import new tasks"
        ));
    }
    if imported.skipped.iter().any(|skipped| skipped.reason.contains("pickled")) {
        context.note(
            "hint: let the Python rework run the tasks with pickled input, or schedule them with a new input: \
             `rework schedule OPERATION --input JSON`",
        );
    }
    let named = |host: &&str| hosts.values().any(|name| name == host);
    let pinned =
        imported.schedules.iter().filter(|one| one.new).filter_map(|one| one.host.as_deref());
    let unnamed: BTreeSet<&str> = pinned.filter(|host| !named(host)).collect();
    for host in unnamed {
        context.warn(format_args!(
            "only host `{host}` may run some of the schedules, as in the Python rework\n\
             hint: run a monitor with that name, `rework monitor --host {host}`; or delete the schedules and create \
             them for another host, `rework unprepare ID` and `rework prepare … --host NAME`; or import with \
             `--host {host}=NAME`"
        ));
    }
    if imported.operations.iter().any(|one| one.new) && !imported.dry_run {
        context.note(
            "no host runs the new operations yet: type `rework register-operations MODULE.py` on each host that should",
        );
    }
    context.note(format_args!(
        "database `{database}` was not changed: its tasks are still queued there, so do not run its monitors any more"
    ));
}
