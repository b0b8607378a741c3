//! Many leases: a monitor watches what lies in front of the sixteenth that lives, and so whatever died.

use nix::sys::signal::Signal;
use rework_core::db::{connect::Db, dsn::Dsn};
use rework_core::task::state::State;

use crate::support::installation::Installation;

/// More than the monitors that one watches.
const MANY: i64 = 150;

/// Monitors on hosts that are not there, each by a lease of two seconds.
fn dead_monitors(setup: &Installation, count: i64) {
    setup.session().execute(&format!(
        "with lease as (
            insert into rework.lease (holder, length_ms)
            select 'host-' || n, 2000 from generate_series(1, {count}) n
            returning id, holder
         )
         insert into rework.monitor (lease, host, boot_id, pid_ns, pid, pid_start, domains, options, containment,
                                     memory, version)
         select id, holder, 'boot', 'pid:[1]', 1, 1, '{{default}}', '{{}}', 'processes', 'sampled', '0' from lease"
    ));
}

fn count(setup: &Installation, what: &str) -> i64 {
    setup.session().query_value(&format!("select count(*) from {what}"), &[])
}

#[test]
fn hosts_that_died_together_are_closed_by_the_one_that_is_left() {
    let setup = Installation::new();
    dead_monitors(&setup, MANY);
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    setup.wait_until("all of them are closed", || {
        count(&setup, "rework.monitor where reason = 'host lost'") == MANY
    });
    assert_eq!(count(&setup, "rework.lease where taken_at is null"), 1, "it holds its own");
}

#[test]
fn a_run_whose_start_nobody_recorded_is_lost_with_a_start() {
    let setup = Installation::with_fixture();
    dead_monitors(&setup, 1);
    let task = setup.schedule("double", 1);
    setup.session().execute(
        "insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns, pid, pid_start, started_at)
         select id, lease, host, 'default', 'boot', 'pid:[1]', 1, 1, now() from rework.monitor;
         update rework.task set state = 'running', run = 1, attempt = 1, token = gen_random_uuid(),
                worker = (select id from rework.worker)",
    );
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    let lost = setup.wait_until_ended(task);
    assert_eq!((lost.state, lost.reason()), (State::Lost, "host lost"));
    assert!(lost.started_at.is_some() && lost.started_at <= lost.finished_at, "{lost:?}");
}

#[test]
fn workers_that_live_by_leases_of_their_own_hide_no_dead_one() {
    let setup = Installation::new();
    dead_monitors(&setup, 1);
    setup.session().execute(&format!(
        "with lease as (
            insert into rework.lease (holder, length_ms)
            select 'worker ' || n, 2000 from generate_series(1, {MANY}) n
            returning id
         )
         insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns, pid, pid_start, started_at)
         select monitor.id, lease.id, monitor.host, 'default', 'boot', 'pid:[1]', 1, 1, now()
           from lease, rework.monitor"
    ));
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    let renew = "update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()
                  where holder like 'worker %'";
    setup.wait_until("the dead one is closed", || {
        setup.session().execute(renew);
        count(&setup, "rework.monitor where reason = 'host lost'") == 1
    });
    assert_eq!(
        count(&setup, "rework.lease where taken_at is not null"),
        1,
        "nobody else was robbed"
    );
}

/// The statements that monitors execute once an hour.
fn chores(setup: &Installation) {
    let dsn = Dsn::parse(setup.dsn()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::connect(&dsn, "test").await.unwrap();
        rework_core::admin::vacuum::close_unused_leases(&db).await.unwrap();
    });
}

#[test]
fn leases_that_ended_in_peace_are_not_watched_unless_somebody_lives_by_them() {
    let setup = Installation::new();
    let mut monitor = setup.start_monitor(&["--minworkers", "2"]);
    setup.wait_until("its workers are up", || {
        count(&setup, "rework.worker where pid is not null") == 2
    });
    monitor.signal(Signal::SIGTERM);
    setup.wait_until("it has ended", || monitor.exit_status().is_some());
    let watched = "rework.lease where taken_at is null and swept_at is null";
    assert_eq!(count(&setup, watched), 0, "its lease was closed behind it and its workers");
    setup.session().execute(
        "insert into rework.worker (monitor, lease, host, domain, boot_id, pid_ns)
         select id, lease, host, 'default', 'boot', 'pid:[1]' from rework.monitor",
    );
    chores(&setup);
    assert_eq!(count(&setup, watched), 1, "somebody was written into the books late");
    setup.session().execute(
        "update rework.worker set finished_at = now(), reason = 'test' where finished_at is null;
         update rework.lease set renewed_at = now() - interval '1 hour'",
    );
    chores(&setup);
    assert_eq!(count(&setup, watched), 0, "nobody is left");
}
