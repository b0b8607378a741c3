//! The command line of rework: what is typed becomes a command, the command's end an exit code.
//!
//! One thread does everything: a monitor starts processes that the kernel kills with the thread
//! that started them, so this one must be the thread that never ends.

use std::{ffi::OsString, process::ExitCode};

use clap::{FromArgMatches as _, parser::ValueSource};
use rework_core::db::dsn::Dsn;

pub mod args;
mod argv;
pub mod commands;
mod config;
pub mod context;
mod database;
pub mod dev;
mod discover;
pub mod escape;
pub mod exit;
pub mod host;
mod dsn_fd;
mod input;
mod json_lines;
mod json_list;
mod log_text;
mod logging;
mod modules;
mod operation_help;
mod options;
mod output;
mod progress_bar;
mod python;
pub mod report;
mod reexec;
mod runs_table;
pub mod table;
mod task_text;
pub mod time_text;
mod usage;

use crate::{args::Cli, config::Config, context::Context};

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    match typed() {
        Ok(exit) => exit,
        Err(error) => {
            report::print(&error);
            report::exit_of(&error).into()
        }
    }
}

fn typed() -> anyhow::Result<ExitCode> {
    let mut parser = args::parser();
    let mut args = argv::rewrite(&parser, std::env::args_os().collect());
    let mut matches = match parser.try_get_matches_from_mut(&args) {
        Ok(matches) => matches,
        Err(error) => return Ok(usage::say(&error, &parser, &args)),
    };
    let name = matches.subcommand_name().unwrap_or_default().to_owned();
    let config = Config::load()?;
    if let Some(monitor) = matches.subcommand_matches("monitor") {
        let typed = |option: &str| {
            let id = option.replace('-', "_");
            monitor.value_source(&id) == Some(ValueSource::CommandLine)
        };
        args.extend(config.monitor.words(typed).into_iter().map(OsString::from));
        matches = match parser.try_get_matches_from_mut(&args) {
            Ok(matches) => matches,
            Err(error) => return Ok(usage::say(&error, &parser, &args)),
        };
    }
    let Cli { options, command } = Cli::from_arg_matches(&matches)?;
    if command.runs_long()
        && let Some(text) = &options.db
        && Dsn::looks_like(text)
        && Dsn::parse(text)?.redacted() != *text
    {
        output::say(
            "warning: a password in the arguments of a command that runs long can be seen by \
             others; it is moved out of sight. Better: set REWORK_DSN, or use `--dsn-file`",
        );
        return Err(reexec::reexec_with_dsn(text, argv::without_database(args)));
    }
    logging::start(command.runs_long());
    let context = Context::new(&name, &options, config, args::parser);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(command.run(&context));
    // What still runs in the background is nobody's any more.
    runtime.shutdown_background();
    ended
}
