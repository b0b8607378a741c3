//! Tests of a program of operations that is run from the command line, without a worker.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::fixture;

fn fixture_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(fixture());
    command.args(arguments).env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// Runs the fixture, and returns its exit code, stdout and stderr.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = fixture_command(arguments).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code().unwrap(), stdout, stderr)
}

#[test]
fn a_program_without_arguments_lists_its_operations() {
    let (code, stdout, _) = run(&[]);
    assert_eq!(code, 0);
    let line = |name: &str| stdout.lines().find(|line| line.contains(name)).unwrap().to_owned();
    let columns = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(columns(line(" schedules ")), ["default", "schedules", "count:", "integer"]);
    assert_eq!(columns(line(" reversed ")), ["default", "reversed", "bytes"]);
    let echo = line(" echo ");
    assert!(echo.contains(" any JSON ") && echo.ends_with("  Returns its input."), "{echo}");
    assert_eq!(run(&["--help"]).1, stdout);
}

#[test]
fn help_of_an_operation_shows_its_input() {
    let (code, stdout, _) = run(&["schedules", "--help"]);
    assert_eq!(code, 0);
    assert!(stdout.contains(" schedules --count integer\n"), "{stdout}");
}

#[test]
fn the_output_is_printed_last() {
    assert_eq!(run(&["echo", "--input", "[1, 2]"]), (0, "[1,2]\n".into(), String::new()));
    assert_eq!(run(&["echo", "--a-b", "1"]).1, "{\"a-b\":1}\n");
    assert_eq!(run(&["number"]).1, "0\nchild 0\nend 0");
    assert_eq!(run(&["reversed", "--input", "abc"]).1, "cba");
    assert_eq!(run(&["optional"]), (0, String::new(), String::new()));
}

#[test]
fn an_input_can_be_read_from_a_file_or_stdin() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\"a\": 1}").unwrap();
    let from_file = format!("@{}", file.path().display());
    assert_eq!(run(&["echo", "--input", &from_file, "--b", "2"]).1, "{\"a\":1,\"b\":2}\n");
    let mut child = fixture_command(&["reversed", "--input=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\x00a").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"a\x00\xff");
}

#[test]
fn logs_are_written_to_stderr() {
    let (code, stdout, stderr) = run(&["logs"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert!(stderr.starts_with("ERROR   fixture: bad request=7 "), "{stderr}");
    let errors_only = fixture_command(&["logs"]).env("RUST_LOG", "error").output().unwrap();
    assert_eq!(errors_only.stderr.split(|byte| *byte == b'\n').count(), 2);
}

#[test]
fn a_failed_operation_exits_with_1_and_prints_its_saved_output() {
    let (code, stdout, stderr) = run(&["fails"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("error: loading: reading: disk on fire\n"), "{stderr}");
    let (code, stdout, _) = run(&["fails_on_purpose", "--input", "\"never\""]);
    assert_eq!((code, stdout.as_str()), (1, "\"half of it\"\n"));
    let (code, _, stderr) = run(&["schedules_plainly"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("this operation runs without one"), "{stderr}");
}

#[test]
fn a_wrong_command_line_exits_with_2_and_a_hint() {
    let program = fixture();
    let program = program.display();
    for (arguments, error, hint) in [
        (&["ecco"][..], "this program has no operation `ecco`", "echo"),
        (&["echo", "--domain", "default"], "no operation `echo` in domain `default`", ""),
        (&["schedules"], "operation `schedules` needs `--count integer`", "schedules --help"),
        (&["schedules", "--cuont", "1"], "did you mean `--count`?", "schedules --help"),
        (&["schedules", "--input"], "`--input` needs a value", "schedules --help"),
        (&["schedules", "--input", "{"], "invalid input", "schedules --help"),
        (&["nothing", "--input", "1"], "`nothing` takes no input", "nothing --help"),
        (&["reversed", "--input", "@/no/file"], "cannot read `/no/file`", "reversed --help"),
        (
            &["reversed", "--a", "1"],
            "the input of operation `reversed` is raw bytes",
            "reversed --help",
        ),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(error), "{arguments:?}: {stderr}");
        let expected = format!("{program} {hint}");
        let hint = stderr.lines().find(|line| line.starts_with("hint: ")).unwrap();
        assert!(hint.contains(expected.trim_end()), "{arguments:?}: {stderr}");
    }
}

#[test]
fn ctrl_c_aborts_the_operation() {
    for (operation, expected) in [("awaits_abort", "\"interrupted\"\n"), ("ignores_aborts", "")] {
        let mut command = fixture_command(&[operation]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("INFO"), "{line}");
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        let mut stdout = String::new();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(stdout, expected, "{operation}");
    }
}
