//! `register-operations` with files that have errors or are not files of operations.
//!
//! The error must name the file, the line and the problem. Nothing is registered, also not from the valid files of the
//! same command.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::bad_input::{assert_refused, assert_refused_within};
use crate::support::{Installation, installation, processes};

/// Writes a file with these permissions into the folder of the installation and returns its path.
fn write_file(setup: &Installation, name: &str, text: &[u8], mode: u32) -> PathBuf {
    let path = setup.folder().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_malformed_manifest_is_refused_with_file_and_line() {
    let setup = Installation::new();
    let valid = installation::manifest_path("hello.toml");
    for (text, line, problem) in [
        ("", "", "declares no operation"),
        ("oops", ":1", "key with no value"),
        ("[[operation]]\nname = \"a", ":2", "invalid basic string"),
        ("[[operation]]\nname = \"a\"\n", ":1", "neither `command` nor `shell`"),
        ("[[operation]]\nshell = \"a\"\n", ":1", "missing key `name`"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\ncommand = [\"a\"]\n", ":3", "both"),
        ("[[operation]]\nname = \"a\"\ncommand = []\n", ":3", "its command is empty"),
        ("[[operation]]\nname = \"a b\"\nshell = \"a\"\n", ":2", "write one word"),
        ("[operation]\nname = \"a\"\nshell = \"a\"\n", ":1", "two brackets"),
        ("domian = \"x\"\n", ":1", "did you mean `domain`?"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\ntimout = \"3s\"\n", ":4", "`timeout`?"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\ntimeout = 3\n", ":4", "with a unit"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\ntimeout = \"0s\"\n", ":4", "no limit"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\nmemory = \"3x\"\n", ":4", "`2GiB`"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\nattempts = 0\n", ":4", "from 1"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\noutput = \"xml\"\n", ":4", "`json`"),
        (
            "[[operation]]\nname = \"a\"\nshell = \"a\"\nenv = {REWORK_X = \"1\"}\n",
            ":4",
            "reserved",
        ),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\ninput = {x = \"intger\"}\n", ":4", "integer"),
        (
            "[[operation]]\nname = \"a\"\nshell = \"a\"\n[operation.input]\ntype = \"objekt\"\n",
            ":4",
            "objekt",
        ),
        (
            "[[operation]]\nname = \"a\"\nshell = \"a\"\n[[operation]]\nname = \"a\"\nshell = \"b\"\n",
            ":4",
            "declared twice",
        ),
    ] {
        let bad = write_file(&setup, "bad.toml", text.as_bytes(), 0o644);
        let location = format!("{}{line}: ", bad.display());
        let command = setup.rework(["register-operations"]).args([&valid, &bad]);
        assert_refused(&setup, command, 1, &[&location, problem]);
        let check = setup.rework(["register-operations", "--check"]).args([&bad]);
        assert_refused(&setup, check.without_env("REWORK_DSN"), 1, &[&location, problem]);
    }
    let bad = write_file(&setup, "bad.toml", b"\xff\xfe\n", 0o644);
    assert_refused(&setup, setup.rework(["register-operations"]).args([bad]), 1, &["UTF-8"]);
    setup.register([valid]);
}

#[test]
fn a_file_that_is_not_a_file_of_operations_is_refused() {
    let setup = Installation::new();
    let valid = installation::manifest_path("hello.toml");
    let script = write_file(&setup, "script", b"#!/bin/sh\necho a message >&2\nexit 3\n", 0o755);
    let writes_to_fd_3 =
        write_file(&setup, "writes_to_fd_3", b"#!/bin/sh\necho not a frame >&3\n", 0o755);
    let without_interpreter =
        write_file(&setup, "without_interpreter", b"#!/no/such/interpreter\n", 0o755);
    let with_cr_lf = write_file(&setup, "with_cr_lf", b"#!/bin/sh\r\nexit 3\r\n", 0o755);
    let text = write_file(&setup, "notes.txt", b"a message\n", 0o644);
    let module = write_file(&setup, "module.py", b"print(1)\n", 0o644);
    for (path, texts) in [
        (script, vec!["exited (exit code 3)", "a message", "rework::run()"]),
        (writes_to_fd_3, vec!["runner protocol"]),
        (with_cr_lf, vec!["cannot be started", "its lines end with CR LF"]),
        (
            without_interpreter,
            vec![
                "cannot be started",
                "its first line names the interpreter `/no/such/interpreter`",
            ],
        ),
        (
            text,
            vec![
                "neither a manifest (`.toml`), nor a Python module (`.py`), nor executable",
                "chmod +x",
            ],
        ),
        (module, vec!["No module named 'rework'", "pip install rework-pg", "--python"]),
        (PathBuf::from("/bin/true"), vec!["exited (exit code 0)", "rework::run()"]),
        (setup.folder().to_owned(), vec!["is a directory"]),
        (setup.folder().join("no-such"), vec!["does not exist"]),
        (setup.folder().join("no-such.toml"), vec!["does not exist"]),
    ] {
        let name = path.display().to_string();
        let texts = [vec![name.as_str()], texts].concat();
        let command = setup.rework(["register-operations"]).args([&valid, &path]);
        assert_refused(&setup, command, 1, &texts);
        let command = setup.rework(["monitor", "--register"]).args([&path]);
        assert_refused(&setup, command, 1, &texts);
    }
    assert!(processes::tagged(setup.host()).is_empty(), "a process is left");
}

#[test]
fn a_program_that_never_lists_its_operations_is_killed() {
    let setup = Installation::new();
    let silent =
        write_file(&setup, "silent", b"#!/bin/sh\n(setsid sleep 1000 &)\nsleep 1000\n", 0o755);
    let command = setup.rework(["register-operations"]).args([silent]);
    assert_refused_within(
        &setup,
        command,
        1,
        &["did not list its operations within 10 s"],
        Duration::from_secs(15),
    );
    assert!(processes::tagged(setup.host()).is_empty(), "a process is left");
}

#[test]
fn an_operation_in_two_files_is_refused() {
    let setup = Installation::new();
    let copy = setup.folder().join("copy.toml");
    fs::copy(installation::manifest_path("hello.toml"), &copy).unwrap();
    let command = setup
        .rework(["register-operations"])
        .args([installation::manifest_path("hello.toml"), copy]);
    assert_refused(&setup, command, 1, &["`hello`", "hello.toml", "copy.toml"]);
}
