//! `rework monitor`: keep the workers of this host.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use rework_core::{
    db::{connect::Db, dsn::Dsn},
    values::quantity::{self, QuantityError},
};
use rework_monitor::{Keep, Options};
use rework_process::{ContainmentWish, MemoryWish, Wish};
use rework_wire::lease::Terms;

use super::register_operations::{registered, summary};
use crate::{
    argv,
    context::{Context, is_away},
    exit::Exit,
    host, modules, reexec,
};

const AWAY_PAUSE: Duration = Duration::from_millis(500);
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const LONGEST_LEASE: Duration = Duration::from_secs(3600);

/// Keep the workers of this host: start them, watch them, kill them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Serve this domain; may be given again. Left out: every domain that has operations here
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    domain: Vec<String>,
    /// Workers of each domain that are kept when there is nothing to do; left out: as many as
    /// `--maxworkers`
    #[arg(long, value_name = "N")]
    minworkers: Option<u32>,
    /// Most workers of each domain
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..))]
    maxworkers: u32,
    /// Renew the process that runs operations after so many runs; 0: never
    #[arg(long, value_name = "N", default_value_t = 0)]
    maxruns: u32,
    /// Renew it when it has grown past this, `2GiB`, or a number of MiB; 0: never
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = quantity::bytes_or_mib)]
    maxmem: i64,
    /// Most tasks that a worker claims at once, of an operation whose runs have proved short; 1: a commit
    /// each
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch: u32,
    /// The longest that a worker, or the code of an operation, may take to come up: `30s`, or a
    /// number of seconds
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = seconds)]
    start_timeout: Duration,
    /// Delete tasks and workers that ended so long ago: `30d`, `P1D`, or `never`
    #[arg(long, value_name = "DURATION", default_value = "P1D", value_parser = or_never)]
    vacuum: Limit,
    /// How long running tasks may go on after SIGTERM: `25s`, or `infinity`
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = or_infinity)]
    shutdown_grace: Limit,
    /// What this host is called; else `$REWORK_HOST`, else its own name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// What this host offers to tasks that need it; may be given again
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Answer `/health` and `/ready` over HTTP at this address: `127.0.0.1:9393`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A direct line to the database for notifications, where the other one leads through a pooler; else
    /// `$REWORK_LISTEN_DSN`
    #[arg(long, value_name = "DSN", value_parser = dsn)]
    listen_dsn: Option<Box<Dsn>>,
    /// How long the lease is by which this host's runs live: others take them that long after it was
    /// lost
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = lease)]
    lease: Terms,
    /// It takes the place of one that was here before: a database that is away is waited for.
    #[arg(long, hide = true)]
    again: bool,
    /// How the processes of a task are held together: `auto`, `cgroup` or `processes`
    #[arg(long, value_name = "RUNG", default_value = "auto")]
    containment: ContainmentWish,
    /// How limits of memory are kept: `auto`, `cgroup` or `sampled`
    #[arg(long, value_name = "RUNG", default_value = "auto", hide = true)]
    memory: MemoryWish,
    /// Register the operations of these programs, modules and manifests first
    #[arg(long, value_name = "PATH", num_args = 1..)]
    register: Vec<PathBuf>,
}

/// A duration, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<Duration>);

/// Keeps them until it is asked to end.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let host = host::name(args.host.clone());
    if !args.register.is_empty() {
        let modules = modules::read(&args.register, None, None).await?;
        let mut db =
            if args.again { open_patiently(context).await? } else { context.open().await? };
        let registered = registered(&mut db, Some(host.clone()), &modules).await?;
        context.note(summary(&registered));
    }
    let dsn = context.dsn()?;
    let options = options(args, context, dsn.clone(), host)?;
    let ended = rework_monitor::run(options).await?;
    if ended.reexec {
        return Err(reexec(&dsn, context));
    }
    Ok(Exit::Done.into())
}

/// Until a database that is away is back: what was here before may have tasks under way.
async fn open_patiently(context: &Context) -> anyhow::Result<Db> {
    loop {
        match context.open().await {
            Err(error) if is_away(&error) => tokio::time::sleep(AWAY_PAUSE).await,
            opened => return opened,
        }
    }
}

/// Executes this program anew, with the same options, as the next monitor. A DSN that was typed is
/// passed on out of sight; one from a file or a variable is read anew.
fn reexec(dsn: &Dsn, context: &Context) -> anyhow::Error {
    const AGAIN: &str = "--again";
    let typed = argv::rewrite(&(context.parser)(), std::env::args_os().collect());
    let names_database = typed.iter().any(|arg| {
        let arg = arg.to_string_lossy();
        arg.starts_with("--dsn-fd=")
            || arg.strip_prefix("--db=").is_some_and(Dsn::looks_like)
            || Dsn::looks_like(&arg)
    });
    // The name of a database is looked up anew.
    let mut rest = if names_database { argv::without_database(typed) } else { typed };
    if !rest.iter().any(|arg| arg == AGAIN) {
        rest.push(AGAIN.into());
    }
    if names_database { reexec::reexec_with_dsn(dsn.text(), rest) } else { reexec::reexec(rest) }
}

fn options(args: Args, context: &Context, dsn: Dsn, host: String) -> anyhow::Result<Options> {
    let variable = std::env::var("REWORK_LISTEN_DSN").ok().filter(|text| !text.is_empty());
    let listen_dsn = match (args.listen_dsn, variable) {
        (None, Some(text)) => Some(Dsn::parse(&text)?),
        (typed, _) => typed.map(|dsn| *dsn),
    };
    let usual = Keep {
        minworkers: args.minworkers,
        maxworkers: args.maxworkers,
        maxruns: args.maxruns,
        maxmem_bytes: args.maxmem.unsigned_abs(),
    };
    Ok(Options {
        dsn,
        domains: args.domain,
        host,
        keep: context.config().keep(usual),
        batch: args.batch,
        start_timeout: args.start_timeout,
        vacuum: args.vacuum.0,
        shutdown_grace: args.shutdown_grace.0,
        capabilities: args.capability,
        listen: args.listen,
        listen_dsn,
        lease: args.lease,
        patient: args.again,
        wish: Wish { containment: args.containment, memory: args.memory },
    })
}

/// What is typed here stays in sight.
fn dsn(text: &str) -> Result<Box<Dsn>, String> {
    let dsn = Dsn::parse(text).map_err(|error| error.to_string())?;
    if dsn.redacted() != text {
        return Err("others can see a password here: set REWORK_LISTEN_DSN instead".to_owned());
    }
    Ok(Box::new(dsn))
}

/// Shorter than the shortest, a busy machine would be taken for a dead one.
fn lease(text: &str) -> Result<Terms, String> {
    let length = quantity::duration(text).map_err(|error| error.to_string())?;
    if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&length) {
        return Err("it is between 1s and 1h".to_owned());
    }
    Ok(Terms { length })
}

/// A bare number is seconds here, as the option's first users wrote it.
fn seconds(text: &str) -> Result<Duration, QuantityError> {
    text.parse().map(Duration::from_secs).or_else(|_| quantity::duration(text))
}

fn or_never(text: &str) -> Result<Limit, QuantityError> {
    or_none("never", text)
}

fn or_infinity(text: &str) -> Result<Limit, QuantityError> {
    or_none("infinity", text)
}

fn or_none(word: &str, text: &str) -> Result<Limit, QuantityError> {
    if text == word { Ok(Limit(None)) } else { Ok(Limit(Some(quantity::duration(text)?))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_they_were_always_written() {
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("1m30s"), Ok(Duration::from_secs(90)));
        assert!(seconds("soon").is_err());
        assert_eq!(or_never("never"), Ok(Limit(None)));
        assert_eq!(or_never("P1D"), Ok(Limit(Some(Duration::from_secs(86_400)))));
        assert_eq!(or_infinity("0s"), Ok(Limit(Some(Duration::ZERO))));
        assert!(or_infinity("never").is_err());
    }
}
