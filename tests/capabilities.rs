//! Capabilities: a task runs only on a host that offers what the task needs.

use rework_core::task::state::State;

use crate::support::installation::{Installation, fixture_program};

#[test]
fn a_task_with_a_capability_runs_on_a_host_that_has_it() {
    let setup = Installation::with_fixture();
    let other = format!("{}-b", setup.host());
    setup.rework(["register-operations", "--host", &other]).args([fixture_program()]).run_ok();
    let _without_gpu = setup.start_monitor(&["--maxworkers", "1"]);
    let schedule = ["schedule", "double", "--input", "1", "--capability", "gpu"];
    let output = setup.rework(schedule).run_ok();
    let (task, stderr) = (output.id(), output.stderr());
    assert!(stderr.contains("no monitor serves domain `default` on a host with `gpu`"), "{stderr}");
    setup.wait_until_done(setup.schedule("double", 2));
    assert_eq!(
        setup.task(task).state,
        State::Queued,
        "a host without the capability claimed the task"
    );
    let options = ["--domain", "default", "--maxworkers", "1", "--capability", "gpu"];
    let _with_gpu = setup.spawn_monitor_on(&other, &options);
    setup.wait_until_done(task);
    let sql = "select ran_on from rework.task where id = $1";
    assert_eq!(setup.session().query_value::<String>(sql, &[&task]), other);
}
