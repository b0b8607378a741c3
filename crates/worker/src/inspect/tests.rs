//! Real executables, ours and others: what is told of each.

use std::os::unix::fs::PermissionsExt;

use std::path::PathBuf;

use super::*;

fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("program");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn fault_of(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = program(folder.path(), script);
    let error = inspect(&path.clone().into(), Duration::from_secs(1)).await.unwrap_err();
    error.to_string().replace(&path.display().to_string(), "program")
}

/// A shell command that sends a `hello`.
fn hello(version: u32, operations: &str) -> String {
    let head = format!(
        r#"{{"type":"hello","version":{version},"sdk":"perl 1","operations":{operations}}}"#
    );
    let [a, b, c, d] = (head.len() as u32).to_le_bytes();
    format!(r"printf '\{a:03o}\{b:03o}\{c:03o}\{d:03o}\000\000\000\000{head}' >&3")
}

#[tokio::test]
async fn what_is_not_ours_is_told_apart() {
    for (script, said) in [
        (
            "#!/bin/sh\nseq 1 9 >&2; printf bye >&2; exit 3",
            "`program` ended (exit code 3) without saying which operations it has\
             \n    6\n    7\n    8\n    9\n    bye",
        ),
        (
            "#!/bin/sh\necho waiting >&2; sleep 600",
            "`program` did not say within 1 s which operations it has\n    waiting",
        ),
        ("#!/nowhere/sh\n", "`program` cannot be started: No such file or directory"),
        ("\x7fELF", "`program` ended (exit code 127) without saying"),
        (
            "#!/bin/sh\nprintf 'GET / HTTP/1.1\\r\\n' >&3; sleep 600",
            "`program` does not speak the runner protocol: a frame of",
        ),
        ("#!/bin/sh\nenv | grep -q ^REWORK_RUNNER_FD=3 && exit 7", "(exit code 7)"),
        ("#!/bin/sh\nkill -9 $$", "(signal 9 (killed))"),
    ] {
        let fault = fault_of(script).await;
        assert!(fault.contains(said), "{script}: {fault}");
    }
}

#[tokio::test]
async fn another_version_is_named() {
    let fault = fault_of(&format!("#!/bin/sh\n{}; sleep 600", hello(9, "[]"))).await;
    let said = "`program` speaks version 9 of the runner protocol (perl 1), this `rework` \
                version 1";
    assert_eq!(fault, said);
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused() {
    let bad = r#"[{"domain":"a","name":"b","input":{"type":"intger"}}]"#;
    let fault = fault_of(&format!("#!/bin/sh\n{}; read x <&3", hello(1, bad))).await;
    assert!(fault.contains("defines operation `b`, whose schema is not a JSON"), "{fault}");
}

#[tokio::test]
async fn operations_are_told_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let said = hello(1, r#"[{"domain":"images","name":"resize"}]"#);
    let script = format!("#!/bin/sh\nsleep 600 & echo $! > {}\n{said}\nwait", pid.display());
    let found = inspect(&program(folder.path(), &script).into(), TIMEOUT).await.unwrap();
    assert_eq!(found[0].name, "resize");
    assert_eq!(found[0].limits.attempts, 1);
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    assert!(stat.as_ref().map_or(true, |stat| stat.contains(") Z ")), "{stat:?}");
}
