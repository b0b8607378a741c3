//! A program of operations that a person starts.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::fixture;

fn fixture_command(words: &[&str]) -> Command {
    let mut command = Command::new(fixture());
    command.args(words).env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// (exit code, stdout, stderr).
fn typed(words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = fixture_command(words).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code().unwrap(), stdout, stderr)
}

#[test]
fn alone_it_lists_its_operations() {
    let (code, stdout, _) = typed(&[]);
    assert_eq!(code, 0);
    let line = |name: &str| stdout.lines().find(|line| line.contains(name)).unwrap().to_owned();
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(line(" schedules ")), ["default", "schedules", "count:", "integer"]);
    assert_eq!(words(line(" reversed ")), ["default", "reversed", "bytes"]);
    let echo = line(" echo ");
    assert!(echo.contains(" any JSON ") && echo.ends_with("  Gives back what it got."), "{echo}");
    assert_eq!(typed(&["--help"]).1, stdout);
}

#[test]
fn an_operation_shows_its_input() {
    let (code, stdout, _) = typed(&["schedules", "--help"]);
    assert_eq!(code, 0);
    assert!(stdout.contains(" schedules --count integer\n"), "{stdout}");
}

#[test]
fn the_output_comes_last() {
    assert_eq!(typed(&["echo", "--input", "[1, 2]"]), (0, "[1,2]\n".into(), String::new()));
    assert_eq!(typed(&["echo", "--a-b", "1"]).1, "{\"a-b\":1}\n");
    assert_eq!(typed(&["number"]).1, "0\nchild 0\nrest 0");
    assert_eq!(typed(&["reversed", "--input", "abc"]).1, "cba");
    assert_eq!(typed(&["optional"]), (0, String::new(), String::new()));
}

#[test]
fn inputs_come_from_files_and_stdin() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\"a\": 1}").unwrap();
    let from_file = format!("@{}", file.path().display());
    assert_eq!(typed(&["echo", "--input", &from_file, "--b", "2"]).1, "{\"a\":1,\"b\":2}\n");
    let mut child = fixture_command(&["reversed", "--input=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\x00a").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"a\x00\xff");
}

#[test]
fn logs_go_to_stderr() {
    let (code, stdout, stderr) = typed(&["logs"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert!(stderr.starts_with("ERROR   fixture: bad request=7 "), "{stderr}");
    let quiet = fixture_command(&["logs"]).env("RUST_LOG", "error").output().unwrap();
    assert_eq!(quiet.stderr.split(|byte| *byte == b'\n').count(), 2);
}

#[test]
fn failures_exit_with_one_and_keep_what_was_saved() {
    let (code, stdout, stderr) = typed(&["fails"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("error: loading: reading: disk on fire\n"), "{stderr}");
    let (code, stdout, _) = typed(&["fails_on_purpose", "--input", "\"never\""]);
    assert_eq!((code, stdout.as_str()), (1, "\"half of it\"\n"));
    let (code, _, stderr) = typed(&["schedules_plainly"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("this operation runs without one"), "{stderr}");
}

#[test]
fn what_is_typed_wrong_exits_with_two_and_a_hint() {
    let program = fixture();
    let program = program.display();
    for (words, error, hint) in [
        (&["ecco"][..], "this program has no operation `ecco`", "echo"),
        (&["echo", "--domain", "default"], "no operation `echo` in domain `default`", ""),
        (&["schedules"], "its input needs `--count integer`", "schedules --help"),
        (&["schedules", "--cuont", "1"], "did you mean `--count`?", "schedules --help"),
        (&["schedules", "--input"], "`--input` needs a value", "schedules --help"),
        (&["schedules", "--input", "{"], "the input does not fit", "schedules --help"),
        (&["nothing", "--input", "1"], "`nothing` takes no input", "nothing --help"),
        (&["reversed", "--input", "@/no/file"], "cannot read `/no/file`", "reversed --help"),
        (&["reversed", "--a", "1"], "its input is bytes", "reversed --help"),
    ] {
        let (code, stdout, stderr) = typed(words);
        assert_eq!((code, stdout.as_str()), (2, ""), "{words:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(error), "{words:?}: {stderr}");
        let said = format!("{program} {hint}");
        let hint = stderr.lines().find(|line| line.starts_with("hint: ")).unwrap();
        assert!(hint.contains(said.trim_end()), "{words:?}: {stderr}");
    }
}

#[test]
fn an_interrupt_aborts() {
    for (operation, said) in [("listens", "\"interrupted\"\n"), ("deaf", "")] {
        let mut command = fixture_command(&[operation]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("INFO"), "{line}");
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        let mut stdout = String::new();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(stdout, said, "{operation}");
    }
}
