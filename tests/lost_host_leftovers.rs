//! A host was lost: its monitor and its workers died, and another host recorded that. So nobody has cleaned up on the
//! host itself. Its next monitor does.

use std::fs::File;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use crate::hosts::Hosts;
use crate::support::processes;

#[test]
fn the_next_monitor_of_a_lost_host_removes_what_its_workers_left() {
    let mut hosts = Hosts::with_leases("2s", "2s");
    let task = hosts.hold_on_second("hold");
    let sql = "select process_tag::text from rework.worker
                 join rework.task on task.worker = worker.id where task.id = $1";
    let process_tag: String = hosts.setup.session().query_value(sql, &[&task]);
    let folder = std::env::temp_dir().join(format!("rework-{process_tag}"));
    assert!(folder.is_dir(), "the worker has no folder");
    for pid in [hosts.second.pid(), hosts.worker_pid(task)] {
        processes::signal(pid, Signal::SIGKILL);
    }
    hosts.second.wait_for_exit_code();
    assert_eq!(hosts.setup.wait_until_ended(task).reason(), "host lost");
    assert!(folder.is_dir(), "the other host removed it");
    // Folders that are younger than a minute may belong to a worker that is just starting.
    let long_ago = SystemTime::now() - Duration::from_secs(120);
    File::open(&folder).unwrap().set_modified(long_ago).unwrap();
    let _next = hosts.setup.spawn_monitor_on(&hosts.second_name, &["--domain", "default"]);
    hosts.setup.wait_until("the folder of the dead worker is removed", || !folder.exists());
}
