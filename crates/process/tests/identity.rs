//! A process is who it was only while it runs, and its end is seen by whoever looks.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::io;
use std::path::Path;

use nix::sys::signal::Signal;
use rework_process::{Identity, Watch, host_name, launch};
use support::{PATIENCE, alone, has_zombies, pids, runs, shell, until};
use tempfile::tempdir;

#[test]
fn we_are_alive_and_nobody_else_with_our_pid_is_us() {
    let own = Identity::own();
    assert!(own.is_alive());
    assert_eq!(Some(own.clone()), Identity::of(own.pid));
    let earlier = Identity { start: own.start - 1, ..own.clone() };
    assert!(!earlier.is_alive() && earlier.same_place(&own));
    let rebooted = Identity { boot_id: "another".to_owned(), ..own.clone() };
    assert!(!rebooted.is_alive() && !rebooted.same_place(&own));
    let contained = Identity { pid_ns: "pid:[1]".to_owned(), ..own.clone() };
    assert!(!contained.is_alive() && !contained.same_place(&own));
    assert_eq!(Identity::of(i32::MAX), None);
}

#[test]
fn a_zombie_does_not_run() {
    alone(async {
        let mut child = launch(shell("exit 0", Path::new("/"))).unwrap();
        let identity = child.identity();
        until("it is a zombie", has_zombies).await;
        assert!(Identity::of(identity.pid).is_some());
        assert!(!identity.is_alive());
        child.wait().await.unwrap();
    });
}

#[test]
fn a_process_whose_first_thread_has_ended_runs() {
    alone(async {
        let dir = tempdir().unwrap();
        let script = "import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
print(os.getpid(), file=open(os.environ['DIR'] + '/pids', 'w'), flush=True)
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)";
        let start = support::program("python3", &["-c", script], dir.path());
        let mut child = launch(start).unwrap();
        pids(dir.path(), "pids", 1).await;
        until("its first thread has ended", has_zombies).await;
        assert!(child.identity().is_alive());
        assert_eq!(child.try_wait().unwrap(), None);
        child.signal(Signal::SIGKILL).unwrap();
        child.wait().await.unwrap();
    });
}

#[test]
fn the_end_of_a_process_that_is_not_our_child_is_seen() {
    alone(async {
        let dir = tempdir().unwrap();
        let script = "sleep 1000 & echo $! > $DIR/pids; wait; exec sleep 1000";
        let mut child = launch(shell(script, dir.path())).unwrap();
        let grandchild = pids(dir.path(), "pids", 1).await[0];
        let identity = Identity::of(grandchild).unwrap();
        let watch = Watch::open(&identity).unwrap();
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), watch.ended());
        assert!(waiting.await.is_err(), "it runs");
        watch.signal(Signal::SIGKILL).unwrap();
        tokio::time::timeout(PATIENCE, watch.ended()).await.unwrap().unwrap();
        tokio::time::timeout(PATIENCE, watch.ended()).await.unwrap().unwrap();
        until("its parent has waited for it", || Identity::of(grandchild).is_none()).await;
        watch.signal(Signal::SIGKILL).unwrap();
        assert!(runs(child.pid()));
        let error = Watch::open(&identity).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        child.signal(Signal::SIGKILL).unwrap();
        child.wait().await.unwrap();
    });
}

#[test]
fn a_watch_refuses_a_later_process_with_the_same_pid() {
    alone(async {
        let own = Identity::own();
        let error = Watch::open(&Identity { start: own.start + 1, ..own }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn the_option_names_the_host_before_anything_else() {
    assert_eq!(host_name(Some("north")), "north");
    assert_eq!(host_name(Some("")), host_name(None));
    assert!(!host_name(None).is_empty());
}
