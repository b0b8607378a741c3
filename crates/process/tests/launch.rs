//! A child gets what it was given and nothing else, says how it ended, and never stays a zombie.
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

use nix::sys::signal::Signal;
use rework_process::{
    Child, Containment, Exit, Launch, LaunchError, Tree, launch, reap_adopted, spare,
};
use support::{PATIENCE, alone, has_zombies, mark, program, read_all, rungs, runs, shell, until};
use tempfile::tempdir;

#[test]
fn inherited_fds_may_be_each_others_targets() {
    alone(async {
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
fn an_fd_may_go_to_any_number_and_a_failed_exec_is_still_noticed() {
    alone(async {
        for target in 3..40 {
            let mut start = program("no-such-program", &[], Path::new("/"));
            start.fds = vec![(pipe().1, target)];
            let error = launch(start).unwrap_err();
            assert!(matches!(error, LaunchError::Program { .. }), "at {target}: {error:?}");
        }
    });
}

#[test]
fn it_has_no_fd_that_it_was_not_given() {
    alone(async {
        let (_keep, leak) = pipe();
        let leak = nix::unistd::dup(&leak).unwrap();
        let (read, write) = pipe();
        let mut start = program("ls", &["/proc/self/fd"], Path::new("/"));
        start.fds = vec![(pipe().1, 7)];
        start.stdout = write;
        launch(start).unwrap().wait().await.unwrap();
        let fds: Vec<RawFd> = read_all(read).lines().map(|fd| fd.parse().unwrap()).collect();
        // 3 is the folder that `ls` reads.
        assert_eq!(fds, [0, 1, 2, 3, 7], "{} was leaked", leak.as_raw_fd());
    });
}

#[test]
fn its_environment_is_what_was_given_and_the_mark() {
    alone(async {
        for rung in rungs() {
            let mark = mark();
            let mut tree = Tree::new(&rung, &mark, 7).unwrap();
            let (read, write) = pipe();
            let mut start = program("env", &[], Path::new("/"));
            start.env.push(("REWORK_MARK".into(), "of.1".into()));
            start.stdout = write;
            tree.launch(start).unwrap().wait().await.unwrap();
            let found = read_all(read);
            let found: Vec<_> = found.lines().filter(|line| !line.starts_with("PATH=")).collect();
            assert_eq!(found, ["DIR=/", &format!("REWORK_MARK={mark}.7")]);
            tree.kill(PATIENCE).await.unwrap();
        }
    });
}

#[test]
fn it_says_why_it_cannot_start() {
    alone(async {
        let dir = tempdir().unwrap();
        let script = dir.path().join("script");
        fs::write(&script, "exit 0\n").unwrap();
        let of = |name: &str, dir: &Path| program(name, &[], dir);
        let path = script.to_str().unwrap();
        assert_eq!(refusal(of("/no/such", dir.path())), ("/no/such".into(), nix::libc::ENOENT));
        assert_eq!(refusal(of(path, dir.path())), (path.into(), nix::libc::EACCES));
        fs::write(&script, "#!/no/interpreter\n").unwrap();
        fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(refusal(of(path, dir.path())), (path.into(), nix::libc::ENOENT));
        let mut start = shell("true", dir.path());
        start.cwd = dir.path().join("gone");
        let error = launch(start).unwrap_err();
        let said = format!("cannot enter the working directory `{}/gone`", dir.path().display());
        assert_eq!(error.to_string(), said);
        let mut start = shell("true", dir.path());
        start.fds = vec![(pipe().1, 2)];
        assert!(matches!(launch(start), Err(LaunchError::System(_))));
        assert!(!has_zombies());
    });
}

#[test]
fn its_end_is_told_by_code_or_signal() {
    alone(async {
        let of = |script: &str| launch(shell(script, Path::new("/"))).unwrap();
        assert_eq!(of("exit 3").wait().await.unwrap(), Exit::Code(3));
        let exit = of("kill -40 $$").wait().await.unwrap();
        assert_eq!(exit, Exit::Signal { signal: 40, core: false });
        let exit = of("ulimit -c 0; kill -SEGV $$").wait().await.unwrap();
        assert_eq!(exit, Exit::Signal { signal: 11, core: false });
        let mut child = of("exit 4");
        assert_eq!(child.wait().await.unwrap(), Exit::Code(4));
        assert_eq!(child.try_wait().unwrap(), Some(Exit::Code(4)), "it may be asked again");
        child.signal(Signal::SIGKILL).unwrap();
    });
}

#[test]
fn a_child_that_is_dropped_is_waited_for_later() {
    alone(async {
        let child = launch(shell("exec sleep 1000", Path::new("/"))).unwrap();
        child.signal(Signal::SIGKILL).unwrap();
        drop(child);
        until("it is a zombie", has_zombies).await;
        reap_adopted();
        assert!(!has_zombies());
    });
}

#[test]
fn a_child_of_before_is_taken_up_again() {
    alone(async {
        let before = process::Command::new("sleep").arg("1000").spawn().unwrap().id();
        let mut child = Child::reattach(before as i32).unwrap();
        child.signal(Signal::SIGTERM).unwrap();
        let exit = child.wait().await.unwrap();
        assert_eq!(exit, Exit::Signal { signal: 15, core: false });
        assert!(Child::reattach(1).is_err(), "it is not ours");
    });
}

#[test]
fn what_is_spared_is_not_taken_for_an_orphan() {
    alone(async {
        let rung = Containment::from_parts(None, rework_wire::worker::MemoryRung::Sampled);
        let mut spared = process::Command::new("sleep").arg("1000").spawn().unwrap();
        spare(spared.id() as i32);
        let mut tree = Tree::new(&rung, &mark(), 1).unwrap();
        let mut runner = tree.launch(shell("exec sleep 1000", Path::new("/"))).unwrap();
        assert_eq!(tree.others(), [0; 0]);
        tree.kill(PATIENCE).await.unwrap();
        runner.wait().await.unwrap();
        assert!(runs(spared.id() as i32));
        spared.kill().unwrap();
        spared.wait().unwrap();
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
