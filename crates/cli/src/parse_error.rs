//! Prints what clap reports while it parses the arguments: help, the version, or an error in the arguments. The hint of
//! clap is replaced with one in the form of all our errors (`error_text.rs`), which names the command with `--help`.

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::error::ErrorKind;
use rework_core::db::dsn::hide_passwords;

use crate::{error_text, exit::Exit};

/// The start of clap's own hint. It does not name the command.
const CLAP_HINT: &str = "For more information";

/// Prints help and version to standard output, and errors to standard error. Returns the exit code: 0 for help and
/// version, 2 for an error.
pub(crate) fn print(error: &clap::Error, parser: &clap::Command, args: &[OsString]) -> ExitCode {
    // Errors of writing are ignored: if the output is closed, there is no other place for the message.
    if error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let text = with_help_hint(&error.render().ansi().to_string(), &help_command(parser, args));
        let text = hide_passwords(&text);
        let _ = anstream::stderr().write_all(text.as_bytes());
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()))
}

/// Replaces clap's own hint in a message.
fn with_help_hint(message: &str, help: &str) -> String {
    let message = message.split(CLAP_HINT).next().unwrap_or_default().trim_end();
    format!("{message}\n{}", error_text::hint_line(&format!("see `{help}`")))
}

/// Returns the command that shows the help: that of the typed command, or of `rework` if no command was typed.
fn help_command(parser: &clap::Command, args: &[OsString]) -> String {
    let args = args.iter().skip(1).filter_map(|arg| arg.to_str());
    let typed =
        args.filter(|arg| !arg.starts_with('-')).find_map(|arg| parser.find_subcommand(arg));
    match typed {
        Some(command) => format!("rework {} --help", command.get_name()),
        None => "rework --help".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> String {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let parser = crate::args::parser();
        let error = parser.clone().try_get_matches_from(&args).unwrap_err();
        let text = with_help_hint(&error.render().to_string(), &help_command(&parser, &args));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn every_error_in_the_arguments_ends_with_a_hint() {
        for (line, part, hint) in [
            ("rework nonsense", "'nonsense'", "hint: see `rework --help`\n"),
            ("rework log-task nonsense", "'nonsense'", "hint: see `rework log-task --help`\n"),
            ("rework post x --delay soon", "`90s`", "hint: see `rework schedule --help`\n"),
            ("rework -o xml list-tasks", "jsonl", "hint: see `rework list-tasks --help`\n"),
        ] {
            let message = message(line);
            assert!(message.starts_with("error: ") && message.contains(part), "{message}");
            assert!(message.ends_with(hint) && !message.contains(CLAP_HINT), "{message}");
        }
    }
}
