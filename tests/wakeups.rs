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
