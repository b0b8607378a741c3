//! Memory limits: a run that exceeds its limit is killed at once, and no other run is disturbed.
//!
//! A monitor measures memory with a cgroup or by sampling `/proc`, whichever is available. Each method is tested here
//! if the machine supports it. The recorded reason names the limit, and says whether the memory was sampled.

use std::fs;

use chrono::Utc;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::containment_modes::ContainmentMode;
use crate::support::monitored_host::MonitoredHost;

#[test]
fn a_run_out_of_memory_is_killed_with_the_default_memory_method() {
    let host = MonitoredHost::new(&[]);
    assert_out_of_memory_fails(host);
}

#[test]
fn a_run_out_of_memory_is_killed_by_its_cgroup() {
    if !ContainmentMode::available().contains(&ContainmentMode::Cgroup)
        || fs::metadata(MEMORY_CONTROLLER).is_err()
    {
        eprintln!("this machine, or this user, has no cgroup that limits memory");
        return;
    }
    let host = MonitoredHost::new(&["--memory", "cgroup"]);
    assert_ne!(memory_method(&host), "sampled");
    assert_out_of_memory_fails(host);
}

/// The memory controller of cgroup v1.
const MEMORY_CONTROLLER: &str = "/sys/fs/cgroup/memory";

#[test]
fn a_run_out_of_memory_is_killed_when_memory_is_sampled() {
    let host = MonitoredHost::new(&["--memory", "sampled"]);
    assert_eq!(memory_method(&host), "sampled");
    assert_out_of_memory_fails(host);
}

#[test]
fn a_run_out_of_memory_is_killed_in_each_containment_mode() {
    for mode in ContainmentMode::available() {
        assert_out_of_memory_fails(MonitoredHost::on(mode, &[]));
    }
}

/// Starts operations that allocate more than their limit of 64 MiB, a command and a function. Asserts that each task
/// fails with the expected reason and that the host can run other tasks.
fn assert_out_of_memory_fails(host: MonitoredHost) {
    let sampled = if memory_method(&host) == "sampled" { " (sampled)" } else { "" };
    for operation in ["shell_fills_memory", "fills_memory"] {
        let gate = host.setup.folder().join(operation);
        let input = if operation == "fills_memory" { json!(gate) } else { json!({ "gate": gate }) };
        let run = host.start_run(operation, input);
        let event = Utc::now();
        fs::write(gate, "").unwrap();
        let failed = host.wait_for_prompt_end(&run, event, State::Failed);
        let reason = failed.reason();
        assert!(reason.starts_with("out of memory: "), "{operation}: {reason}");
        assert!(reason.ends_with(&format!(" of 64 MiB{sampled}")), "{operation}: {reason}");
        assert_eq!(failed.attempt, 1, "the run counts as an attempt");
        let sql = "select memory_peak from rework.task where id = $1";
        let peak: Option<i64> = host.setup.session().query_value(sql, &[&failed.id]);
        assert!(peak >= Some(50 << 20), "{operation}: {peak:?}");
        let shown = host.setup.rework(["show-task", &failed.id.to_string()]).run_ok().stdout();
        assert!(shown.contains("out of memory: "), "{shown}");
        host.setup.wait_until_done(host.setup.schedule("double", 1));
    }
    host.finish();
}

/// Returns the memory method of the monitor, as `list-monitors` shows it.
fn memory_method(host: &MonitoredHost) -> String {
    let monitors = host.setup.rework(["list-monitors", "-o", "json"]).run_ok().json();
    monitors[0]["memory"].as_str().unwrap().to_owned()
}
