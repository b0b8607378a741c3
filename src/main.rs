//! The binary `rework`. All of its code is in the crate `rework-commands` (`crates/cli`).

use std::process::ExitCode;

fn main() -> ExitCode {
    rework_commands::main()
}
