//! The clap parser of `rework`: the options of every command, the commands, and the text of
//! `rework --help`, which lists the commands in groups.
//!
//! The commands themselves are in `commands/`, and `options.rs` has the options of every command.

use std::fmt::Write as _;

use anstyle::Style;
use clap::{CommandFactory as _, Parser};

use crate::{
    commands::{Command, GROUPS},
    options::Options,
};

const HEADING: Style = Style::new().bold().underline();
const NAME: Style = Style::new().bold();

/// A distributed task system that needs Postgres and nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "rework",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Builds the complete parser: for parsing the command line, for help, and for shell completions.
pub fn parser() -> clap::Command {
    let parser = Cli::command();
    let template = help_template(&parser);
    parser.help_template(template)
}

/// Returns the clap template of `rework --help`. It lists the commands by group, each with the first line of its own
/// help.
fn help_template(parser: &clap::Command) -> String {
    let names = GROUPS.iter().flat_map(|(_, names)| names.iter());
    let width = names.map(|name| name.len()).max().unwrap_or(0);
    let mut text = String::from("{about}\n\n{usage-heading} {usage}\n");
    for (group, names) in GROUPS {
        let _ = writeln!(text, "\n{HEADING}{group}:{HEADING:#}");
        for name in *names {
            let command = parser.find_subcommand(name);
            let about = command.and_then(|c| c.get_about()).map(ToString::to_string);
            let about = about.unwrap_or_default();
            let _ = writeln!(text, "  {NAME}{name:width$}{NAME:#}  {about}");
        }
    }
    let _ = write!(text, "\n{HEADING}Options:{HEADING:#}\n");
    text.push_str("{options}\n\nFor the options of one command, type `rework COMMAND --help`.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_passes_the_checks_of_clap() {
        parser().debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group_and_has_a_help_text() {
        let parser = parser();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, n)| n.iter().copied()).collect();
        let commands = parser.get_subcommands().filter(|command| !command.is_hide_set());
        let mut named: Vec<&str> = commands.map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        named.sort_unstable();
        assert_eq!(grouped, named);
        for command in parser.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.len() > 10, "`{}` has no help", command.get_name());
        }
    }
}
