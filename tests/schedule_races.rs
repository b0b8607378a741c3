//! Several monitors fire the same schedules and are killed while they do so: each due time makes exactly one task.
//!
//! The schedules are due every second. The test replaces the clock of schedules by a faster one, so that many due times
//! pass in a short time.

use nix::sys::signal::Signal;

use crate::support::Installation;
use crate::support::monitor::Monitor;
use crate::support::scale::count;

const SCHEDULES: usize = 50;
const MONITORS: usize = 5;

/// How many seconds of the schedules' clock pass in one second. With a faster clock, more due times could be late on a
/// busy machine than the 100 for which `--missed all` makes tasks.
const SPEED: i64 = 10;

/// The monitor that is killed first. It determines the order in which the monitors are killed.
const SEED: usize = 7;

/// Counts the due times without a firing, the firings that were not due, and the firings without a task.
const MISSING: &str = "select count(*)
   from rework.schedule
  cross join lateral generate_series((select date_trunc('second', at) from public.clock_start),
                                     (select at from public.clock_end), interval '1 second') as due_at
   full join rework.firing on firing.schedule = schedule.id and firing.due_at = due_at.due_at
   left join rework.task on task.id = firing.task and task.input::text = schedule.input::text
  where task.id is null";

#[test]
fn each_due_time_fires_once_while_monitors_are_killed() {
    let setup = Installation::with_fixture();
    for number in 1..=SCHEDULES {
        let input = number.to_string();
        let rule = ["--rule", "* * * * * *", "--every-second", "--missed", "all"];
        setup
            .rework(["prepare", "double", "--host", "nowhere", "--input", &input])
            .args(rule)
            .run_ok();
    }
    let session = setup.session();
    session.execute(
        "create table public.clock_start as select now() as at;
         create table public.clock_end as select 'infinity'::timestamptz as at;
         update rework.schedule set next_at = (select date_trunc('second', at) from public.clock_start)",
    );
    session.execute(&replace_clock(&format!(
        "select least(clock_start.at + (now() - clock_start.at) * {SPEED}, clock_end.at)
           from public.clock_start, public.clock_end"
    )));
    let monitor = |number: usize| -> Monitor {
        let host = format!("{}-{number}", setup.host());
        setup.spawn_monitor_on(&host, &["--domain", "default", "--minworkers", "0"])
    };
    let mut monitors: Vec<Monitor> = (0..MONITORS).map(monitor).collect();
    let total = count(1_000, 10_000) as i64;
    let firings = || -> i64 { session.query_value("select count(*) from rework.firing", &[]) };
    for step in 1..=20 {
        setup.wait_until("more firings are recorded", || firings() >= total * step / 20);
        let victim = (step as usize * 31 + SEED) % MONITORS;
        monitors[victim].signal(Signal::SIGKILL);
        monitors[victim] = monitor(victim);
    }
    // The clock stops, and the remaining monitors fire what is still due. It stops later than now: until this
    // statement has committed, the monitors fire by the running clock.
    session.execute(
        "update public.clock_end set at = rework.schedule_clock() + interval '30 seconds'",
    );
    setup.wait_until("no schedule is due", || {
        let sql = "select not exists (select from rework.schedule
                                       where next_at <= (select at from public.clock_end))";
        session.query_value(sql, &[])
    });
    drop(monitors);
    let missing: i64 = session.query_value(MISSING, &[]);
    assert_eq!(missing, 0, "each due time has a firing, and each firing has a task");
    let [firings, tasks, tasks_of_firings] =
        ["rework.firing", "rework.task", "(select distinct task from rework.firing) as t"]
            .map(|table| session.query_value::<i64>(&format!("select count(*) from {table}"), &[]));
    assert!(firings >= total);
    assert_eq!((tasks, tasks_of_firings), (firings, firings), "one task for each firing");
}

/// Returns the statement that replaces the function from which rework gets the time of schedules. `sql` returns the
/// time.
fn replace_clock(sql: &str) -> String {
    format!(
        "create or replace function rework.schedule_clock() returns timestamptz
         language sql stable set search_path = pg_catalog, pg_temp as '{sql}'"
    )
}
