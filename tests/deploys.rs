//! Deploys: the program is replaced under a monitor, which executes itself anew while its tasks go on.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::command;
use crate::support::installation::Installation;
use crate::support::monitor::Monitor;

/// An installation whose monitor runs from a file of its own.
struct Deployment {
    place: Installation,
    program: PathBuf,
    monitor: Monitor,
}

impl Deployment {
    fn new() -> Deployment {
        let place = Installation::with_fixture();
        let program = place.folder().join("rework");
        std::fs::copy(command::program(), &program).unwrap();
        let mut process = std::process::Command::new(&program);
        process
            .current_dir(place.folder())
            .env("REWORK_HOST", place.host())
            .env(crate::support::processes::VARIABLE, place.host())
            // The password is in the arguments, where it does not stay.
            .args(["monitor", place.dsn(), "--domain", "default", "--maxworkers", "1"]);
        let monitor = Monitor::start(process, &place.folder().join("monitor.stderr"));
        let deployment = Deployment { place, program, monitor };
        deployment.until_monitors(1);
        deployment
    }

    /// Puts a new file in the place of the program, as a package manager does.
    fn replace(&self) {
        let new = self.place.folder().join("rework.new");
        std::fs::copy(command::program(), &new).unwrap();
        std::fs::rename(new, &self.program).unwrap();
    }

    fn reload(&self) {
        self.monitor.signal(Signal::SIGHUP);
    }

    fn until_monitors(&self, count: i64) {
        self.place.until("the monitor is there", || {
            let sql = "select count(*) = $1 and count(*) filter (where finished_at is null) = 1
                         from rework.monitor";
            self.place.session().one(sql, &[&count])
        });
    }

    fn pids(&self) -> Vec<i32> {
        let sql = "select pid from rework.monitor order by id";
        self.place.session().all(sql, &[])
    }
}

fn file_of(pid: i32) -> u64 {
    std::fs::metadata(Path::new("/proc").join(pid.to_string()).join("exe")).unwrap().ino()
}

#[test]
fn a_task_goes_on_through_a_new_program() {
    let deployment = Deployment::new();
    let place = &deployment.place;
    let gate = place.folder().join("gate");
    let task = place.schedule("counts", json!(gate));
    place.writes(task, "20");
    deployment.replace();
    deployment.reload();
    deployment.until_monitors(2);
    let pid = deployment.monitor.pid();
    assert_eq!(deployment.pids(), [pid, pid], "in the same process");
    let new = std::fs::metadata(&deployment.program).unwrap().ino();
    assert_eq!(file_of(pid), new, "it runs the new file");
    place.writes(task, "100");
    place.goes_on(task);
    std::fs::write(&gate, "").unwrap();
    let ended = place.counted(task);
    let next = place.done(place.schedule("double", 1));
    assert_ne!(next.worker, ended.worker);
    let worker: i32 =
        place.session().one("select pid from rework.worker where id = $1", &[&next.worker]);
    assert_eq!(file_of(worker), new, "and so do its workers");
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
    assert!(!arguments.contains("postgres://"), "{arguments}");
}

#[test]
fn reloads_follow_one_another() {
    let mut deployment = Deployment::new();
    for number in 1..=3 {
        deployment.place.done(deployment.place.schedule("double", number));
        deployment.reload();
        deployment.until_monitors(number + 1);
    }
    deployment.place.done(deployment.place.schedule("double", 1));
    let reasons = "select distinct reason from rework.monitor where finished_at is not null";
    assert_eq!(deployment.place.session().one::<String>(reasons, &[]), "signal 1 (hung up)");
    deployment.monitor.signal(Signal::SIGTERM);
    assert_eq!(deployment.monitor.exit_code(), Some(0));
    deployment.place.assert_no_process_left();
}

#[test]
fn how_a_worker_dies_is_seen_through_a_reload() {
    let deployment = Deployment::new();
    let place = &deployment.place;
    let task = place.schedule_plain("forever");
    place.writes(task, "for ever");
    deployment.reload();
    deployment.until_monitors(2);
    let worker: i32 = place.session().one(
        "select worker.pid from rework.task join rework.worker on worker.id = task.worker",
        &[],
    );
    crate::support::processes::signal(worker, Signal::SIGKILL);
    let ended = place.ended(task);
    assert_eq!(ended.reason(), "worker died: signal 9 (killed)");
}

#[test]
fn the_service_manager_is_told() {
    let place = Installation::with_fixture();
    let path = place.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::support::wait::PATIENCE)).unwrap();
    let heard = |word: &str| {
        let mut buffer = [0; 1024];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{word}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line.starts_with(word)) {
                return text;
            }
        }
    };
    let mut process = place.process();
    process.env("REWORK_DSN", place.dsn()).env("NOTIFY_SOCKET", &path);
    process.args(["monitor", "--domain", "default", "--maxworkers", "1"]);
    let mut monitor = Monitor::start(process, &place.folder().join("monitor.stderr"));
    assert!(heard("READY=1").contains("STATUS=monitor 1 on "));
    monitor.signal(Signal::SIGHUP);
    assert!(heard("RELOADING=1").contains("MONOTONIC_USEC="));
    heard("READY=1");
    place.register([crate::support::installation::manifest("environment.toml")]);
    let task = place.schedule_plain("print_environment");
    let printed = place.log(place.done(task).id).join("\n");
    assert!(printed.contains("PATH=") && !printed.contains("NOTIFY_SOCKET"), "{printed}");
    monitor.signal(Signal::SIGTERM);
    heard("STOPPING=1");
    assert_eq!(monitor.exit_code(), Some(0));
}
