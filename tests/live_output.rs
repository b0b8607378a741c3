//! Output that has no newline yet: questions, rows of dots, progress bars. Readers of the log see it while the run goes
//! on, and it is one line in the end.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::installation::fixture_program;
use crate::support::{Installation, processes, wait};

/// A `rework log-task --follow` whose output is read while it runs.
struct Follower {
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Follower {
    fn start(setup: &Installation, task: i64, args: &[&str]) -> Follower {
        let command = setup.rework(["log-task", &task.to_string(), "--follow"]).args(args);
        let mut child = command.spawn();
        let mut stdout = child.stdout.take().unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&output);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Follower { child, output, reader }
    }

    /// Returns what the command has printed so far.
    fn text(&self) -> String {
        String::from_utf8(self.output.lock().unwrap().clone()).unwrap()
    }

    /// Waits until the command has printed a text that ends with `end`.
    #[track_caller]
    fn wait_for(&self, end: &str) {
        let printed = || self.text().ends_with(end);
        wait::until(&format!("`{end}` is printed"), || self.text(), printed);
    }

    /// Waits until the command has ended, and returns what it has printed.
    #[track_caller]
    fn finish(mut self) -> String {
        let child = &mut self.child;
        let exit_status = || child.try_wait().unwrap();
        let status = wait::until_some("the command ends", wait::TIMEOUT, String::new, exit_status);
        assert!(status.success(), "{status}");
        self.reader.join().unwrap();
        String::from_utf8(self.output.lock().unwrap().clone()).unwrap()
    }
}

/// A task of `writes_pieces`, which waits after each piece until the test lets it go on.
struct Writing {
    task: i64,
    folder: PathBuf,
}

impl Writing {
    fn start(setup: &Installation, pieces: &[&str]) -> Writing {
        let folder = setup.folder().to_owned();
        let task = setup.schedule("writes_pieces", json!({"folder": folder, "pieces": pieces}));
        Writing { task, folder }
    }

    /// Lets the operation go on after the piece with this number, from 0.
    fn go_on_after(&self, number: usize) {
        std::fs::write(self.folder.join(number.to_string()), "").unwrap();
    }
}

/// Returns the text in a line of `log-task`, which has the form `stdout:INFO: 2026-11-22 16:08:27: text`.
fn text_of(line: &str) -> &str {
    line.splitn(3, ": ").nth(2).unwrap_or_else(|| panic!("not a line of `log-task`: {line}"))
}

/// Returns the texts of the lines that `log-task` prints with these options.
fn logged(setup: &Installation, task: i64, args: &[&str]) -> Vec<String> {
    let lines = setup.rework(["log-task", &task.to_string()]).args(args).run_ok().lines();
    lines.iter().map(|line| text_of(line).to_owned()).collect()
}

#[test]
fn an_unfinished_line_is_followed_within_a_second_and_is_one_line_in_the_end() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let writing = Writing::start(&setup, &["1", " 2", " 3", " 4", " 5\nnext\n"]);
    let follower = Follower::start(&setup, writing.task, &[]);
    let json_follower = Follower::start(&setup, writing.task, &["-o", "jsonl"]);
    follower.wait_for(": 1");
    let mut delays = Vec::new();
    for (number, text) in [": 1 2", ": 1 2 3", ": 1 2 3 4"].into_iter().enumerate() {
        let written = Instant::now();
        writing.go_on_after(number);
        follower.wait_for(text);
        delays.push(written.elapsed());
    }
    wait::until(
        "the unfinished line is printed as JSON",
        || json_follower.text(),
        || json_follower.text().contains("\"text\":\"1 2 3 4\",\"whole\":false}"),
    );
    writing.go_on_after(3);
    writing.go_on_after(4);
    setup.wait_until_done(writing.task);

    let printed = follower.finish();
    let texts: Vec<&str> = printed.lines().map(text_of).collect();
    assert_eq!(texts, ["1 2 3 4 5", "next"], "{printed}");
    let states = json_follower.finish();
    let lines = states.lines().filter(|line| !line.contains("\"whole\":false"));
    let text = |line| serde_json::from_str::<Value>(line).unwrap()["text"].clone();
    let texts: Vec<Value> = lines.map(text).collect();
    assert_eq!(texts, ["1 2 3 4 5", "next"], "{states}");
    // The shortest delay, because other tests need the processor, too.
    let delay = delays.into_iter().min().unwrap();
    assert!(delay < Duration::from_secs(1), "visible after {delay:?}");
}

#[test]
fn a_redraw_keeps_the_last_state_and_raw_output_has_all_bytes() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let writing = Writing::start(&setup, &["before\n10 %\r", "55 %\r", "100 %\nafter\n"]);
    let follower = Follower::start(&setup, writing.task, &[]);
    let raw_follower = Follower::start(&setup, writing.task, &["--raw"]);
    follower.wait_for(": 10 %");
    raw_follower.wait_for("before\n10 %\r");
    writing.go_on_after(0);
    follower.wait_for(": 55 %");
    assert_eq!(logged(&setup, writing.task, &[]), ["before", "55 %"]);
    writing.go_on_after(1);
    writing.go_on_after(2);
    setup.wait_until_done(writing.task);

    let printed = follower.finish();
    assert_eq!(printed.matches('\n').count(), 3, "{printed:?}");
    assert_eq!(printed.matches('\r').count(), 2, "each redraw begins at the start of the line");
    let task = writing.task;
    let all = "before\n10 %\r55 %\r100 %\nafter\n";
    assert_eq!(raw_follower.finish(), all);
    assert_eq!(setup.rework(["log-task", &task.to_string(), "--raw"]).run_ok().stdout(), all);
    assert_eq!(logged(&setup, task, &[]), ["before", "100 %", "after"]);
}

#[test]
fn a_part_of_a_log_has_whole_lines() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let writing = Writing::start(&setup, &["first\nbegin", "ning", " and end\nlast\n"]);
    for (number, text) in ["begin", "ning"].into_iter().enumerate() {
        setup.wait_until_logged(writing.task, text);
        writing.go_on_after(number);
    }
    writing.go_on_after(2);
    setup.wait_until_done(writing.task);
    let task = writing.task;
    let rows = setup.log_lines(task);
    assert_eq!(rows, ["first", "begin", "ning", " and end", "last"], "one line has several rows");
    let all = ["first", "beginning and end", "last"];
    assert_eq!(logged(&setup, task, &[]), all);
    assert_eq!(logged(&setup, task, &["--tail", "2"]), all[1..]);
    assert_eq!(logged(&setup, task, &["--tail", "1"]), all[2..]);
    assert_eq!(logged(&setup, task, &["--since", "1h"]), all);
    let ids: Vec<i64> = setup
        .session()
        .query_values("select id from rework.log where task = $1 order by id", &[&task]);
    let expected = [&all[1..], &all[1..], &all[1..], &all[2..], &all[3..]];
    for (after, expected) in ids.into_iter().zip(expected) {
        let after = after.to_string();
        assert_eq!(logged(&setup, task, &["--fromid", &after]), expected);
        let raw = setup.rework(["log-task", &task.to_string(), "--raw", "--fromid", &after]);
        assert_eq!(raw.run_ok().lines(), expected);
    }
    let listed = setup.rework(["list-tasks", "--logcount"]).run_ok().stdout();
    assert!(listed.contains(" 3 log lines "), "{listed}");
    let sql = "select convert_from(line, 'UTF8') from rework.log_line where task = $1 order by id";
    assert_eq!(setup.session().query_values::<String>(sql, &[&task]), all);
}

#[test]
fn an_unfinished_line_survives_its_worker_and_is_not_joined_to_the_next_run() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("half_a_line");
    let running = setup.wait_until_logged(task, "half a line");
    let sql = "select pid from rework.worker where id = $1";
    let pid: i32 = setup.session().query_value(sql, &[&running.worker]);
    processes::signal(pid, Signal::SIGKILL);
    assert_eq!(setup.wait_until_ended(task).state, State::Lost);
    let of_one_run = ["a whole line", "half a line"];
    assert_eq!(logged(&setup, task, &[]), of_one_run);

    let id = task.to_string();
    setup.rework(["retry-task", &id]).run_ok();
    setup.wait_until("the second run has written its last line", || {
        setup.log_lines(task).len() == 4
    });
    setup.rework(["abort-task", &id, "--wait"]).run_ok();
    assert_eq!(logged(&setup, task, &[]), [of_one_run, of_one_run].concat());
    let raw = setup.rework(["log-task", &id, "--raw", "--run", "2"]).run_ok().stdout();
    assert_eq!(raw, "a whole line\nhalf a line");
}

/// Registers a program that is not ready while the file `closed` exists. It writes a line and the beginning of another
/// one before. If the file is not empty, it writes another text and exits. Returns the path of the file.
fn register_slow_program(setup: &Installation) -> PathBuf {
    let program = setup.folder().join("operations");
    let closed = setup.folder().join("closed");
    let script = format!(
        "#!/bin/sh\n\
         if [ -s {closed} ]; then printf 'no licence'; exit 3; fi\n\
         if [ -e {closed} ]; then echo begin; printf 'loading '; fi\n\
         while [ -e {closed} ]; do sleep 0.01; done\n\
         exec {fixture}\n",
        closed = closed.display(),
        fixture = fixture_program().display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    setup.register([&program]);
    closed
}

#[test]
fn what_a_runner_writes_before_it_is_ready_is_logged_at_once() {
    let setup = Installation::new();
    let closed = register_slow_program(&setup);
    std::fs::write(&closed, "").unwrap();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule("double", 21);
    setup.wait_until_logged(task, "loading ");
    assert_eq!(logged(&setup, task, &[]), ["begin", "loading "]);
    std::fs::remove_file(&closed).unwrap();
    setup.wait_until_done(task);
    assert_eq!(logged(&setup, task, &[]), ["begin", "loading I am running", "I am done"]);
}

#[test]
fn the_last_line_of_a_runner_that_never_was_ready_is_kept_without_its_newline() {
    let setup = Installation::new();
    let closed = register_slow_program(&setup);
    std::fs::write(&closed, "exit").unwrap();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let failed = setup.wait_until_ended(setup.schedule("double", 21));
    assert_eq!(failed.state, State::Failed);
    assert!(failed.reason().ends_with(": exit code 3: no licence"), "{}", failed.reason());
    assert_eq!(logged(&setup, failed.id, &[]), ["no licence"]);
}
