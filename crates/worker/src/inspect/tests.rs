//! Tests with real programs, runners and others: the operations or the error that each yields.

use std::os::unix::fs::PermissionsExt;

use std::path::PathBuf;

use super::*;

fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("program");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn error_of(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = program(folder.path(), script);
    let error = inspect(&path.clone().into(), Duration::from_secs(1)).await.unwrap_err();
    error.to_string().replace(&path.display().to_string(), "program")
}

/// Returns a shell command that sends a `hello`.
fn hello(version: u32, operations: &str) -> String {
    let head = format!(
        r#"{{"type":"hello","version":{version},"sdk":"perl 1","operations":{operations}}}"#
    );
    let [a, b, c, d] = (head.len() as u32).to_le_bytes();
    format!(r"printf '\{a:03o}\{b:03o}\{c:03o}\{d:03o}\000\000\000\000{head}' >&3")
}

#[tokio::test]
async fn each_program_that_is_not_a_runner_is_described() {
    for (script, expected) in [
        (
            "#!/bin/sh\nseq 1 9 >&2; printf bye >&2; exit 3",
            "`program` exited (exit code 3) before it listed its operations\
             \n    6\n    7\n    8\n    9\n    bye",
        ),
        (
            "#!/bin/sh\necho waiting >&2; sleep 600",
            "`program` did not list its operations within 1 s\n    waiting",
        ),
        (
            "#!/nowhere/sh\n",
            "`program` cannot be started: its first line names the interpreter `/nowhere/sh`, which \
             does not exist",
        ),
        ("#!/bin/sh\r\n", "`program` cannot be started: its lines end with CR LF"),
        ("\x7fELF", "`program` exited (exit code 127) before it listed"),
        (
            "#!/bin/sh\nprintf 'GET / HTTP/1.1\\r\\n' >&3; sleep 600",
            "`program` does not speak the runner protocol: a frame of",
        ),
        ("#!/bin/sh\nenv | grep -q ^REWORK_RUNNER_FD=3 && exit 7", "(exit code 7)"),
        ("#!/bin/sh\nkill -9 $$", "(signal 9 (killed))"),
    ] {
        let error = error_of(script).await;
        assert!(error.contains(expected), "{script}: {error}");
    }
}

#[tokio::test]
async fn another_protocol_version_is_named_in_the_error() {
    let error = error_of(&format!("#!/bin/sh\n{}; sleep 600", hello(9, "[]"))).await;
    let expected = "`program` speaks version 9 of the runner protocol (perl 1), and this `rework` \
                speaks version 1";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn an_invalid_schema_is_refused() {
    let bad = r#"[{"domain":"a","name":"b","input":{"type":"intger"}}]"#;
    let error = error_of(&format!("#!/bin/sh\n{}; read x <&3", hello(1, bad))).await;
    assert!(error.contains("defines operation `b`, whose schema is not a JSON"), "{error}");
}

#[tokio::test]
async fn attempts_that_contradict_the_retry_policy_are_refused() {
    let bad = r#"[{"domain":"a","name":"b","limits":{"attempts":3,"retry":"once"}}]"#;
    let error = error_of(&format!("#!/bin/sh\n{}; read x <&3", hello(1, bad))).await;
    let expected = "defines operation `b`, whose retry policy has 2 as `attempts`, and the \
                    operation itself has 3";
    assert!(error.contains(expected), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let good = r#"[{"domain":"a","name":"b","limits":{"retry":{"attempts":5,"first":"2s"}}}]"#;
    let script = format!("#!/bin/sh\n{}; read x <&3", hello(1, good));
    let found = inspect(&program(folder.path(), &script).into(), TIMEOUT).await.unwrap();
    assert_eq!(found[0].limits.attempts, 5);
}

#[tokio::test]
async fn the_operations_are_returned_and_no_process_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let send_hello = hello(1, r#"[{"domain":"images","name":"resize"}]"#);
    let script = format!("#!/bin/sh\nsleep 600 & echo $! > {}\n{send_hello}\nwait", pid.display());
    let found = inspect(&program(folder.path(), &script).into(), TIMEOUT).await.unwrap();
    assert_eq!(found[0].name, "resize");
    assert_eq!(found[0].limits.attempts, 1);
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    assert!(stat.as_ref().map_or(true, |stat| stat.contains(") Z ")), "{stat:?}");
}
