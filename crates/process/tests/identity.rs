//! Tests of process identities and process handles: neither refers to a later process with the same pid.
#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may panic, and uses its own part of `support`"
)]

mod support;

use std::io;
use std::path::Path;

use nix::sys::signal::Signal;
use rework_process::{Identity, ProcessHandle, host_name, launch};
use support::{TIMEOUT, has_zombies, pids, run_alone, runs, shell, wait_until};
use tempfile::tempdir;

#[test]
fn this_process_is_alive_and_no_other_identity_with_its_pid_is() {
    let own = Identity::own();
    assert!(own.is_alive());
    assert_eq!(Some(own.clone()), Identity::of(own.pid));
    let earlier = Identity { start: own.start - 1, ..own.clone() };
    assert!(!earlier.is_alive() && earlier.in_same_pid_namespace(&own));
    let rebooted = Identity { boot_id: "another".to_owned(), ..own.clone() };
    assert!(!rebooted.is_alive() && !rebooted.in_same_pid_namespace(&own));
    let contained = Identity { pid_ns: "pid:[1]".to_owned(), ..own.clone() };
    assert!(!contained.is_alive() && !contained.in_same_pid_namespace(&own));
    assert_eq!(Identity::of(i32::MAX), None);
}

#[test]
fn a_zombie_is_not_alive() {
    run_alone(async {
        let mut child = launch(shell("exit 0", Path::new("/"))).unwrap();
        let identity = child.identity();
        wait_until("the child is a zombie", has_zombies).await;
        assert!(Identity::of(identity.pid).is_some());
        assert!(!identity.is_alive());
        child.wait().await.unwrap();
    });
}

#[test]
fn a_process_whose_first_thread_has_ended_is_alive() {
    run_alone(async {
        let dir = tempdir().unwrap();
        let script = "import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
print(os.getpid(), file=open(os.environ['DIR'] + '/pids', 'w'), flush=True)
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)";
        let start = support::program("python3", &["-c", script], dir.path());
        let mut child = launch(start).unwrap();
        pids(dir.path(), "pids", 1).await;
        wait_until("its first thread has ended", has_zombies).await;
        assert!(child.identity().is_alive());
        assert_eq!(child.try_wait().unwrap(), None);
        child.signal(Signal::SIGKILL).unwrap();
        child.wait().await.unwrap();
    });
}

#[test]
fn a_handle_waits_for_the_end_of_a_grandchild() {
    run_alone(async {
        let dir = tempdir().unwrap();
        let script = "sleep 1000 & echo $! > $DIR/pids; wait; exec sleep 1000";
        let mut child = launch(shell(script, dir.path())).unwrap();
        let grandchild = pids(dir.path(), "pids", 1).await[0];
        let identity = Identity::of(grandchild).unwrap();
        let handle = ProcessHandle::open(&identity).unwrap();
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), handle.ended());
        assert!(waiting.await.is_err(), "the grandchild runs");
        handle.signal(Signal::SIGKILL).unwrap();
        tokio::time::timeout(TIMEOUT, handle.ended()).await.unwrap().unwrap();
        tokio::time::timeout(TIMEOUT, handle.ended()).await.unwrap().unwrap();
        wait_until("its parent has reaped it", || Identity::of(grandchild).is_none()).await;
        handle.signal(Signal::SIGKILL).unwrap();
        assert!(runs(child.pid()));
        let error = ProcessHandle::open(&identity).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        child.signal(Signal::SIGKILL).unwrap();
        child.wait().await.unwrap();
    });
}

#[test]
fn a_handle_refuses_a_later_process_with_the_same_pid() {
    run_alone(async {
        let own = Identity::own();
        let error = ProcessHandle::open(&Identity { start: own.start + 1, ..own }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn the_option_takes_precedence_for_the_host_name() {
    assert_eq!(host_name(Some("north")), "north");
    assert_eq!(host_name(Some("")), host_name(None));
    assert!(!host_name(None).is_empty());
}
