//! What the tests of process trees share: programs to start, rungs to stand on, facts to wait for.

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
    Child, Containment, ContainmentWish, Identity, Launch, MemoryWish, Wish, become_subreaper,
    launch,
};

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Runs one test at a time: what a process adopts is known to the whole process only.
pub(crate) fn alone<T>(test: impl Future<Output = T>) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    become_subreaper().unwrap();
    // A test before this one may have left off.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// The containments that this machine and this user can have: the best, and the last resort.
pub(crate) fn rungs() -> Vec<Containment> {
    let last = Wish { containment: ContainmentWish::Processes, memory: MemoryWish::Sampled };
    let mut rungs =
        vec![Containment::detect(Wish::default()).unwrap(), Containment::detect(last).unwrap()];
    rungs.dedup();
    rungs
}

/// A mark that no other tree has.
pub(crate) fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A shell script that is told a folder as `$DIR`, and reads and writes nothing.
pub(crate) fn shell(script: &str, dir: &Path) -> Launch {
    program("/bin/sh", &["-c", script], dir)
}

/// A program with arguments.
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

/// Everything that can be read from a pipe until its last writer is gone.
pub(crate) fn read_all(pipe: io::PipeReader) -> String {
    let mut text = String::new();
    { pipe }.read_to_string(&mut text).unwrap();
    text
}

/// Waits until a script has written `count` pids, one a line, to the file `name` of its folder.
pub(crate) async fn pids(dir: &Path, name: &str, count: usize) -> Vec<i32> {
    let read = || -> Vec<i32> {
        let text = fs::read_to_string(dir.join(name)).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    };
    until("the pids are written", || read().len() >= count).await;
    read()
}

/// Waits for a fact.
pub(crate) async fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a process with this pid runs.
pub(crate) fn runs(pid: i32) -> bool {
    Identity::of(pid).is_some_and(|identity| identity.is_alive())
}

/// Whether this process has a child that nobody waited for.
pub(crate) fn has_zombies() -> bool {
    let stat = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    fs::read_dir("/proc/self/task").unwrap().flatten().any(|thread| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().any(|pid| stat(pid).contains(") Z "))
    })
}

/// Runs the tests of this binary once more as an ordinary user, whose name is `nobody`.
pub(crate) fn again_as_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let status = Command::new("setpriv").args(nobody).arg(&copy).status().unwrap();
    assert!(status.success());
}

/// Starts a helper of this binary: a test that is ignored otherwise, told a folder and a rung, ignoring
/// some signals as under `nohup`.
pub(crate) fn helper(name: &str, dir: &Path, rung: &Containment) -> Child {
    let this = std::env::current_exe().unwrap();
    let run = "trap '' HUP INT USR1; exec \"$0\" --exact \"$1\" --ignored --nocapture";
    let mut start = program("/bin/sh", &["-c", run, this.to_str().unwrap(), name], dir);
    start.env.push(("RUNG".into(), rung.name().into()));
    start.stderr = io::stderr().as_fd().try_clone_to_owned().unwrap();
    launch(start).unwrap()
}

/// The folder and the rung that a helper was told. It dies with the test that started it.
pub(crate) fn told() -> (PathBuf, Containment) {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
    let rung = std::env::var("RUNG").unwrap();
    let rung = rungs().into_iter().find(|found| found.name() == rung).unwrap();
    (std::env::var_os("DIR").unwrap().into(), rung)
}

/// Whether this user may do everything.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn null() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/null").unwrap().into()
}
