//! A database that answers, and refuses what a monitor sends: the monitor says what the database says, waits, and
//! continues by itself when the cause is removed.

use rework_core::task::state::State;
use serde_json::json;

use crate::permissions::GrantedRole;
use crate::support::Installation;

/// Refuses the renewal and the creation of leases, as a full disk or a missing right would.
const REFUSE_LEASES: &str = "
    create function refuse() returns trigger language plpgsql as $$
    begin
        raise exception 'the disk is out of order';
    end $$;
    create trigger refuse before insert or update of renewals on rework.lease
        for each row execute function refuse()";

#[test]
fn a_monitor_waits_while_the_database_refuses_its_lease_for_longer_than_the_lease() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "1", "--lease", "1s"]);
    let running = setup.schedule("hold", json!(setup.folder().join("gate")));
    setup.wait_until_logged(running, "holding");
    setup.session().execute(REFUSE_LEASES);
    for text in [
        "the database refuses the polls of this monitor: the disk is out of order",
        "cannot register yet: the disk is out of order",
    ] {
        setup.wait_until(text, || {
            assert!(monitor.exit_status().is_none(), "the monitor ended:\n{}", monitor.output());
            monitor.output().contains(text)
        });
    }
    // As with a cut network, the run has ended before others may have taken it.
    let lost = setup.wait_until_ended(running);
    assert_eq!(lost.state, State::Lost, "{}", lost.reason());
    setup.session().execute("drop trigger refuse on rework.lease");
    setup.wait_until_done(setup.schedule("double", 1));
    assert!(monitor.exit_status().is_none(), "it is the same process");
}

#[test]
fn a_refused_request_for_an_operation_is_repeated_and_does_not_fail_the_task() {
    let mut setup = Installation::with_fixture();
    let role = GrantedRole::new(&setup, "run");
    let revoke = format!(
        "revoke select on rework.placement from {0};
         grant select (id, operation, host, kind, revision, registered_at, paused) on rework.placement
           to {0}",
        role.name
    );
    setup.session().execute(&revoke);
    setup.use_dsn(&role.dsn);
    let monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let sql = "select rework.schedule('double', '1'::json)";
    let task = setup.session().query_value::<i64>(sql, &[]);
    let text = "the request for an operation is refused by the database: permission denied";
    setup.wait_until(text, || monitor.output().contains(text));
    assert_eq!(setup.task(task).state, State::Running);
    setup.session().execute(&format!("grant select on rework.placement to {}", role.name));
    let done = setup.wait_until_done(task);
    assert_eq!((done.run, done.attempt), (1, 1));
    drop(monitor);
}
