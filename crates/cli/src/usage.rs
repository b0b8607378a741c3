//! What was typed wrongly, as the parser of the command line says it, with the hint that every
//! other error has: a command to type.

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::error::ErrorKind;

use crate::{exit::Exit, report};

/// Where the parser's own hint begins. Not every command has it, and it names none.
const ITS_HINT: &str = "For more information";

/// Help and version go to standard output and end well; what was typed wrongly ends with 2.
pub(crate) fn say(error: &clap::Error, parser: &clap::Command, args: &[OsString]) -> ExitCode {
    // A closed pipe is the only thing that can go wrong, and then nobody is there to be told.
    if error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let text = explained(&error.render().ansi().to_string(), &help_of(parser, args));
        let _ = anstream::stderr().write_all(text.as_bytes());
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()))
}

fn explained(said: &str, help: &str) -> String {
    let said = said.split(ITS_HINT).next().unwrap_or_default().trim_end();
    format!("{said}\n{}", report::hint(&format!("see `{help}`")))
}

/// The help of the command that was typed; of `rework`, where none was.
fn help_of(parser: &clap::Command, args: &[OsString]) -> String {
    let words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    let typed = words.filter(|word| !word.starts_with('-')).find_map(|w| parser.find_subcommand(w));
    match typed {
        Some(command) => format!("rework {} --help", command.get_name()),
        None => "rework --help".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let parser = crate::args::parser();
        let error = parser.clone().try_get_matches_from(&args).unwrap_err();
        let text = explained(&error.render().to_string(), &help_of(&parser, &args));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn every_fault_of_typing_ends_with_a_hint() {
        for (line, words, hint) in [
            ("rework nonsense", "'nonsense'", "hint: see `rework --help`\n"),
            ("rework log-task nonsense", "'nonsense'", "hint: see `rework log-task --help`\n"),
            ("rework post x --delay soon", "`90s`", "hint: see `rework schedule --help`\n"),
            ("rework -o xml list-tasks", "jsonl", "hint: see `rework list-tasks --help`\n"),
        ] {
            let said = said(line);
            assert!(said.starts_with("error: ") && said.contains(words), "{said}");
            assert!(said.ends_with(hint) && !said.contains(ITS_HINT), "{said}");
        }
    }
}
