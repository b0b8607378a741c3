//! `rework monitor`: parses the options of a monitor and runs it. The monitor itself is in the crate `rework-monitor`.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use rework_core::{
    db::{dsn::Dsn, error::Error as CoreError},
    operation::register::{Module, RegisteredOperation},
    values::{
        name,
        quantity::{self, QuantityError},
    },
};
use rework_monitor::{Options, PoolOptions};
use rework_process::{Choice, ContainmentChoice, MemoryChoice};
use rework_wire::lease::LeaseTerms;

use super::register_operations::{moves, register, summary};
use crate::{
    argv,
    context::Context,
    database::LISTEN_VARIABLE,
    dsn_fd,
    exit::Exit,
    host, modules,
    reexec::{self, HiddenDsn},
};

/// The pause between two attempts to connect to an unreachable database.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// The minimum length of a lease. With a shorter one, a busy machine could lose its lease.
const MIN_LEASE: Duration = Duration::from_secs(1);
/// The maximum length of a lease. The tasks of a dead host stay open until its lease expires.
const MAX_LEASE: Duration = Duration::from_secs(3600);

/// Run the workers of this host: start, stop and replace them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Serve this domain; repeatable [default: every domain that has operations on this host]
    #[arg(long, value_parser = name::parse)]
    domain: Vec<String>,
    /// The number of workers per domain that run even if there is nothing to do [default: `--maxworkers`]
    #[arg(long, value_name = "N")]
    minworkers: Option<u32>,
    /// The maximum number of workers per domain
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..))]
    maxworkers: u32,
    /// Replace the process that runs operations after this number of runs; 0: never
    #[arg(long, value_name = "N", default_value_t = 0)]
    maxruns: u32,
    /// Replace the process that runs operations when it uses more memory than this: `2GiB`, or a number of MiB; 0:
    /// never
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = quantity::bytes_or_mib)]
    maxmem: i64,
    /// The maximum number of tasks that a worker claims at once, if their runs are short; 1: one commit per task
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch: u32,
    /// How long a worker, or the code of an operation, may take to start: `30s`, or a number of seconds
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = seconds)]
    start_timeout: Duration,
    /// Delete tasks and workers after this time since their end: `30d`, `P1D`, or `never`
    #[arg(long, value_name = "DURATION", default_value = "P1D", value_parser = or_never)]
    vacuum: Limit,
    /// How long running tasks may continue after SIGTERM: `25s`, or `infinity`
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = or_infinity)]
    shutdown_grace: Limit,
    /// The name of this host [default: `$REWORK_HOST`, else its hostname]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// A capability that this host offers to tasks that need it; repeatable
    #[arg(long, value_name = "NAME", value_parser = name::parse)]
    capability: Vec<String>,
    /// Serve `/health` and `/ready` over HTTP at this address: `127.0.0.1:9393`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A DSN that connects directly to the server, for notifications. Needed if the database is behind a pooler
    /// [default: `$REWORK_LISTEN_DSN`]
    #[arg(long, value_name = "DSN", value_parser = dsn)]
    listen_dsn: Option<Box<Dsn>>,
    /// Read the DSN for notifications from this inherited file descriptor
    #[arg(long, value_name = "N", hide = true)]
    listen_dsn_fd: Option<i32>,
    /// The length of this host's lease. When the host has not renewed its lease for that time, other hosts end its runs
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = lease)]
    lease: LeaseTerms,
    // The monitor adds this option when it executes itself again. It then waits for an unreachable database instead of
    // failing, because the monitor before it may have tasks that still run.
    /// Wait for the database, because this monitor replaces an earlier one
    #[arg(long, hide = true)]
    again: bool,
    /// How the processes of a task are tracked and killed: `auto`, `cgroup` or `processes`
    #[arg(long, value_name = "METHOD", default_value = "auto")]
    containment: ContainmentChoice,
    /// How memory limits are enforced: `auto`, `cgroup` or `sampled`
    #[arg(long, value_name = "METHOD", default_value = "auto", hide = true)]
    memory: MemoryChoice,
    /// Register the operations of these programs, modules and manifests before starting
    #[arg(long, value_name = "PATH", num_args = 1..)]
    register: Vec<PathBuf>,
}

/// A duration. `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<Duration>);

impl Args {
    /// Returns the DSN for notifications that an option or the environment names. `None` if neither does.
    pub(crate) fn named_listen_dsn(&self) -> anyhow::Result<Option<Dsn>> {
        let variable = || std::env::var(LISTEN_VARIABLE).ok().filter(|text| !text.is_empty());
        match self.listen_dsn.as_deref() {
            Some(typed) => Ok(Some(typed.clone())),
            None => Ok(variable().map(|text| Dsn::parse(&text)).transpose()?),
        }
    }
}

/// Runs the monitor until a signal stops it. After SIGHUP, and after the loss of its lease, executes the program again.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let host = host::name(args.host.clone())?;
    if !args.register.is_empty() {
        let modules = modules::read(&args.register, None, None).await?;
        let registered = register_modules(context, &host, &modules, args.again).await?;
        for line in moves(&registered) {
            context.note(line);
        }
        context.note(summary(&registered));
    }
    let dsn = context.dsn()?;
    let options = options(args, context, dsn.clone(), host)?;
    let listen_dsn = options.listen_dsn.clone();
    let ended = rework_monitor::run(options).await?;
    if ended.reexec {
        return Err(reexec(&dsn, listen_dsn.as_ref(), context));
    }
    Ok(Exit::Done.into())
}

/// Registers modules on this host. With `waits`, tries again as long as the database is unavailable or refuses it for a
/// reason that may pass.
async fn register_modules(
    context: &Context,
    host: &str,
    modules: &[Module],
    waits: bool,
) -> anyhow::Result<Vec<RegisteredOperation>> {
    let mut last_error = String::new();
    loop {
        let attempt = async {
            let mut db = context.open().await?;
            register(&mut db, Some(host.to_owned()), modules).await
        };
        let may_pass =
            |error: &anyhow::Error| error.downcast_ref().is_some_and(CoreError::may_pass);
        match attempt.await {
            Err(error) if waits && may_pass(&error) => {
                let text = error.to_string();
                if text != last_error {
                    context.warn(format_args!("cannot register operations yet: {text}"));
                    last_error = text;
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
            result => return result,
        }
    }
}

/// Executes this program again with the same options, as the next monitor.
///
/// A DSN that was typed, or came from a variable with a password, is passed in anonymous memory. A DSN from a file or
/// the configuration is read again, because it may have changed.
fn reexec(dsn: &Dsn, listen_dsn: Option<&Dsn>, context: &Context) -> anyhow::Error {
    const AGAIN: &str = "--again";
    let mut next = argv::rewrite(&(context.parser)(), std::env::args_os().collect());
    let starts_with = |arg: &OsString, option: &str| {
        arg.to_string_lossy().strip_prefix(option).is_some_and(|value| value.starts_with('='))
    };
    let names_dsn = |arg: &OsString| {
        let text = arg.to_string_lossy();
        starts_with(arg, dsn_fd::OPTION)
            || text.strip_prefix("--db=").is_some_and(Dsn::is_plausible)
            || Dsn::is_plausible(&text)
    };
    let mut dsns = Vec::new();
    if next.iter().any(names_dsn) {
        dsns.push(HiddenDsn { option: dsn_fd::OPTION, text: dsn.text().to_owned() });
        next = argv::without_database(next);
    }
    let count = next.len();
    next.retain(|arg| !starts_with(arg, dsn_fd::LISTEN_OPTION));
    if let Some(listen_dsn) = listen_dsn.filter(|_| next.len() < count) {
        let text = listen_dsn.text().to_owned();
        dsns.push(HiddenDsn { option: dsn_fd::LISTEN_OPTION, text });
    }
    if !next.iter().any(|arg| arg == AGAIN) {
        next.push(AGAIN.into());
    }
    reexec::reexec(next, &dsns, &[])
}

/// Returns the options for the crate `rework-monitor`.
fn options(args: Args, context: &Context, dsn: Dsn, host: String) -> anyhow::Result<Options> {
    let listen_dsn = match args.listen_dsn_fd {
        Some(fd) => Some(Dsn::parse(&dsn_fd::read_and_close(fd)?)?),
        None => args.named_listen_dsn()?,
    };
    let default = PoolOptions {
        minworkers: args.minworkers,
        maxworkers: args.maxworkers,
        maxruns: args.maxruns,
        maxmem_bytes: args.maxmem.unsigned_abs(),
    };
    Ok(Options {
        dsn,
        domains: args.domain,
        host,
        pool_options: context.config().pool_options(default),
        batch: args.batch,
        start_timeout: args.start_timeout,
        vacuum: args.vacuum.0,
        shutdown_grace: args.shutdown_grace.0,
        capabilities: args.capability,
        listen: args.listen,
        listen_dsn,
        lease: args.lease,
        wait_for_database: args.again,
        containment: Choice { containment: args.containment, memory: args.memory },
    })
}

/// Parses `--listen-dsn`. `Err` if it contains a password, because other users can read the arguments.
fn dsn(text: &str) -> Result<Box<Dsn>, String> {
    let dsn = Dsn::parse(text).map_err(|error| error.to_string())?;
    if dsn.redacted() != text {
        return Err(
            "other users can see a password in the arguments: set REWORK_LISTEN_DSN instead"
                .to_owned(),
        );
    }
    Ok(Box::new(dsn))
}

/// Parses `--lease`.
fn lease(text: &str) -> Result<LeaseTerms, String> {
    let length = quantity::duration(text).map_err(|error| error.to_string())?;
    if !(MIN_LEASE..=MAX_LEASE).contains(&length) {
        return Err("a lease must be between 1s and 1h".to_owned());
    }
    Ok(LeaseTerms { length })
}

/// Parses a duration. A bare number is in seconds, as in the Python rework.
fn seconds(text: &str) -> Result<Duration, QuantityError> {
    text.parse().map(Duration::from_secs).or_else(|_| quantity::duration(text))
}

fn or_never(text: &str) -> Result<Limit, QuantityError> {
    or_none("never", text)
}

fn or_infinity(text: &str) -> Result<Limit, QuantityError> {
    or_none("infinity", text)
}

/// Parses a duration, or the word that means that there is no limit.
fn or_none(word: &str, text: &str) -> Result<Limit, QuantityError> {
    if text == word { Ok(Limit(None)) } else { Ok(Limit(Some(quantity::duration(text)?))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_with_their_special_values() {
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("1m30s"), Ok(Duration::from_secs(90)));
        assert!(seconds("soon").is_err());
        assert_eq!(or_never("never"), Ok(Limit(None)));
        assert_eq!(or_never("P1D"), Ok(Limit(Some(Duration::from_secs(86_400)))));
        assert_eq!(or_infinity("0s"), Ok(Limit(Some(Duration::ZERO))));
        assert!(or_infinity("never").is_err());
    }
}
