//! Tests of starting child processes: a child inherits exactly what it was given, its exit is reported, and it never
//! stays a zombie.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, process};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rework_process::{
    Child, Containment, Exit, Launch, LaunchError, ScriptFault, Tree, exempt, launch, raise_limits,
    reap_adopted,
};
use support::{
    TIMEOUT, containments, has_zombies, process_tag, program, read_all, run_alone, runs, shell,
    wait_until,
};
use tempfile::tempdir;

#[test]
fn inherited_fds_may_swap_their_numbers() {
    run_alone(async {
        let (one, to_one) = pipe();
        let (two, to_two) = pipe();
        let (a, b) = (to_one.as_raw_fd(), to_two.as_raw_fd());
        let script = format!("echo first > /proc/self/fd/{b}; echo second > /proc/self/fd/{a}");
        let mut start = shell(&script, Path::new("/"));
        start.fds = vec![(to_one, b), (to_two, a)];
        assert_eq!(launch(start).unwrap().wait().await.unwrap(), Exit::Code(0));
        assert_eq!((read_all(one), read_all(two)), ("first\n".into(), "second\n".into()));
    });
}

#[test]
fn a_failed_exec_is_reported_whatever_number_an_inherited_fd_gets() {
    run_alone(async {
        for target in 3..40 {
            let mut start = program("no-such-program", &[], Path::new("/"));
            start.fds = vec![(pipe().1, target)];
            let error = launch(start).unwrap_err();
            assert!(matches!(error, LaunchError::Program { .. }), "at {target}: {error:?}");
        }
    });
}

#[test]
fn a_child_inherits_no_other_fd() {
    run_alone(async {
        let (_keep, leak) = pipe();
        let leak = nix::unistd::dup(&leak).unwrap();
        let (read, write) = pipe();
        let mut start = program("ls", &["/proc/self/fd"], Path::new("/"));
        start.fds = vec![(pipe().1, 7)];
        start.stdout = write;
        launch(start).unwrap().wait().await.unwrap();
        let fds: Vec<RawFd> = read_all(read).lines().map(|fd| fd.parse().unwrap()).collect();
        // 3 is the directory that `ls` reads.
        assert_eq!(fds, [0, 1, 2, 3, 7], "{} was leaked", leak.as_raw_fd());
    });
}

#[test]
fn a_child_gets_the_inherited_limit_although_this_process_has_more_open_files() {
    run_alone(async {
        const LIMIT: u64 = 64;
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, LIMIT, hard).unwrap();
        raise_limits();
        let _open: Vec<_> = (0..LIMIT).map(|_| pipe()).collect();
        let (read, write) = pipe();
        let mut start = shell("ulimit -Sn", Path::new("/"));
        start.fds = vec![(pipe().1, 7)];
        start.stdout = write;
        assert_eq!(launch(start).unwrap().wait().await.unwrap(), Exit::Code(0));
        assert_eq!(read_all(read), format!("{LIMIT}\n"));
    });
}

#[test]
fn the_environment_of_a_runner_is_the_given_one_and_the_process_tag() {
    run_alone(async {
        for containment in containments() {
            let process_tag = process_tag();
            let mut tree = Tree::new(&containment, &process_tag, 7).unwrap();
            let (read, write) = pipe();
            let mut start = program("env", &[], Path::new("/"));
            start.env.push(("REWORK_PROCESS_TAG".into(), "of.1".into()));
            start.stdout = write;
            tree.launch(start).unwrap().wait().await.unwrap();
            let output = read_all(read);
            let variables: Vec<_> =
                output.lines().filter(|line| !line.starts_with("PATH=")).collect();
            assert_eq!(variables, ["DIR=/", &format!("REWORK_PROCESS_TAG={process_tag}.7")]);
            tree.kill(TIMEOUT).await.unwrap();
        }
    });
}

#[test]
fn the_launch_error_names_the_cause() {
    run_alone(async {
        let dir = tempdir().unwrap();
        let script = dir.path().join("script");
        fs::write(&script, "exit 0\n").unwrap();
        let of = |name: &str, dir: &Path| program(name, &[], dir);
        let path = script.to_str().unwrap();
        assert_eq!(refusal(of("/no/such", dir.path())), ("/no/such".into(), nix::libc::ENOENT));
        assert_eq!(refusal(of(path, dir.path())), (path.into(), nix::libc::EACCES));
        fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        for (text, fault) in [
            ("#!/no/interpreter\n", ScriptFault::NoInterpreter("/no/interpreter".into())),
            ("#!/bin/sh\r\n", ScriptFault::LineEnds(script.clone())),
        ] {
            fs::write(&script, text).unwrap();
            match launch(of(path, dir.path())) {
                Err(LaunchError::Script { program, source }) => {
                    assert_eq!((program.as_str(), source), (path, fault));
                }
                other => panic!("{other:?}"),
            }
        }
        let mut start = shell("true", dir.path());
        start.cwd = dir.path().join("gone");
        let error = launch(start).unwrap_err();
        let message = format!("cannot enter the working directory `{}/gone`", dir.path().display());
        assert_eq!(error.to_string(), message);
        let mut start = shell("true", dir.path());
        start.fds = vec![(pipe().1, 2)];
        assert!(matches!(launch(start), Err(LaunchError::System(_))));
        assert!(!has_zombies());
    });
}

#[test]
fn wait_returns_the_exit_code_or_the_signal() {
    run_alone(async {
        let of = |script: &str| launch(shell(script, Path::new("/"))).unwrap();
        assert_eq!(of("exit 3").wait().await.unwrap(), Exit::Code(3));
        let exit = of("kill -40 $$").wait().await.unwrap();
        assert_eq!(exit, Exit::Signal { signal: 40, core: false });
        let exit = of("ulimit -c 0; kill -SEGV $$").wait().await.unwrap();
        assert_eq!(exit, Exit::Signal { signal: 11, core: false });
        let mut child = of("exit 4");
        assert_eq!(child.wait().await.unwrap(), Exit::Code(4));
        assert_eq!(child.try_wait().unwrap(), Some(Exit::Code(4)), "the exit is remembered");
        child.signal(Signal::SIGKILL).unwrap();
    });
}

#[test]
fn a_dropped_child_is_reaped_later() {
    run_alone(async {
        let child = launch(shell("exec sleep 1000", Path::new("/"))).unwrap();
        // The child is still running when it is dropped: a dead one would be reaped at once.
        let pid = Pid::from_raw(child.pid());
        drop(child);
        kill(pid, Signal::SIGKILL).unwrap();
        wait_until("the child is a zombie", has_zombies).await;
        reap_adopted();
        assert!(!has_zombies());
    });
}

#[test]
fn attach_returns_an_existing_child_and_refuses_other_processes() {
    run_alone(async {
        let before = process::Command::new("sleep").arg("1000").spawn().unwrap().id();
        let mut child = Child::attach(before as i32).unwrap();
        child.signal(Signal::SIGTERM).unwrap();
        let exit = child.wait().await.unwrap();
        assert_eq!(exit, Exit::Signal { signal: 15, core: false });
        assert!(Child::attach(1).is_err(), "pid 1 is not a child of this process");
    });
}

#[test]
fn an_exempted_child_does_not_count_as_an_orphan() {
    run_alone(async {
        let containment = Containment::from_parts(None, rework_wire::worker::MemoryMethod::Sampled);
        let mut exempted = process::Command::new("sleep").arg("1000").spawn().unwrap();
        exempt(exempted.id() as i32);
        let mut tree = Tree::new(&containment, &process_tag(), 1).unwrap();
        let mut runner = tree.launch(shell("exec sleep 1000", Path::new("/"))).unwrap();
        assert_eq!(tree.others(), [0; 0]);
        tree.kill(TIMEOUT).await.unwrap();
        runner.wait().await.unwrap();
        assert!(runs(exempted.id() as i32));
        exempted.kill().unwrap();
        exempted.wait().unwrap();
    });
}

fn refusal(start: Launch) -> (String, i32) {
    match launch(start) {
        Err(LaunchError::Program { program, source }) => (program, source.raw_os_error().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn pipe() -> (PipeReader, OwnedFd) {
    let (read, write) = io::pipe().unwrap();
    (read, write.into())
}
