//! The quick start of the README, typed for real: what it says is what comes.
//!
//! `rework dev` has been started in the directory, with the test's database for one of its own.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use rework_core::task::state::State;

use crate::support::command::{Call, program};
use crate::support::database::Database;
use crate::support::{Installation, processes, wait};

#[test]
fn the_quick_start_of_the_readme() {
    let place = Installation::on(Database::empty());
    let blocks = blocks_of(&quick_start());
    let mut dev = place
        .process()
        .args(["dev", "--db", place.dsn()])
        .stdin(Stdio::null())
        .stdout(fs::File::create(place.folder().join("dev.stdout")).unwrap())
        .stderr(fs::File::create(place.folder().join("dev.stderr")).unwrap())
        .spawn()
        .unwrap();
    let workers = "select count(*) from rework.worker where started_at is not null";
    place.until("`rework dev` is up", || {
        assert!(dev.try_wait().unwrap().is_none(), "`rework dev` ended");
        place.session().try_one::<i64>(workers, &[]).is_ok_and(|workers| workers > 0)
    });
    for block in blocks {
        match block {
            Block::File { name, text } => fs::write(place.folder().join(name), text).unwrap(),
            Block::Typed { line, said } => {
                let shown = typed(&place, &line);
                assert_eq!(plain(&shown), plain(&said), "$ {line}\n{shown}");
            }
        }
    }
    processes::signal(i32::try_from(dev.id()).unwrap(), Signal::SIGINT);
    let status = wait::until_some(
        "`rework dev` ends",
        wait::PATIENCE,
        || place.scene(),
        || dev.try_wait().unwrap(),
    );
    assert!(status.success() || status.code() == Some(130), "{status}");
    place.assert_no_process_left();
}

/// Types a line into a shell that knows `rework`, when what was scheduled before has begun: people
/// are slow. Without a database: `rework dev` is found by its directory.
fn typed(place: &Installation, line: &str) -> String {
    place.until("what was scheduled has begun", || {
        let tasks: Vec<i64> = place.session().all("select id from rework.task", &[]);
        tasks.iter().map(|id| place.task(*id)).all(|task| {
            task.state != State::Queued && (task.state.is_end() || task.started_at.is_some())
        })
    });
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = program().parent().map(Path::to_owned).unwrap();
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", line]).current_dir(place.folder()).env_clear();
    shell.env("PATH", format!("{}:{path}", folder.display()));
    shell.env("REWORK_HOST", place.host()).env(processes::VARIABLE, place.host());
    Call::new(shell).ok().stdout()
}

/// What stands in a fenced block, in order.
enum Block {
    File { name: String, text: String },
    Typed { line: String, said: String },
}

/// The part of the README between its two marks.
fn quick_start() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("there is a README");
    let (_, rest) = readme.split_once("<!-- quick start -->").expect("it has a quick start");
    let (part, _) = rest.split_once("<!-- end").expect("its quick start has an end");
    part.to_owned()
}

fn blocks_of(part: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // Every second piece is within a fence.
    for fenced in part.split("```").skip(1).step_by(2) {
        let (language, text) = fenced.split_once('\n').unwrap();
        match language {
            "toml" => {
                let name = text.lines().next().and_then(|line| line.strip_prefix("# "));
                let name = name.expect("a file begins with `# its name`").to_owned();
                blocks.push(Block::File { name, text: text.to_owned() });
            }
            "console" => {
                for typed in text.split("$ ").skip(1) {
                    let (line, said) = typed.split_once('\n').unwrap();
                    blocks.push(Block::Typed { line: line.to_owned(), said: said.to_owned() });
                }
            }
            other => panic!("what is to be done with a block of `{other}`?"),
        }
    }
    assert!(blocks.len() > 3, "the quick start is there to be typed");
    blocks
}

/// Without what differs each time: moments are `TIME`, any number of blanks is one.
fn plain(text: &str) -> Vec<String> {
    let is_moment = |c: char| c.is_ascii_digit() || "-:.+".contains(c);
    let word = |word: &str| {
        let core = word.trim_matches(['[', ']']).trim_end_matches(':');
        let moment = core.len() >= 8 && core.chars().all(is_moment);
        if moment { word.replace(core, "TIME") } else { word.to_owned() }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}
