//! Files that hold no operations, or wrong ones: which one, on which line, what is wrong with it;
//! and nothing of them is registered, nor of those that were named beside them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::bad_input::{refused, refused_within};
use crate::support::{Installation, installation, processes};

/// A file of the place's folder.
fn file(place: &Installation, name: &str, text: &[u8], mode: u32) -> PathBuf {
    let path = place.folder().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_malformed_manifest() {
    let place = Installation::new();
    let good = installation::manifest("hello.toml");
    for (text, line, words) in [
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
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\ntimeout = 3\n", ":4", "with its unit"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\ntimeout = \"0s\"\n", ":4", "no limit"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\nmemory = \"3x\"\n", ":4", "`2GiB`"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\nattempts = 0\n", ":4", "from 1"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\noutput = \"xml\"\n", ":4", "`json`"),
        ("[[operation]]\nname = \"a\"\nshell = \"a\"\nenv = {REWORK_X = \"1\"}\n", ":4", "own"),
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
        let bad = file(&place, "bad.toml", text.as_bytes(), 0o644);
        let whereabouts = format!("{}{line}: ", bad.display());
        let call = place.rework(["register-operations"]).args([&good, &bad]);
        refused(&place, call, 1, &[&whereabouts, words]);
        let check = place.rework(["register-operations", "--check"]).args([&bad]);
        refused(&place, check.without_env("REWORK_DSN"), 1, &[&whereabouts, words]);
    }
    let bad = file(&place, "bad.toml", b"\xff\xfe\n", 0o644);
    refused(&place, place.rework(["register-operations"]).args([bad]), 1, &["UTF-8"]);
    place.register([good]);
}

#[test]
fn what_is_not_one_of_ours() {
    let place = Installation::new();
    let good = installation::manifest("hello.toml");
    let script = file(&place, "script", b"#!/bin/sh\necho some words >&2\nexit 3\n", 0o755);
    let chatty = file(&place, "chatty", b"#!/bin/sh\necho what is this >&3\n", 0o755);
    let homeless = file(&place, "homeless", b"#!/no/such/interpreter\n", 0o755);
    let text = file(&place, "notes.txt", b"some words\n", 0o644);
    let module = file(&place, "module.py", b"print(1)\n", 0o644);
    for (path, words) in [
        (script, vec!["ended (exit code 3)", "some words", "rework::run()"]),
        (chatty, vec!["runner protocol"]),
        (homeless, vec!["cannot be started", "No such file"]),
        (
            text,
            vec![
                "neither a manifest (`.toml`), nor a Python module (`.py`), nor executable",
                "chmod +x",
            ],
        ),
        (module, vec!["No module named 'rework'", "pip install rework-pg", "--python"]),
        (PathBuf::from("/bin/true"), vec!["ended (exit code 0)", "rework::run()"]),
        (place.folder().to_owned(), vec!["is a directory"]),
        (place.folder().join("no-such"), vec!["is not there"]),
        (place.folder().join("no-such.toml"), vec!["is not there"]),
    ] {
        let named = path.display().to_string();
        let words = [vec![named.as_str()], words].concat();
        let call = place.rework(["register-operations"]).args([&good, &path]);
        refused(&place, call, 1, &words);
        let call = place.rework(["monitor", "--register"]).args([&path]);
        refused(&place, call, 1, &words);
    }
    assert!(processes::marked(place.host()).is_empty(), "nothing of them runs on");
}

#[test]
fn a_program_that_never_says_what_it_is() {
    let place = Installation::new();
    let mute = file(&place, "mute", b"#!/bin/sh\n(setsid sleep 1000 &)\nsleep 1000\n", 0o755);
    let call = place.rework(["register-operations"]).args([mute]);
    refused_within(&place, call, 1, &["did not say within 10 s"], Duration::from_secs(15));
    assert!(processes::marked(place.host()).is_empty(), "nothing of it runs on");
}

#[test]
fn two_files_that_define_the_same() {
    let place = Installation::new();
    let twin = place.folder().join("twin.toml");
    fs::copy(installation::manifest("hello.toml"), &twin).unwrap();
    let call =
        place.rework(["register-operations"]).args([installation::manifest("hello.toml"), twin]);
    refused(&place, call, 1, &["`hello`", "hello.toml", "twin.toml"]);
}
