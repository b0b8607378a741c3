//! `rework pause` and `rework resume`: no task starts of what is paused, on one host or on every host. The second host
//! is simulated: its monitor runs on the same machine with another host name.

use std::{collections::BTreeSet, fs, path::Path};

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::fleet_rows::{finish_all, insert_operations, insert_worker_on_a};
use crate::support::installation::{Installation, fixture_program};
use crate::support::monitor::Monitor;
use crate::support::{invariants, scale, wait};

/// The number of workers of all hosts together.
const WORKERS: usize = 4;

/// Two monitors that serve every domain, each on a host of its own.
struct TwoHosts {
    setup: Installation,
    _first: Monitor,
    _second: Monitor,
    /// The name of the second host.
    second_name: String,
}

impl TwoHosts {
    fn start() -> TwoHosts {
        let setup = Installation::with_fixture();
        let second_name = format!("{}-b", setup.host());
        setup
            .rework(["register-operations", "--host", &second_name])
            .args([fixture_program()])
            .run_ok();
        let workers = (WORKERS / 2).to_string();
        let options = ["--minworkers", "0", "--maxworkers", &workers];
        let first = setup.start_monitor_with_args(&options);
        let second = setup.spawn_monitor_on(&second_name, &options);
        setup.wait_until("both monitors are registered", || {
            let sql = "select count(*) = 2 from rework.monitor where finished_at is null";
            setup.session().query_value(sql, &[])
        });
        TwoHosts { setup, _first: first, _second: second, second_name }
    }
}

/// Returns how many runs of `appends_number` have written their line to a file.
fn line_count(file: &Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

/// Returns how many claims were put back into the queue because of a pause.
fn given_back(setup: &Installation) -> i64 {
    let sql = "select count(*) from rework.run
                where outcome = 'not_started' and reason = 'it was paused before it started'";
    setup.session().query_value(sql, &[])
}

/// Waits until no task runs.
fn wait_until_none_runs(setup: &Installation) {
    setup.wait_until("no task runs", || {
        let sql = "select count(*) = 0 from rework.task where state in ('running', 'aborting')";
        setup.session().query_value(sql, &[])
    });
}

#[test]
fn nothing_starts_once_the_command_has_ended_and_claimed_runs_go_back() {
    let TwoHosts { setup, _first, _second, .. } = TwoHosts::start();
    let file = setup.folder().join("numbers");
    let total = scale::count(2_000, 20_000);
    let input = |number| json!({"path": file, "number": number, "milliseconds": 2});
    let inputs: Vec<Value> = (0..total).map(input).collect();
    let tasks = setup.schedule_many("appends_number", &inputs);
    let mut before = 0;
    loop {
        setup.wait_until("more tasks have started", || line_count(&file) >= before + 100);
        setup.rework(["pause", "--operation", "appends_number"]).run_ok();
        let at_answer = line_count(&file);
        wait_until_none_runs(&setup);
        before = line_count(&file);
        // A run that has started writes its line as its first action. Each worker may have one that has not done so.
        assert!(before <= at_answer + WORKERS, "{before} lines, and {at_answer} at the answer");
        assert!(before < total, "everything has run before a claim was put back");
        if given_back(&setup) > 0 {
            break;
        }
        setup.rework(["resume", "--operation", "appends_number"]).run_ok();
    }
    wait::assert_stays_true("no task starts", wait::OBSERVATION_TIME, || {
        line_count(&file) == before
    });
    setup.rework(["resume", "--operation", "appends_number"]).run_ok();
    for task in tasks {
        let done = setup.wait_until_done(task);
        assert_eq!(done.attempt, 1, "a pause has used up attempts: {done:?}");
    }
    let text = fs::read_to_string(&file).unwrap();
    let numbers: BTreeSet<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!((numbers.len(), line_count(&file)), (total, total), "each task ran once");
}

#[test]
fn a_pause_on_one_host_leaves_the_other_host_working_and_is_shown() {
    let TwoHosts { setup, _first, _second, second_name } = TwoHosts::start();
    setup.rework(["pause", "--host", &second_name]).run_ok();
    let pin = ["schedule", "double", "--input", "1", "--host", &second_name];
    let pinned = setup.rework(pin).run_ok().id();
    for task in setup.schedule_many("double", &vec![json!(1); 20]) {
        setup.wait_until_done(task);
    }
    let ran_there = "select count(*) from rework.task where ran_on = $1";
    assert_eq!(setup.session().query_value::<i64>(ran_there, &[&second_name.as_str()]), 0);

    let clause = format!("every domain is paused on host `{second_name}` since ");
    let resume = format!("rework resume --host {second_name}");
    let shown = |args: &[&str]| {
        let output = setup.rework(args).run_ok();
        output.stdout() + &output.stderr()
    };
    let id = pinned.to_string();
    let task = shown(&["show-task", &id]);
    assert!(task.contains(&clause) && task.contains(&resume), "{task}");
    let tasks = shown(&["list-tasks", "--state", "queued"]);
    assert!(tasks.contains(&clause), "{tasks}");
    let operations = shown(&["list-operations"]);
    let paused = operations.lines().filter(|line| line.contains(&clause)).count();
    assert_eq!(paused * 2, operations.lines().count(), "{operations}");
    let monitors = shown(&["list-monitors"]);
    assert_eq!(monitors.matches("[paused: every domain] since ").count(), 1, "{monitors}");
    let json = setup.rework(["show-task", &id, "-o", "json"]).run_ok().json();
    assert_eq!(json["pause"]["host"], json!(second_name));
    assert_eq!(json["pause"]["domain"], Value::Null);

    setup.rework(["resume", "--host", &second_name]).run_ok();
    setup.wait_until_done(pinned);
    assert_eq!(setup.session().query_value::<i64>(ran_there, &[&second_name.as_str()]), 1);
    let json = setup.rework(["show-task", &id, "-o", "json"]).run_ok().json();
    assert_eq!(json["pause"], Value::Null);
}

#[test]
fn a_paused_domain_gets_no_worker_while_others_run_and_who_waits_is_told_once() {
    let TwoHosts { setup, _first, _second, .. } = TwoHosts::start();
    setup.rework(["pause", "--domain", "nondefault"]).run_ok();
    let task = setup.schedule("other_domain", 1);
    setup.wait_until_done(setup.schedule("double", 1));
    let waiting = setup.rework(["wait-task", &task.to_string(), "--timeout", "2500ms"]);
    let stderr = waiting.run_expecting(124).stderr();
    let clause = "domain `nondefault` is paused on every host";
    assert_eq!(stderr.matches(clause).count(), 1, "{stderr}");
    assert!(stderr.contains("`rework resume --domain nondefault`"), "{stderr}");
    let workers = "select count(*) from rework.worker where domain = 'nondefault'";
    assert_eq!(setup.session().query_value::<i64>(workers, &[]), 0, "{}", setup.diagnostics());
    assert_eq!(setup.task(task).state, State::Queued);
    setup.rework(["resume", "--domain", "nondefault"]).run_ok();
    setup.wait_until_done(task);
}

#[test]
fn a_drain_waits_for_running_tasks_and_kills_none() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let gate = setup.folder().join("gate");
    let running = setup.schedule("hold", json!(gate));
    setup.wait_until_logged(running, "holding");
    let drain = ["pause", "--operation", "hold", "--drain"];
    let timeout = setup.rework(drain).args(["--timeout", "300ms"]).run_expecting(124);
    assert!(timeout.stderr().contains(&format!("task {running} still runs")), "{timeout}");
    assert_eq!(setup.task(running).state, State::Running);

    let queued = setup.schedule("hold", json!(gate));
    let mut command = setup.rework(drain).spawn();
    wait::assert_stays_true("the command waits", wait::OBSERVATION_TIME, || {
        command.try_wait().unwrap().is_none()
    });
    fs::write(&gate, "").unwrap();
    let status = wait::until_some(
        "the command ends",
        wait::TIMEOUT,
        || setup.diagnostics(),
        || command.try_wait().unwrap(),
    );
    assert_eq!(status.code(), Some(0));
    assert_eq!(setup.task(running).state, State::Done);
    assert_eq!(setup.task(queued).run, 0, "it was claimed");
    setup.rework(["resume", "--operation", "hold"]).run_ok();
    setup.wait_until_done(queued);
}

#[test]
fn a_host_whose_monitor_does_not_answer_is_named() {
    let setup = Installation::with_fixture();
    let monitor = setup.start_monitor(&["--maxworkers", "1"]);
    monitor.signal(Signal::SIGSTOP);
    let pause = ["pause", "--operation", "double"];
    let silent = setup.rework(pause).args(["--timeout", "300ms"]).run_expecting(124);
    let expected = format!("host `{}` has not answered", setup.host());
    assert!(silent.stderr().contains(&expected), "{silent}");
    let task = setup.schedule("double", 1);
    monitor.signal(Signal::SIGCONT);
    setup.rework(pause).run_ok();
    let queued = setup.task(task);
    assert_eq!((queued.state, queued.run), (State::Queued, 0), "it was claimed");
    let resume = ["resume", "--operation", "double", "-o", "json"];
    let ended = setup.rework(resume).run_ok().json();
    assert_eq!((&ended["operation"], &ended["domain"]), (&json!("double"), &json!("default")));
    assert_eq!(setup.rework(resume).run_ok().stdout(), "null\n", "nothing is left to resume");
    setup.wait_until_done(task);
}

#[test]
fn what_is_paused_is_in_no_range_of_lanes_and_no_claim_takes_it() {
    let setup = Installation::new();
    let session = setup.session();
    insert_worker_on_a(session);
    insert_operations(session, 1, 3, &["a", "b"]);
    let schedule = |operation: &str, capabilities: &str| {
        let sql = format!(
            "select rework.schedule('{operation}', domain => 'many', capabilities => '{capabilities}')"
        );
        session.query_value::<i64>(&sql, &[])
    };
    for operation in ["operation_2", "operation_1", "operation_3"] {
        schedule(operation, "{}");
    }
    let lanes = |host: &str| -> i64 {
        let sql = "select count(*) from rework.lane
                     join rework.host_lanes on lane.id between low and high where host_lanes.host = $1";
        session.query_value(sql, &[&host])
    };
    let pause: i64 = session.query_value("select rework.pause('many', 'operation_2')", &[]);
    assert_eq!((lanes("a"), lanes("b")), (2, 2));
    // A lane and a placement that come later.
    schedule("operation_2", "{gpu}");
    session.execute(
        "insert into rework.placement (operation, host, kind, path)
         select id, 'c', 'rust', '/srv/operations' from rework.operation",
    );
    assert_eq!((lanes("a"), lanes("c"), invariants::wrong_lanes(session)), (2, 2, 0));

    // A range that is out of date, as a transaction that made a lane during the pause may leave it.
    session.execute("update rework.host_lanes set low = 0, high = 2147483646 where host = 'a'");
    let claim = || -> Vec<String> {
        let sql = "select name from rework.claim(1, 1, 1, 'a', 'many', '{gpu}') as claimed
                     join rework.operation on operation.id = claimed.operation";
        session.query_values(sql, &[])
    };
    assert_eq!([claim(), claim()].concat(), ["operation_1", "operation_3"]);
    assert!(claim().is_empty(), "a task of a paused operation was claimed");
    let resumed = "select rework.resume('many', 'operation_2')";
    assert!(session.query_value::<bool>(resumed, &[]), "pause {pause} was not ended");
    assert_eq!((lanes("a"), lanes("b"), lanes("c")), (4, 4, 4));
    assert_eq!([claim(), claim()].concat(), ["operation_2", "operation_2"]);
    finish_all(session);
}

#[test]
fn pausing_twice_is_one_pause_and_wrong_names_are_refused() {
    let setup = Installation::with_fixture();
    let session = setup.session();
    let pause = |arguments: &str| {
        session.try_query_value::<i64>(&format!("select rework.pause({arguments})"), &[])
    };
    let id = pause("operation => 'double'").unwrap();
    assert_eq!(pause("'default', 'double'"), Ok(id));
    let audited = "select count(*) from rework.audit
                    where action = 'pause' and subject = 'operation default.double'";
    assert_eq!(session.query_value::<i64>(audited, &[]), 1);
    for (arguments, code) in [
        ("", "RW400"),
        ("'nosuch'", "RW404"),
        ("operation => 'nosuch'", "RW404"),
        ("'nondefault', 'double'", "RW404"),
        ("host => 'nosuch'", "RW404"),
    ] {
        assert_eq!(pause(arguments), Err(code.to_owned()), "{arguments}");
    }
    session.execute("insert into rework.operation (domain, name) values ('other', 'double')");
    assert_eq!(pause("operation => 'double'"), Err("RW300".to_owned()));
    session.execute("begin isolation level repeatable read");
    assert_eq!(pause("'default'"), Err("RW400".to_owned()));
    session.execute("rollback");

    setup.rework(["pause"]).run_expecting(2);
    let unknown = setup.rework(["pause", "--domain", "nosuch"]).run_expecting(1).stderr();
    assert!(unknown.contains("hint: see `rework list-operations`"), "{unknown}");
    // No monitor is running, so nothing has to answer.
    setup.rework(["pause", "--domain", "default"]).run_ok();
    let resumed = setup.rework(["resume", "--domain", "default", "--operation", "double"]).run_ok();
    let still = "domain `default` is paused on every host since ";
    assert!(resumed.stderr().contains(still), "{resumed}");
    let again = setup.rework(["resume", "--operation", "double"]).run_expecting(1);
    assert!(again.stderr().contains("several domains"), "{again}");
    setup.rework(["resume", "--domain", "default"]).run_ok();
    let nothing = setup.rework(["resume", "--domain", "default"]).run_ok().stderr();
    assert!(nothing.contains("no such pause: domain `default` on every host"), "{nothing}");
    assert_eq!(session.query_value::<i64>("select count(*) from rework.pause", &[]), 0);
}
