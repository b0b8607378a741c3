//! The example flows in `examples/flows`: each step fails in turn, and each run is repeated after it has done its work.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::cluster::free_port;
use crate::support::command::workspace_program;
use crate::support::installation::Installation;
use crate::support::monitor::Monitor;
use crate::support::{http, processes};

/// Registers the example flows and starts a monitor of their domains.
fn start() -> (Installation, Monitor) {
    let setup = Installation::new();
    setup.register([workspace_program("flows")]);
    let monitor = setup.start_monitor_with_args(&[
        "--domain",
        "cloud",
        "--domain",
        "web",
        "--maxworkers",
        "2",
    ]);
    (setup, monitor)
}

/// Schedules `make_server` in a new folder, in which these steps fail. Returns the task and the folder.
fn schedule_server(setup: &Installation, name: &str, broken: &[&str]) -> (i64, PathBuf) {
    let folder = setup.folder().join(format!("cloud of {name}"));
    std::fs::create_dir(&folder).unwrap();
    for step in broken {
        std::fs::write(folder.join(format!("{step}.broken")), "").unwrap();
    }
    let input = json!({"directory": folder, "name": name, "gib": 3});
    (setup.schedule("make_server", input), folder)
}

/// Returns the names of the files in a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// Returns how many tasks of a flow ran an operation, and the number of their runs.
fn runs(setup: &Installation, flow: i64, operation: &str) -> (i64, i64) {
    let sql = "select count(*), coalesce(sum(t.run), 0)::bigint
                 from rework.task t join rework.operation o on o.id = t.operation
                where t.flow = $1 and o.name = $2 and t.run > 0";
    let row = &setup.session().query(sql, &[&flow, &operation])[0];
    (row.get(0), row.get(1))
}

#[test]
fn a_server_is_made_or_nothing_is_left_of_it_whichever_step_fails() {
    let (setup, _monitor) = start();
    let (good, folder) = schedule_server(&setup, "good", &[]);
    let task = setup.wait_until_done(good);
    assert_eq!(task.output, json!({"path": folder.join("good.vm")}));
    assert_eq!(files(&folder), ["good.attached", "good.vm", "good.volume"]);
    for step in ["vm", "volume", "attach"] {
        let (bad, folder) = schedule_server(&setup, step, &[step]);
        let task = setup.wait_until_ended(bad);
        let broken = format!("{step}.broken");
        let reason =
            format!("step {step}: `{}` lets the step fail", folder.join(&broken).display());
        assert_eq!((task.state, task.reason()), (State::Failed, reason.as_str()));
        assert_eq!(files(&folder), [broken.as_str()], "something is left");

        std::fs::remove_file(folder.join(&broken)).unwrap();
        setup.rework(["retry-task", &bad.to_string()]).run_ok();
        setup.wait_until_done(bad);
        assert_eq!(files(&folder).len(), 3, "the retried flow has made nothing");
    }
}

/// Lets no end of the first run of an operation be recorded before its operation is in table `interrupted`. A backend
/// that waits for that has the advisory lock (19, task). The test has the lock (19, 0).
const DELAY_ENDS: &str = "
    create table public.interrupted (operation bigint);
    create function public.delay_end() returns trigger language plpgsql as $$
    begin
        if not exists (select from public.interrupted i where i.operation = new.operation) then
            perform pg_advisory_xact_lock_shared(19, new.id::integer);
            perform pg_advisory_xact_lock_shared(19, 0);
        end if;
        return new;
    end $$;
    create trigger delay_end before update on rework.task for each row
        when (new.flow is not null and new.run = 1 and old.state = 'running'
              and new.state in ('done', 'failed'))
        execute function public.delay_end();
    select pg_advisory_lock(19, 0)";

/// Finds the runs that have ended and whose ends are not recorded yet: operation, pid of the worker, pid of the backend.
const DELAYED_ENDS: &str = "
    select t.operation, w.pid, l.pid
      from pg_locks l
      join rework.task t on t.id = l.objid::bigint
      join rework.worker w on w.id = t.worker
     where l.locktype = 'advisory' and l.classid = 19 and l.objid <> 0 and l.granted
       and l.database = (select oid from pg_database where datname = current_database())";

/// Kills the worker of the first run of each operation, after the run has ended and before its end is recorded. Returns
/// the number of kills. It ends when the flow ends.
fn interrupt_each_operation(setup: &Installation, flow: i64) -> usize {
    let session = setup.session();
    let mut kills = 0;
    setup.wait_until("the flow has ended", || {
        for row in session.query(DELAYED_ENDS, &[]) {
            let (operation, worker, backend): (i64, i32, i32) =
                (row.get(0), row.get(1), row.get(2));
            processes::signal(worker, Signal::SIGKILL);
            let end = "select pg_terminate_backend($1, 10000)";
            session.query_value::<bool>(end, &[&backend]);
            let sql = "insert into public.interrupted values ($1) returning operation";
            session.query_value::<i64>(sql, &[&operation]);
            kills += 1;
        }
        setup.task(flow).state.is_end()
    });
    kills
}

#[test]
fn every_run_of_a_step_and_of_a_revert_can_be_repeated_after_it_has_done_its_work() {
    let (setup, _monitor) = start();
    setup.session().execute(DELAY_ENDS);
    let (flow, folder) = schedule_server(&setup, "web", &["attach"]);
    let kills = interrupt_each_operation(&setup, flow);
    let task = setup.task(flow);
    let reason = task.reason().to_owned();
    assert_eq!(task.state, State::Failed, "{reason}");
    assert!(reason.starts_with("step attach: "), "{reason}\n{}", setup.diagnostics());
    assert_eq!(files(&folder), ["attach.broken"], "{kills} kills");
    let operations =
        ["create_vm", "create_volume", "attach", "delete_vm", "delete_volume", "detach"];
    for operation in operations {
        let (tasks, all) = runs(&setup, flow, operation);
        assert!(
            tasks == 3 && all > 3,
            "{operation}: {all} runs of {tasks} tasks\n{}",
            setup.diagnostics()
        );
    }

    setup.session().execute("delete from public.interrupted");
    std::fs::remove_file(folder.join("attach.broken")).unwrap();
    setup.rework(["retry-task", &flow.to_string()]).run_ok();
    interrupt_each_operation(&setup, flow);
    setup.wait_until_done(flow);
    assert_eq!(files(&folder), ["web.attached", "web.vm", "web.volume"]);
}

/// Scenario JR-26.
#[test]
fn a_web_server_that_is_killed_is_started_again() {
    let (setup, _monitor) = start();
    let port = free_port();
    let served = setup.folder().join("served");
    std::fs::create_dir(&served).unwrap();
    let input = json!({"directory": served, "port": port});
    let flow = setup.schedule("simple_http_server", input);
    let address = format!("127.0.0.1:{port}");
    let answers = || http::try_get(&address, "/").is_ok_and(|(status, _)| status == 200);
    let servers = || {
        let found = processes::tagged(setup.host());
        let is_server = |process: &processes::Process| process.command.contains("http.server");
        found.into_iter().filter(is_server).map(|process| process.pid).collect::<Vec<i32>>()
    };
    setup.wait_until("the web server answers", answers);
    let [first] = servers()[..] else { panic!("{:?}", servers()) };
    processes::signal(first, Signal::SIGKILL);
    let is_new = || answers() && !servers().contains(&first);
    setup.wait_until("another web server answers", is_new);
    setup.rework(["abort-task", "--wait", &flow.to_string()]).run_ok();
    assert_eq!(setup.task(flow).state, State::Aborted);
    assert_eq!(servers(), Vec::<i32>::new(), "the web server is left");
}
