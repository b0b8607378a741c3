//! The command line of rework. It parses the arguments, runs the command, and returns an exit code.
//!
//! `commands/` has one file per command. `dev/` implements `rework dev`. The other files prepare what commands need
//! (database, configuration, input) or render what they print.
//!
//! Everything runs on the first thread of the process. The kernel kills a process that a monitor started when the
//! thread that started it ends, so the monitor must run on the thread that ends last.

use std::{ffi::OsString, process::ExitCode};

use clap::{FromArgMatches as _, parser::ValueSource};
use nix::sys::prctl::set_dumpable;

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
mod hide_dsn;
mod input;
mod json_lines;
mod json_list;
mod live_output;
mod flow_text;
mod redraw;
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
mod retry_text;
mod runs_table;
pub mod table;
mod task_text;
pub mod time_text;
mod value_text;
mod wait_text;
mod parse_error;
mod pause_text;

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
    // The environment and the memory of this process may contain the password of the database. Operations run as the
    // same user. This keeps them, and every other process of this user, from reading either. It also prevents core
    // files. The programs that this process executes are not affected. A worker does it when it gets the DSN: with the
    // mount option `hidepid`, its monitor could not find it in `/proc` otherwise.
    let is_worker = std::env::args_os().nth(1).is_some_and(|command| command == "worker");
    set_dumpable(is_worker)?;
    rework_process::reset_child_signal();
    let mut parser = args::parser();
    let typed = argv::rewrite(&parser, std::env::args_os().collect());
    let mut args = typed.clone();
    let mut matches = match parser.try_get_matches_from_mut(&args) {
        Ok(matches) => matches,
        Err(error) => return Ok(parse_error::print(&error, &parser, &args)),
    };
    // A worker has no options of its own. An error in the file must not keep a monitor from starting it.
    let config = if is_worker { Config::default() } else { Config::load()? };
    if let Some(monitor) = matches.subcommand_matches("monitor") {
        args.extend(configured_arguments(&config, monitor));
        matches = match parser.try_get_matches_from_mut(&args) {
            Ok(matches) => matches,
            Err(error) => return Ok(parse_error::print(&error, &parser, &args)),
        };
    }
    let name = matches.subcommand_name().unwrap_or_default().to_owned();
    let Cli { options, command } = Cli::from_arg_matches(&matches)?;
    if command.is_independent() {
        rework_process::reset_inheritance()?;
    } else {
        // An operation may start such a command, and gives it no more than it knows itself. The worker must be able to
        // read the process tag in its environment.
        set_dumpable(true)?;
    }
    if command.runs_long() {
        hide_dsn::hide(&command, &options, &config, typed)?;
    }
    logging::start(command.runs_long());
    let context = Context::new(&name, &options, config, args::parser);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(command.run(&context));
    // Do not wait for blocking tasks: one may still read the standard input.
    runtime.shutdown_background();
    result
}

/// Returns the options of `rework monitor` that the configuration file has and that were not typed. They are parsed as
/// if they were typed.
fn configured_arguments(config: &Config, typed: &clap::ArgMatches) -> Vec<OsString> {
    let is_typed = |option: &str| {
        // clap identifies an option by the name of its field.
        let id = option.replace('-', "_");
        typed.value_source(&id) == Some(ValueSource::CommandLine)
    };
    config.monitor.arguments(is_typed).into_iter().map(OsString::from).collect()
}
