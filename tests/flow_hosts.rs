//! Flows on workers that are killed, on several hosts, and on monitors that drain.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::flow::TracedFlow;
use crate::support::installation::{Installation, fixture_program};
use crate::support::monitor::Monitor;
use crate::support::processes;

/// Starts a monitor with another host name, on which the operations are registered, and waits until it is registered.
fn start_on(setup: &Installation, host: &str, args: &[&str]) -> Monitor {
    setup.rework(["register-operations", "--host", host]).args([fixture_program()]).run_ok();
    let monitor = setup.spawn_monitor_on(host, &[&["--domain", "default"], args].concat());
    setup.wait_until(&format!("the monitor of {host} is registered"), || {
        let sql = "select exists (select from rework.monitor where host = $1)";
        setup.session().query_value(sql, &[&host])
    });
    monitor
}

/// Returns the pid of the worker that has a task.
fn worker_pid(setup: &Installation, task: i64) -> i32 {
    let sql =
        "select w.pid from rework.worker w join rework.task t on t.worker = w.id where t.id = $1";
    setup.session().query_value(sql, &[&task])
}

/// Schedules `ok3`. Its step `b` waits until the returned file exists.
fn schedule_waiting_in_b(setup: &Installation) -> (TracedFlow<'_>, PathBuf) {
    let gate = setup.folder().join("gate");
    let effects = json!({"b": {"waits_for": gate}});
    (setup.schedule_flow("ok3", json!({"effects": effects})), gate)
}

/// Scenario JR-14.
#[test]
fn a_step_whose_worker_was_killed_runs_again_and_the_steps_before_it_do_not() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let (flow, gate) = schedule_waiting_in_b(&setup);
    flow.wait_for("exec b", 1);
    processes::signal(worker_pid(&setup, flow.task_of("b")), Signal::SIGKILL);
    flow.wait_for("exec b", 2);
    std::fs::write(&gate, "").unwrap();
    assert_eq!(flow.wait_until_done(), json!("a"));
    flow.assert_events("exec a, exec b, exec b, exec c");
    let b = setup.task(flow.task_of("b"));
    assert_eq!((b.run, b.attempt), (2, 1), "the lost run has used an attempt");
}

/// Scenario JR-14.
#[test]
fn another_host_goes_on_with_a_flow_whose_host_was_lost() {
    let setup = Installation::with_fixture();
    let mut monitor = start_on(&setup, "first", &["--maxworkers", "1", "--lease", "2s"]);
    let (flow, gate) = schedule_waiting_in_b(&setup);
    flow.wait_for("exec b", 1);
    let worker = worker_pid(&setup, flow.task_of("b"));
    let _second = start_on(&setup, "second", &["--maxworkers", "1", "--lease", "2s"]);
    let runners = processes::children(worker);
    monitor.signal(Signal::SIGKILL);
    // Before its runner, whose end it would record otherwise.
    processes::signal(worker, Signal::SIGKILL);
    for runner in runners {
        processes::signal(runner.pid, Signal::SIGKILL);
    }
    assert_eq!(monitor.wait_for_exit_code(), None);
    flow.wait_for("exec b", 2);
    std::fs::write(&gate, "").unwrap();
    flow.wait_until_done();
    flow.assert_events("exec a, exec b, exec b, exec c");
    let sql = "select ran_on from rework.task where flow = $1 order by id";
    let hosts: Vec<String> = setup.session().query_values(sql, &[&flow.id]);
    assert_eq!(hosts, ["first", "second", "second"]);
}

#[test]
fn a_lost_run_of_the_code_of_a_flow_and_of_a_revert_is_repeated() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let gate = setup.folder().join("gate");
    let input = json!({"message": "m", "times": 1, "gate": gate});
    let flow = setup.schedule_flow("messages", input);
    setup.wait_until("the code of the flow runs", || flow.plans() == 1);
    processes::signal(worker_pid(&setup, flow.id), Signal::SIGKILL);
    setup.wait_until("the code of the flow runs again", || flow.plans() == 2);
    std::fs::write(&gate, "").unwrap();
    flow.wait_until_done();
    flow.assert_events("exec m1");

    let effects = json!({"a": {"kills_worker": true}, "b": {"kills_worker": true}});
    let flow = setup.schedule_flow("failb", json!({"k": 9, "n": 0, "effects": effects}));
    assert_eq!(flow.wait_until_reverted(), "step b: b fails");
    let twice = ["exec a", "exec b", "revert b", "revert a"];
    let twice: Vec<&str> = twice.iter().flat_map(|event| [*event; 2]).collect();
    flow.assert_events(&twice.join(", "));
}

/// Scenario JR-17.
#[test]
fn each_step_of_many_flows_is_executed_once_by_three_monitors() {
    let setup = Installation::new();
    let hosts = ["one", "two", "three"];
    let _monitors =
        hosts.map(|host| start_on(&setup, host, &["--minworkers", "2", "--maxworkers", "2"]));
    let traces: Vec<PathBuf> =
        (0..50).map(|number| setup.folder().join(format!("flow-{number}"))).collect();
    let inputs: Vec<Value> = traces.iter().map(|trace| json!({"trace": trace})).collect();
    let flows = setup.schedule_many("ok3", &inputs);
    for (flow, trace) in flows.iter().zip(&traces) {
        setup.wait_until_done(*flow);
        let lines = crate::support::flow::read_trace(trace);
        let steps: Vec<&str> = lines.iter().map(|line| line.step.as_str()).collect();
        assert_eq!(steps, ["a", "b", "c"], "flow {flow}: {lines:?}");
    }
    let sql = "select count(*) from rework.task where state = 'done' and run = 1";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 200);
    let sql = "select count(distinct ran_on) from rework.task";
    let hosts: i64 = setup.session().query_value(sql, &[]);
    assert!(hosts > 1, "one host has run everything");
}

/// Scenario JR-21.
#[test]
fn a_monitor_that_drains_finishes_a_step_and_another_one_goes_on_with_the_next() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let (flow, gate) = schedule_waiting_in_b(&setup);
    flow.wait_for("exec b", 1);
    monitor.signal(Signal::SIGTERM);
    setup.wait_until("the monitor is draining", || monitor.output().contains("draining"));
    std::fs::write(&gate, "").unwrap();
    assert_eq!(monitor.wait_for_exit_code(), Some(0), "{}", monitor.output());
    flow.assert_events("exec a, exec b");
    assert_eq!(flow.states(), ["a done", "b done", "c started"]);
    assert_eq!(setup.task(flow.id).state, State::Waiting);
    let c = setup.task(flow.task_of("c"));
    assert_eq!((c.state, c.run), (State::Queued, 0), "{}", flow.describe());
    let _next = setup.start_monitor(&["--maxworkers", "1"]);
    assert_eq!(flow.wait_until_done(), json!("a"));
    flow.assert_events("exec a, exec b, exec c");
}

/// Scenario JR-23.
#[test]
fn flows_run_oldest_first_and_each_ends_before_the_next_one_starts() {
    let setup = Installation::with_fixture();
    let flows: Vec<TracedFlow<'_>> =
        (0..5).map(|_| setup.schedule_flow("ok3", json!({}))).collect();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    for flow in &flows {
        flow.wait_until_done();
    }
    let sql = "select coalesce(flow, id) from rework.task order by started_at";
    let order: Vec<i64> = setup.session().query_values(sql, &[]);
    let expected: Vec<i64> = flows.iter().flat_map(|flow| [flow.id; 4]).collect();
    assert_eq!(order, expected);
}

/// Scenario JR-24.
#[test]
fn the_list_of_flows_has_those_that_run_and_those_that_wait() {
    let setup = Installation::with_fixture();
    let none = setup.rework(["list-flows"]).run_ok();
    let text = format!("{}{}", none.stdout(), none.stderr());
    assert!(text.to_lowercase().contains("no flow"), "{none}");
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let ended = setup.schedule_flow("ok3", json!({}));
    ended.wait_until_done();
    let (flow, gate) = schedule_waiting_in_b(&setup);
    flow.wait_for("exec b", 1);
    // The only worker is busy.
    let waiting = setup.schedule_flow("messages", json!({"message": "m", "times": 1}));
    let listed = setup.rework(["list-flows", "-o", "json"]).run_ok().json();
    let field = |number: usize, key: &str| listed[number][key].clone();
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|flow| &flow["id"]).collect();
    assert_eq!(ids, [&json!(waiting.id), &json!(flow.id)], "{listed}");
    let states = [field(0, "state"), field(1, "state")];
    assert_eq!(states, [json!("planning"), json!("executing")], "{listed}");
    assert_eq!([field(1, "done"), field(1, "steps")], [json!(1), json!(3)], "{listed}");
    assert_eq!([field(1, "running"), field(1, "hosts")], [json!(["b"]), json!([setup.host()])]);
    let table = setup.rework(["list-flows"]).run_ok().lines();
    let line = |name: &str| table.iter().find(|line| line.contains(name)).cloned();
    let running = line("ok3").unwrap_or_else(|| panic!("{table:#?}"));
    for word in [flow.id.to_string().as_str(), "executing", setup.host()] {
        assert!(running.contains(word), "no `{word}` in {running}");
    }
    assert!(line("messages").is_some_and(|line| line.contains("planning")), "{table:#?}");
    assert!(!table.iter().any(|line| line.contains(" done ")), "{table:#?}");
    std::fs::write(&gate, "").unwrap();
    flow.wait_until_done();
    waiting.wait_until_done();
}
