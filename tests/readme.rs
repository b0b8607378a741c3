//! Runs the quick start of README.md: writes its files, runs its commands, and compares their output with the README.
//!
//! `rework dev` runs in the same folder, as the README says, but with the database of the test.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use rework_core::task::state::State;

use crate::support::command::{TestCommand, program};
use crate::support::database::Database;
use crate::support::{Installation, processes, wait};

#[test]
fn the_commands_of_the_readme_print_what_it_shows() {
    let setup = Installation::with_database(Database::empty());
    let blocks = parse_blocks(&quick_start());
    let mut dev = setup
        .bare_command()
        .args(["dev", "--db", setup.dsn()])
        .stdin(Stdio::null())
        .stdout(fs::File::create(setup.folder().join("dev.stdout")).unwrap())
        .stderr(fs::File::create(setup.folder().join("dev.stderr")).unwrap())
        .spawn()
        .unwrap();
    let workers = "select count(*) from rework.worker where started_at is not null";
    setup.wait_until("`rework dev` has started a worker", || {
        assert!(dev.try_wait().unwrap().is_none(), "`rework dev` ended");
        setup.session().try_query_value::<i64>(workers, &[]).is_ok_and(|workers| workers > 0)
    });
    for block in blocks {
        match block {
            Block::File { name, text } => fs::write(setup.folder().join(name), text).unwrap(),
            Block::Command { line, expected } => {
                let output = run_line(&setup, &line);
                assert_eq!(normalize(&output), normalize(&expected), "$ {line}\n{output}");
            }
        }
    }
    processes::signal(i32::try_from(dev.id()).unwrap(), Signal::SIGINT);
    let status = wait::until_some(
        "`rework dev` ends",
        wait::TIMEOUT,
        || setup.diagnostics(),
        || dev.try_wait().unwrap(),
    );
    assert!(status.success() || status.code() == Some(130), "{status}");
    setup.wait_until_no_process_left();
}

/// Runs a command line in a shell and returns its output.
///
/// Waits before until all tasks have started, because a reader types more slowly than a worker claims a task. No DSN is
/// given, so that `rework` must find the database of `rework dev` by the folder.
fn run_line(setup: &Installation, line: &str) -> String {
    setup.wait_until("all tasks have started", || {
        let tasks: Vec<i64> = setup.session().query_values("select id from rework.task", &[]);
        tasks.iter().map(|id| setup.task(*id)).all(|task| {
            task.state != State::Queued && (task.state.is_end() || task.started_at.is_some())
        })
    });
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = program().parent().map(Path::to_owned).unwrap();
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", line]).current_dir(setup.folder()).env_clear();
    shell.env("PATH", format!("{}:{path}", folder.display()));
    shell.env("REWORK_HOST", setup.host()).env(processes::TAG_VARIABLE, setup.host());
    TestCommand::new(shell).run_ok().stdout()
}

/// A file or a command in a fenced code block of the README.
enum Block {
    File { name: String, text: String },
    Command { line: String, expected: String },
}

/// Returns the part of the README between the comments that mark the quick start.
fn quick_start() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("README.md is readable");
    let (_, after) =
        readme.split_once("<!-- quick start -->").expect("no comment `quick start` in README.md");
    let (part, _) =
        after.split_once("<!-- end").expect("no comment `end of quick start` in README.md");
    part.to_owned()
}

fn parse_blocks(part: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // Every second part is inside a fenced block.
    for fenced in part.split("```").skip(1).step_by(2) {
        let (language, text) = fenced.split_once('\n').unwrap();
        match language {
            "toml" => {
                let name = text.lines().next().and_then(|line| line.strip_prefix("# "));
                let name =
                    name.expect("the first line of a `toml` block is `# <file name>`").to_owned();
                blocks.push(Block::File { name, text: text.to_owned() });
            }
            "console" => {
                for command in text.split("$ ").skip(1) {
                    let (line, expected) = command.split_once('\n').unwrap();
                    blocks.push(Block::Command {
                        line: line.to_owned(),
                        expected: expected.to_owned(),
                    });
                }
            }
            other => panic!(
                "README.md: a block of language `{other}` in the quick start, not `toml` or `console`"
            ),
        }
    }
    assert!(blocks.len() > 3, "the quick start has commands");
    blocks
}

/// Replaces times by `TIME` and several spaces by one, because these differ in each run. Returns the lines.
fn normalize(text: &str) -> Vec<String> {
    let is_time_character = |c: char| c.is_ascii_digit() || "-:.+".contains(c);
    let word = |word: &str| {
        let core = word.trim_matches(['[', ']']).trim_end_matches(':');
        let is_time = core.len() >= 8 && core.chars().all(is_time_character);
        if is_time { word.replace(core, "TIME") } else { word.to_owned() }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}
