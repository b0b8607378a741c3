//! Several monitors on one host: at most one for each domain, and a new one replaces a dead one at once. Also the HTTP
//! endpoints for health and readiness.

use std::io::{Read as _, Write as _};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::cluster::{Cluster, ShutdownMode};
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};
use crate::support::monitor::Monitor;
use crate::support::{processes, wait};

#[test]
fn a_second_live_monitor_of_the_same_host_and_domain_is_refused() {
    let setup = Installation::with_fixture();
    let first = setup.start_monitor(&["--maxworkers", "1"]);
    let id: i64 = setup.session().query_value("select id from rework.monitor", &[]);
    let mut second = setup.spawn_monitor(&["--domain", "default", "--maxworkers", "1"]);
    assert_eq!(second.wait_for_exit_code(), Some(1));
    let output = second.output();
    for fact in [format!("monitor {id} "), first.pid().to_string(), "`default`".to_owned()] {
        assert!(output.contains(&fact), "no `{fact}` in {output}");
    }
    assert!(output.contains("error: ") && output.contains("hint: "), "{output}");
    setup.wait_until_done(setup.schedule("double", 1));
}

#[test]
fn monitors_of_different_domains_run_on_one_host() {
    let setup = Installation::with_fixture();
    let _default = setup.start_monitor(&["--maxworkers", "1"]);
    let _other = setup.start_monitor_with_args(&["--domain", "nondefault", "--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
    setup.wait_until_done(setup.schedule("other_domain", 1));
    let listed = setup.rework(["list-monitors"]).run_ok().lines();
    assert_eq!(listed.len(), 2, "{listed:?}");
}

#[test]
fn a_dead_monitor_is_replaced_at_once() {
    let setup = Installation::with_fixture();
    let mut first = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
    first.kill();
    let task = setup.schedule("double", 2);
    let _second = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(task);
    // Waiting for the lease of the dead monitor to expire would take 20 seconds.
    let seconds = task.running_seconds() + (task.start_time() - task.queued_at).as_seconds_f64();
    assert!(seconds < 10.0, "{seconds} s");
    let ended: i64 = setup
        .session()
        .query_value("select count(*) from rework.monitor where finished_at is not null", &[]);
    assert_eq!(ended, 1);
}

#[test]
fn a_stopped_monitor_keeps_its_domain() {
    let setup = Installation::with_fixture();
    let first = setup.start_monitor(&["--maxworkers", "1"]);
    first.signal(Signal::SIGSTOP);
    let id: i64 = setup.session().query_value("select id from rework.monitor", &[]);
    let _second = setup.spawn_monitor(&["--domain", "default"]);
    let unfinished = "select id from rework.monitor where finished_at is null";
    wait::assert_stays_true("only the first monitor is registered", wait::OBSERVATION_TIME, || {
        setup.session().query_values::<i64>(unfinished, &[]) == [id]
    });
    assert!(processes::is_alive(first.pid()));
    first.signal(Signal::SIGCONT);
    setup.wait_until_done(setup.schedule("double", 1));
}

/// Returns the address at which a monitor with `--listen` serves `/health` and `/ready`.
pub(crate) fn http_address(monitor: &Monitor) -> String {
    let output = monitor.output();
    let address = output.split("http://").nth(1).and_then(|text| text.lines().next());
    address.unwrap_or_else(|| panic!("no address in {output}")).to_owned()
}

/// Sends a GET request to a monitor. Returns the status and the JSON body, which is null if the body is not JSON.
pub(crate) fn http_get(address: &str, path: &str) -> (u16, Value) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn a_monitor_reports_health_and_readiness_over_http() {
    let mut cluster = Cluster::new();
    let setup = Installation::with_database(Database::on_cluster(&cluster));
    setup.register([fixture_program()]);
    let monitor = setup.start_monitor(&["--maxworkers", "1", "--listen", "127.0.0.1:0"]);
    let address = http_address(&monitor);
    let address = address.as_str();
    setup.wait_until("the monitor is ready", || http_get(address, "/ready").0 == 200);
    setup.wait_until_done(setup.schedule("double", 1));
    assert_eq!(
        http_get(address, "/health"),
        (200, json!({"healthy": true, "neglected_seconds": {}}))
    );
    assert_eq!(http_get(address, "/nothing").0, 404);
    // Claims fail, so a task stays queued although a worker is idle.
    setup.session().execute(
        "create function public.no_claim() returns trigger language plpgsql as
         $$ begin raise exception 'not now'; end $$;
         create trigger no_claim before update on rework.task for each row
            when (new.state = 'running') execute function public.no_claim()",
    );
    let task = setup.schedule("double", 2);
    setup.wait_until("the monitor is unhealthy", || http_get(address, "/health").0 == 503);
    let (_, body) = http_get(address, "/health");
    assert!(body["neglected_seconds"]["default"].as_u64().unwrap() >= 15, "{body}");
    assert_eq!(http_get(address, "/ready").0, 200);
    setup.session().execute("drop trigger no_claim on rework.task");
    setup.wait_until_done(task);
    setup.wait_until("the monitor is healthy again", || http_get(address, "/health").0 == 200);
    cluster.stop(ShutdownMode::Fast);
    wait::until("the monitor is not ready", String::new, || http_get(address, "/ready").0 == 503);
    assert_eq!(
        http_get(address, "/health").0,
        200,
        "healthy, because a restart of the monitor would not help"
    );
    cluster.start();
    setup.wait_until("the monitor is ready again", || http_get(address, "/ready").0 == 200);
    let mut second = setup.spawn_monitor(&["--domain", "other", "--listen", address]);
    assert_eq!(second.wait_for_exit_code(), Some(1));
    let output = second.output();
    assert!(output.contains("cannot listen on") && output.contains("hint: "), "{output}");
}
