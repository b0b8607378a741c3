//! How soon an idle worker starts a task: at once after a notification, and within seconds without one.

use crate::support::Installation;

#[test]
fn a_notification_wakes_an_idle_worker() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule_without_input("noinput"));
    let mut waited: Vec<f64> = (0..20)
        .map(|_| {
            let is_idle =
                "select count(*) from rework.monitor where 'default' = any (idle_domains)";
            setup.wait_until("the monitor has an idle worker and requests notifications", || {
                setup.session().query_value::<i64>(is_idle, &[]) == 1
            });
            let task = setup.session().query_value("select rework.schedule('noinput')", &[]);
            let task = setup.wait_until_done(task);
            (task.start_time() - task.queued_at).as_seconds_f64()
        })
        .collect();
    waited.sort_by(f64::total_cmp);
    // The median. If the worker only polled once a second, it would be half a second.
    assert!(waited[10] < 0.2, "seconds: {waited:?}");
}

#[test]
fn a_task_whose_transaction_commits_late_starts_soon() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let slow = crate::support::session::Session::open(setup.dsn());
    slow.execute("begin");
    let late: i64 = slow.query_value("select rework.schedule('double', '1')", &[]);
    for number in 0..20 {
        setup.wait_until_done(setup.schedule("double", number));
    }
    slow.execute("commit");
    let late = setup.wait_until_done(late);
    let last_end: chrono::DateTime<chrono::Utc> = setup
        .session()
        .query_value("select max(finished_at) from rework.task where id <> $1", &[&late.id]);
    let waited = (late.start_time() - last_end).as_seconds_f64();
    assert!(waited < 5.0, "{waited} s");
}

#[test]
fn delayed_tasks_start_in_time_among_many_other_delayed_tasks() {
    let setup = Installation::with_fixture();
    setup.session().execute(
        "select rework.schedule_many('double', array_fill('1'::json, array[50000]),
                                     delayed_until => now() + interval '1 day')",
    );
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let schedule = |delay: [&str; 2]| {
        setup.rework(["schedule", "double", "--input", "1"]).args(delay).run_ok().id()
    };
    let at = (chrono::Utc::now() + chrono::TimeDelta::seconds(2)).to_rfc3339();
    for task in [schedule(["--delay", "1500ms"]), schedule(["--at", &at])] {
        setup.wait_until_done(task);
        let delay: f64 = setup.session().query_value(
            "select extract(epoch from started_at - delayed_until)::float8 from rework.task where id = $1",
            &[&task],
        );
        // Monitors check once a second. The limit is higher for a busy machine.
        assert!((0.0..2.0).contains(&delay), "{delay} s late");
    }
    let plan: Vec<String> = setup.session().query_values(
        "explain select id from rework.task where state = 'delayed' and delayed_until <= now()
          order by delayed_until limit 1000 for no key update skip locked",
        &[],
    );
    let plan = plan.join("\n");
    assert!(plan.contains("task_delayed") && !plan.contains("Seq Scan"), "{plan}");
}
