//! Helpers of the tests of process trees: programs to start, the containments of this host, and conditions to wait for.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rework_process::{
    Child, Choice, Containment, ContainmentChoice, Identity, Launch, MemoryChoice,
    become_subreaper, launch,
};

/// How long a test waits for a condition before it fails. Every condition needs much less.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Runs one test at a time, because adopted orphans belong to the whole process.
pub(crate) fn run_alone<T>(test: impl Future<Output = T>) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    become_subreaper().unwrap();
    // An earlier test may have switched it off.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// Returns the containments to test on this host: the best one that it allows, and the one that needs no cgroup.
pub(crate) fn containments() -> Vec<Containment> {
    let without_cgroup =
        Choice { containment: ContainmentChoice::Processes, memory: MemoryChoice::Sampled };
    let mut containments = vec![
        Containment::detect(Choice::default()).unwrap(),
        Containment::detect(without_cgroup).unwrap(),
    ];
    containments.dedup();
    containments
}

/// Returns a process tag that no other tree has.
pub(crate) fn process_tag() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a launch of a shell script that finds a directory in `$DIR`. Its stdin and its output are `/dev/null`.
pub(crate) fn shell(script: &str, dir: &Path) -> Launch {
    program("/bin/sh", &["-c", script], dir)
}

/// Returns a launch of a program with arguments.
pub(crate) fn program(name: &str, args: &[&str], dir: &Path) -> Launch {
    let path = std::env::var_os("PATH").unwrap();
    Launch {
        program: name.into(),
        args: args.iter().map(OsString::from).collect(),
        env: vec![("PATH".into(), path), ("DIR".into(), dir.into())],
        cwd: "/".into(),
        stdin: null(),
        stdout: null(),
        stderr: null(),
        fds: Vec::new(),
    }
}

/// Reads a pipe until its last writer has closed it.
pub(crate) fn read_all(pipe: io::PipeReader) -> String {
    let mut text = String::new();
    { pipe }.read_to_string(&mut text).unwrap();
    text
}

/// Waits until a script has written `count` pids, one on each line, to the file `name` in its directory.
pub(crate) async fn pids(dir: &Path, name: &str, count: usize) -> Vec<i32> {
    let read = || -> Vec<i32> {
        let text = fs::read_to_string(dir.join(name)).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    };
    wait_until("the pids are written", || read().len() >= count).await;
    read()
}

/// Waits until a condition is true. Panics after [`TIMEOUT`].
pub(crate) async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started_at = Instant::now();
    while !condition() {
        assert!(started_at.elapsed() < TIMEOUT, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Returns whether a process with this pid runs.
pub(crate) fn runs(pid: i32) -> bool {
    Identity::of(pid).is_some_and(|identity| identity.is_alive())
}

/// Returns whether this process has a child that has ended and was not reaped.
pub(crate) fn has_zombies() -> bool {
    let stat = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    fs::read_dir("/proc/self/task").unwrap().flatten().any(|thread| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().any(|pid| stat(pid).contains(") Z "))
    })
}

/// Runs the tests of this binary again as the ordinary user `nobody`.
pub(crate) fn rerun_as_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let status = Command::new("setpriv").args(nobody).arg(&copy).status().unwrap();
    assert!(status.success());
}

/// Starts an ignored test of this binary as a process of its own. It receives a directory and a containment, and
/// ignores some signals, as a program under `nohup` does.
pub(crate) fn helper(name: &str, dir: &Path, containment: &Containment) -> Child {
    let this = std::env::current_exe().unwrap();
    let run = "trap '' HUP INT USR1; exec \"$0\" --exact \"$1\" --ignored --nocapture";
    let mut start = program("/bin/sh", &["-c", run, this.to_str().unwrap(), name], dir);
    start.env.push(("CONTAINMENT".into(), containment.name().into()));
    start.stderr = io::stderr().as_fd().try_clone_to_owned().unwrap();
    launch(start).unwrap()
}

/// Returns the directory and the containment that this helper process received from [`helper`]. From now on this
/// process dies with the test that started it.
pub(crate) fn helper_context() -> (PathBuf, Containment) {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
    let name = std::env::var("CONTAINMENT").unwrap();
    let containment = containments().into_iter().find(|found| found.name() == name).unwrap();
    (std::env::var_os("DIR").unwrap().into(), containment)
}

/// Returns whether this user is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn null() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/null").unwrap().into()
}
