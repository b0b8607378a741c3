//! Deploys: the file of the program is replaced while a monitor runs. After SIGHUP the monitor executes the new file in
//! the same process, and running tasks continue.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::installation::{Installation, manifest_path};
use crate::support::monitor::Monitor;
use crate::support::{command, processes, wait};

/// An installation whose monitor runs from a copy of the program, so that a test can replace the file.
struct Deployment {
    setup: Installation,
    program: PathBuf,
    monitor: Monitor,
}

impl Deployment {
    fn new() -> Deployment {
        let setup = Installation::with_fixture();
        let program = setup.folder().join("rework");
        command::copy_program(command::program(), &program);
        let mut process = std::process::Command::new(&program);
        process
            .current_dir(setup.folder())
            .env("REWORK_HOST", setup.host())
            .env(processes::TAG_VARIABLE, setup.host())
            // The DSN with the password is an argument. The monitor must remove it from its command line.
            .args(["monitor", setup.dsn(), "--domain", "default", "--maxworkers", "1"]);
        let monitor = Monitor::start(process, &setup.folder().join("monitor.stderr"));
        let deployment = Deployment { setup, program, monitor };
        deployment.wait_for_monitors(1);
        deployment
    }

    /// Replaces the file of the program by another one with the same contents, as a package manager does.
    fn replace(&self) {
        let new = self.setup.folder().join("rework.new");
        command::copy_program(command::program(), &new);
        std::fs::rename(new, &self.program).unwrap();
    }

    /// Sends SIGHUP to the monitor.
    fn reload(&self) {
        self.monitor.signal(Signal::SIGHUP);
    }

    /// Waits until `count` monitors have been registered in all, of which all but one have ended.
    fn wait_for_monitors(&self, count: i64) {
        self.setup.wait_until(
            &format!("monitor number {count} has replaced the earlier ones"),
            || {
                let sql = "select count(*) = $1 and count(*) filter (where finished_at is null) = 1
                         from rework.monitor";
                self.setup.session().query_value(sql, &[&count])
            },
        );
    }

    /// Returns the pids of all monitors that were registered.
    fn monitor_pids(&self) -> Vec<i32> {
        let sql = "select pid from rework.monitor order by id";
        self.setup.session().query_values(sql, &[])
    }
}

/// Asserts that a process of rework executes the file with this inode. A replaced file has another inode. The kernel shows
/// the file only to root, because processes of rework keep others from reading their memory.
#[track_caller]
fn assert_executes(pid: i32, inode: u64, otherwise: &str) {
    if nix::unistd::geteuid().is_root() {
        let executable = Path::new("/proc").join(pid.to_string()).join("exe");
        assert_eq!(std::fs::metadata(executable).unwrap().ino(), inode, "{otherwise}");
    }
}

#[test]
fn a_task_continues_while_the_program_is_replaced() {
    let deployment = Deployment::new();
    let setup = &deployment.setup;
    let gate = setup.folder().join("gate");
    let task = setup.schedule("counts_until_file", json!(gate));
    setup.wait_until_logged(task, "20");
    deployment.replace();
    deployment.reload();
    deployment.wait_for_monitors(2);
    let pid = deployment.monitor.pid();
    assert_eq!(deployment.monitor_pids(), [pid, pid], "the new monitor runs in another process");
    let new = std::fs::metadata(&deployment.program).unwrap().ino();
    assert_executes(pid, new, "the monitor runs the old file");
    setup.wait_until_logged(task, "100");
    setup.assert_keeps_running(task);
    std::fs::write(&gate, "").unwrap();
    let ended = setup.wait_until_count_complete(task);
    let next = setup.wait_until_done(setup.schedule("double", 1));
    assert_ne!(next.worker, ended.worker);
    let worker: i32 =
        setup.session().query_value("select pid from rework.worker where id = $1", &[&next.worker]);
    assert_executes(worker, new, "a new worker runs the old file");
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
    assert!(!arguments.contains("postgres://"), "{arguments}");
}

#[test]
fn a_monitor_can_reload_several_times() {
    let mut deployment = Deployment::new();
    for number in 1..=3 {
        deployment.setup.wait_until_done(deployment.setup.schedule("double", number));
        deployment.reload();
        deployment.wait_for_monitors(number + 1);
    }
    deployment.setup.wait_until_done(deployment.setup.schedule("double", 1));
    let reasons = "select distinct reason from rework.monitor where finished_at is not null";
    assert_eq!(
        deployment.setup.session().query_value::<String>(reasons, &[]),
        "signal 1 (hung up)"
    );
    deployment.monitor.signal(Signal::SIGTERM);
    assert_eq!(deployment.monitor.wait_for_exit_code(), Some(0));
    deployment.setup.wait_until_no_process_left();
}

#[test]
fn a_reloaded_monitor_observes_the_death_of_an_earlier_worker() {
    let deployment = Deployment::new();
    let setup = &deployment.setup;
    let task = setup.schedule_without_input("forever");
    setup.wait_until_logged(task, "for ever");
    deployment.reload();
    deployment.wait_for_monitors(2);
    let worker: i32 = setup.session().query_value(
        "select worker.pid from rework.task join rework.worker on worker.id = task.worker",
        &[],
    );
    processes::signal(worker, Signal::SIGKILL);
    let ended = setup.wait_until_ended(task);
    assert_eq!(ended.reason(), "worker died: signal 9 (killed)");
}

#[test]
fn a_monitor_notifies_the_service_manager() {
    let setup = Installation::with_fixture();
    let path = setup.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    // Receives messages until one has a line that starts with `prefix`, and returns this message.
    let receive = |prefix: &str| {
        let mut buffer = [0; 1024];
        loop {
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{prefix}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line.starts_with(prefix)) {
                return text;
            }
        }
    };
    let mut process = setup.bare_command();
    process.env("REWORK_DSN", setup.dsn()).env("NOTIFY_SOCKET", &path);
    process.args(["monitor", "--domain", "default", "--maxworkers", "1"]);
    let mut monitor = Monitor::start(process, &setup.folder().join("monitor.stderr"));
    assert!(receive("READY=1").contains("STATUS=monitor 1 on "));
    monitor.signal(Signal::SIGHUP);
    assert!(receive("RELOADING=1").contains("MONOTONIC_USEC="));
    receive("READY=1");
    setup.register([manifest_path("environment.toml")]);
    let task = setup.schedule_without_input("print_environment");
    let printed = setup.log_lines(setup.wait_until_done(task).id).join("\n");
    assert!(printed.contains("PATH=") && !printed.contains("NOTIFY_SOCKET"), "{printed}");
    monitor.signal(Signal::SIGTERM);
    receive("STOPPING=1");
    assert_eq!(monitor.wait_for_exit_code(), Some(0));
}
