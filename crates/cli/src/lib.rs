//! The command line of rework. It parses the arguments, runs the command, and returns an exit code.
//!
//! `commands/` has one file per command. `dev/` implements `rework dev`. The other files prepare what commands need
//! (database, configuration, input) or render what they print.
//!
//! Everything runs on the first thread of the process. The kernel kills a process that a monitor started when the
//! thread that started it ends, so the monitor must run on the thread that ends last.

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
mod live_output;
mod log_printer;
mod log_text;
mod logging;
mod modules;
mod operation_help;
mod options;
mod output;
mod progress_bar;
mod python;
pub mod error_text;
mod reexec;
mod runs_table;
pub mod table;
mod task_text;
pub mod time_text;
mod parse_error;

use crate::{args::Cli, config::Config, context::Context};

/// Runs the command in the arguments of this process, and prints its error if it fails.
pub fn main() -> ExitCode {
    match run_command_line() {
        Ok(exit) => exit,
        Err(error) => {
            error_text::print(&error);
            error_text::exit_code_of(&error).into()
        }
    }
}

fn run_command_line() -> anyhow::Result<ExitCode> {
    let mut parser = args::parser();
    let mut args = argv::rewrite(&parser, std::env::args_os().collect());
    let mut matches = match parser.try_get_matches_from_mut(&args) {
        Ok(matches) => matches,
        Err(error) => return Ok(parse_error::print(&error, &parser, &args)),
    };
    let name = matches.subcommand_name().unwrap_or_default().to_owned();
    let config = Config::load()?;
    if let Some(monitor) = matches.subcommand_matches("monitor") {
        let is_typed = |option: &str| {
            // clap identifies an option by the name of its field.
            let id = option.replace('-', "_");
            monitor.value_source(&id) == Some(ValueSource::CommandLine)
        };
        // The options from the configuration file are added as if they were typed, and parsed the same way.
        args.extend(config.monitor.arguments(is_typed).into_iter().map(OsString::from));
        matches = match parser.try_get_matches_from_mut(&args) {
            Ok(matches) => matches,
            Err(error) => return Ok(parse_error::print(&error, &parser, &args)),
        };
    }
    let Cli { options, command } = Cli::from_arg_matches(&matches)?;
    if command.runs_long()
        && let Some(text) = &options.db
        && Dsn::is_plausible(text)
        && Dsn::parse(text)?.redacted() != *text
    {
        output::print_stderr(
            "warning: other users can see a password in the arguments of a running command; \
             rework restarts itself without it. Set REWORK_DSN instead, or use `--dsn-file PATH`",
        );
        return Err(reexec::reexec_with_dsn(text, argv::without_database(args)));
    }
    logging::start(command.runs_long());
    let context = Context::new(&name, &options, config, args::parser);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(command.run(&context));
    // Do not wait for blocking tasks: one may still read the standard input.
    runtime.shutdown_background();
    result
}
