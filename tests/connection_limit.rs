//! A server with fewer connections than workers: workers that cannot connect wait, idle workers give their connections
//! back, and no run is lost.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};
use crate::support::session::Session;
use crate::support::wait;

/// The largest number of connections of the server.
const CONNECTIONS: usize = 10;

fn small_server() -> Cluster {
    let limit = format!("max_connections={CONNECTIONS}");
    Cluster::with_settings(&[&limit, "superuser_reserved_connections=0"], |_| {})
}

/// Waits until only the test, a monitor and one worker are connected, and then opens connections until the server has
/// as many as it may have.
fn take_all_connections(setup: &Installation, cluster: &Cluster) -> Vec<Session> {
    setup.wait_until("three processes are connected", || {
        let sql = "select count(*) = 3 from pg_stat_activity where backend_type = 'client backend'";
        setup.session().query_value(sql, &[])
    });
    (3..CONNECTIONS).map(|_| Session::open(&cluster.dsn("postgres"))).collect()
}

#[test]
fn more_workers_than_connections_run_all_tasks() {
    let cluster = small_server();
    let setup = Installation::with_database(Database::on_cluster(&cluster));
    let domains: Vec<String> = (0..8).map(|number| format!("domain-{number}")).collect();
    for domain in &domains {
        let manifest = setup.folder().join(format!("{domain}.toml"));
        let text = format!(
            "domain = \"{domain}\"\n[[operation]]\nname = \"{domain}\"\nshell = \"sleep 0.1\"\n"
        );
        std::fs::write(&manifest, text).unwrap();
        setup.register([manifest]);
    }
    // 16 workers, of which at most 8 can connect at the same time.
    let monitor = setup.start_monitor_with_args(&["--maxworkers", "2", "--lease", "6s"]);
    let schedule = "select rework.schedule($1)";
    let tasks: Vec<i64> = domains
        .iter()
        .flat_map(|domain| [domain; 3])
        .map(|domain| setup.session().query_value(schedule, &[&domain.as_str()]))
        .collect();
    for task in tasks {
        assert_eq!(setup.wait_until_done(task).run, 1, "{}", monitor.output());
    }
}

#[test]
fn a_worker_that_cannot_connect_continues_under_the_lease_of_its_monitor() {
    let cluster = small_server();
    let setup = Installation::with_database(Database::on_cluster(&cluster));
    setup.register([fixture_program()]);
    let monitor = setup.start_monitor(&["--maxworkers", "1", "--lease", "6s"]);
    let gate = setup.folder().join("gate");
    let task = setup.schedule("hold", json!(gate));
    setup.wait_until_logged(task, "holding");
    let others = take_all_connections(&setup, &cluster);
    // After 2.4 s without its monitor, the worker requests a lease of its own, for which it needs a new connection.
    // After 4.8 s its lease would end.
    monitor.signal(Signal::SIGSTOP);
    wait::let_time_pass(Duration::from_secs(3));
    monitor.signal(Signal::SIGCONT);
    wait::assert_stays_true("the run continues", Duration::from_secs(3), || {
        setup.session().query_value("select state = 'running' from rework.task", &[])
    });
    drop(others);
    std::fs::write(&gate, "").unwrap();
    assert_eq!(setup.wait_until_done(task).run, 1, "{}", monitor.output());
}
