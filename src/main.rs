//! The binary `rework`: everything is in `crates/cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rework_commands::main()
}
