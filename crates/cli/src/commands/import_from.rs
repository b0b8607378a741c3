//! `rework import-from`: operations, schedules and queued tasks of a Python `rework`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    process::ExitCode,
};

use rework_core::{
    cron::{error::CronError, rule::Rule},
    db::{connect::Db, dsn::Dsn},
};
use rework_import::{Carried, ImportError, Imported, Kind, Left, Wanted, import_from};

use crate::{
    context::Context, escape, exit::Exit, json_list::on_one_line, options::Format, report::hinted,
};

/// Take over operations, schedules and queued tasks from a database of the Python rework 0.17
///
/// That database is only read, and stays as it is: stop its monitors first, or its tasks run there too. Asked again,
/// this takes over what has come since, and nothing twice. What cannot be taken over is told, and the code is 1.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Where they go is the database of every command: `--db`, `$REWORK_DSN` and so on."
)]
pub struct Args {
    /// The database of the Python rework: its DSN, or its name in `rework.toml`
    #[arg(value_name = "DSN")]
    from: String,
    /// Only show what would be taken over
    #[arg(long)]
    dry_run: bool,
    /// Where it is the time that rules name: there it was the zone of the monitor's machine. `UTC` if left out
    #[arg(long)]
    zone: Option<String>,
    /// What a host is called here, by its address there: `192.0.2.2=alpha`. Tasks and schedules of that host are for
    /// this one alone; may be given again
    #[arg(long, value_name = "ADDRESS=NAME", value_parser = host)]
    host: Vec<(String, String)>,
}

/// Takes over, and tells what.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let from = if Dsn::looks_like(&args.from) {
        Dsn::parse(&args.from)?
    } else {
        Dsn::parse(&context.config().dsn(&args.from)?.0)?
    };
    let zone = args.zone.as_deref().unwrap_or("UTC");
    Rule::parse("0 0 * * *", zone).map_err(CronError::Rule)?;
    let hosts: BTreeMap<String, String> = args.host.into_iter().collect();
    let wanted = Wanted { zone, hosts: &hosts, dry_run: args.dry_run };
    let mut db = context.open().await?;
    let mut source = Db::connect(&from, "rework import-from").await?;
    let imported = import_from(&mut db, &mut source, &wanted).await.map_err(told)?;
    match context.format {
        _ if context.quiet => ids(&imported, context)?,
        Format::Json => context.print(serde_json::to_string_pretty(&imported)?)?,
        Format::Jsonl => context.print(on_one_line(&imported)?)?,
        Format::Table => context.write(lines(&imported).as_bytes())?,
    }
    if args.zone.is_none() && imported.schedules.iter().any(|one| one.new) {
        context.warn(
            "the rules of the new schedules are taken to name UTC\n\
             hint: `--zone Europe/Vienna` names another zone; to change those that are there: \
             `rework export-scheduled`, edit, `rework import-scheduled`",
        );
    }
    warn(&imported, &hosts, context);
    Ok(if imported.left.is_empty() { Exit::Done } else { Exit::Error }.into())
}

/// An error with its hint.
fn told(error: ImportError) -> anyhow::Error {
    match (error.hint(), error) {
        (_, ImportError::Core(error)) => error.into(),
        (hint, error) => hinted(error.to_string(), hint.unwrap_or_default()),
    }
}

fn host(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((theirs, ours)) if !theirs.is_empty() && !ours.is_empty() => {
            Ok((theirs.to_owned(), ours.to_owned()))
        }
        _ => Err("write it as `192.0.2.2=alpha`".to_owned()),
    }
}

/// The new tasks.
fn ids(imported: &Imported, context: &Context) -> anyhow::Result<()> {
    imported.tasks.iter().filter_map(|task| task.id).try_for_each(|id| context.print(id))
}

/// What came of it, for people: a line for what is new or was left, then how many there are.
fn lines(imported: &Imported) -> String {
    let verb = if imported.dry_run { "would import" } else { "imported" };
    let mut lines = Vec::new();
    for one in imported.operations.iter().filter(|one| one.new) {
        lines.push(format!("{verb} operation {} {}", one.name, one.domain));
    }
    for one in imported.schedules.iter().filter(|one| one.new) {
        let Carried { from, operation, domain, .. } = one;
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
    for left in &imported.left {
        let Left { kind, from, operation, domain, reason } = left;
        let kind = kind.as_str();
        lines.push(format!("left {kind} {from} {operation} {domain}: {reason}"));
    }
    let lines = lines.iter().map(|line| escape::line(line).into_owned() + "\n");
    lines.collect::<String>() + &totals(imported, verb)
}

fn totals(imported: &Imported, verb: &str) -> String {
    let carried = |all: &[Carried]| count(all.iter().map(|one| one.new));
    let mut text = String::new();
    for (kind, (new, known)) in [
        (Kind::Operation, count(imported.operations.iter().map(|one| one.new))),
        (Kind::Schedule, carried(&imported.schedules)),
        (Kind::Task, carried(&imported.tasks)),
    ] {
        let word = format!("{}{}", kind.as_str(), plural(new));
        let left = imported.left.iter().filter(|left| left.kind == kind).count();
        let left = if left > 0 { format!(", {left} left") } else { String::new() };
        let _ = writeln!(text, "{verb} {new} {word} ({known} already known{left})");
    }
    let other = imported.not_queued;
    let _ = writeln!(
        text,
        "not queued, and left alone: {} running, {} aborting, {} ended",
        other.running, other.aborting, other.ended
    );
    text
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// How many are new, and how many are not.
fn count(new: impl Iterator<Item = bool>) -> (usize, usize) {
    new.fold((0, 0), |(new, known), one| (new + usize::from(one), known + usize::from(!one)))
}

/// What is to be done next, and what has to be known.
fn warn(imported: &Imported, hosts: &BTreeMap<String, String>, context: &Context) {
    let database = &imported.database;
    if imported.monitors > 0 {
        context.warn(format_args!(
            "a monitor serves database `{database}`: the tasks that are queued there run there too\n\
             hint: stop it, and run this again for what has come since"
        ));
    }
    if imported.left.iter().any(|left| left.reason.contains("pickled")) {
        context.note(
            "hint: let the Python rework run what is pickled, or give the input anew: \
             `rework schedule OPERATION --input JSON`",
        );
    }
    let named = |host: &&str| hosts.values().any(|name| name == host);
    let pinned =
        imported.schedules.iter().filter(|one| one.new).filter_map(|one| one.host.as_deref());
    let unnamed: BTreeSet<&str> = pinned.filter(|host| !named(host)).collect();
    for host in unnamed {
        context.warn(format_args!(
            "schedules are for host `{host}` alone, as there\n\
             hint: run a monitor by that name, `rework monitor --host {host}`, or take them away and prepare them \
             for another: `rework unprepare ID`, `rework prepare … --host NAME`; the next time, `--host {host}=NAME`"
        ));
    }
    if imported.operations.iter().any(|one| one.new) && !imported.dry_run {
        context.note("no host runs the new operations yet: `rework register-operations MODULE.py` on each that is to");
    }
    context.note(format_args!(
        "nothing was changed in database `{database}`: its tasks are queued there still, so let no monitor serve it any more"
    ));
}
