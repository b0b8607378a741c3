//! Wake-ups: an idle worker starts a scheduled task because it was told, not because it looked.

use crate::support::Installation;

#[test]
fn an_idle_worker_is_woken() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    place.done(place.schedule_plain("noinput"));
    let mut waited: Vec<f64> = (0..20)
        .map(|_| {
            let wanted = "select count(*) from rework.monitor where 'default' = any (wants)";
            place.until("the monitor asks to be told", || {
                place.session().one::<i64>(wanted, &[]) == 1
            });
            let task = place.session().one("select rework.schedule('noinput')", &[]);
            let task = place.done(task);
            (task.began() - task.queued_at).as_seconds_f64()
        })
        .collect();
    waited.sort_by(f64::total_cmp);
    // Who looks once a second would need half a second in the median.
    assert!(waited[10] < 0.2, "seconds: {waited:?}");
}

#[test]
fn a_task_that_was_committed_late_starts_soon() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let slow = crate::support::session::Session::open(place.dsn());
    slow.run("begin");
    let late: i64 = slow.one("select rework.schedule('double', '1')", &[]);
    for number in 0..20 {
        place.done(place.schedule("double", number));
    }
    slow.run("commit");
    let late = place.done(late);
    let last: chrono::DateTime<chrono::Utc> =
        place.session().one("select max(finished_at) from rework.task where id <> $1", &[&late.id]);
    let waited = (late.began() - last).as_seconds_f64();
    assert!(waited < 5.0, "{waited} s");
}

#[test]
fn delayed_tasks_become_due_within_a_second_whatever_else_is_delayed() {
    let place = Installation::with_fixture();
    place.session().run(
        "select rework.schedule_many('double', array_fill('1'::json, array[50000]),
                                     delayed_until => now() + interval '1 day')",
    );
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    let schedule =
        |when: [&str; 2]| place.rework(["schedule", "double", "--input", "1"]).args(when).ok().id();
    let at = (chrono::Utc::now() + chrono::TimeDelta::seconds(2)).to_rfc3339();
    for task in [schedule(["--delay", "1500ms"]), schedule(["--at", &at])] {
        place.done(task);
        let late: f64 = place.session().one(
            "select extract(epoch from started_at - delayed_until)::float8 from rework.task where id = $1",
            &[&task],
        );
        // A machine with other work takes a little longer to start it.
        assert!((0.0..2.0).contains(&late), "{late} s late");
    }
    let plan: Vec<String> = place.session().all(
        "explain select id from rework.task where state = 'delayed' and delayed_until <= now()
          order by delayed_until limit 1000 for no key update skip locked",
        &[],
    );
    let plan = plan.join("\n");
    assert!(plan.contains("task_delayed") && !plan.contains("Seq Scan"), "{plan}");
}
