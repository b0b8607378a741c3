//! Many monitors fire the same schedules, and are killed while they do: no instant is missed, and
//! none makes two tasks.

use nix::sys::signal::Signal;

use crate::support::Installation;
use crate::support::monitor::Monitor;
use crate::support::scale::count;

const SCHEDULES: usize = 50;
const MONITORS: usize = 5;

/// The clock of schedules goes so much faster than time: slow enough that no more instants pass
/// than a policy makes up for while this machine is busy with something else.
const SPEED: i64 = 10;

/// Another seed, another order of deaths.
const SEED: usize = 7;

#[test]
fn no_tick_is_missing_and_none_comes_twice() {
    let place = Installation::with_fixture();
    for number in 1..=SCHEDULES {
        let input = number.to_string();
        let rule = ["--rule", "* * * * * *", "--every-second", "--missed", "all"];
        place.rework(["prepare", "double", "--host", "nowhere", "--input", &input]).args(rule).ok();
    }
    let session = place.session();
    session.run(
        "create table public.began as select now() as at;
         update rework.schedule set next_at = (select date_trunc('second', at) from public.began)",
    );
    session.run(&clock(&format!("select at + (now() - at) * {SPEED} from public.began")));
    let monitor = |number: usize| -> Monitor {
        let host = format!("{}-{number}", place.host());
        place.unawaited_monitor_on(&host, &["--domain", "default", "--minworkers", "0"])
    };
    let mut monitors: Vec<Monitor> = (0..MONITORS).map(monitor).collect();
    let total = count(1_000, 10_000) as i64;
    let ticks = || -> i64 { session.one("select count(*) from rework.tick", &[]) };
    let mut killed = 0;
    for step in 1..=20 {
        place.until("the next ticks are there", || ticks() >= total * step / 20);
        let victim = (step as usize * 31 + SEED) % MONITORS;
        monitors[victim].signal(Signal::SIGKILL);
        monitors[victim] = monitor(victim);
        killed += 1;
    }
    assert_eq!(killed, 20);
    // The clock stands still, and whoever is left makes up for the rest.
    session.run("create table public.ended as select rework.schedule_clock() as at");
    session.run(&clock("select at from public.ended"));
    place.until("nothing is due", || {
        session.one("select not exists (select from rework.schedule where next_at <= (select at from public.ended))", &[])
    });
    drop(monitors);
    let faults: i64 = session.one(
        "select count(*)
           from rework.schedule
          cross join lateral generate_series((select date_trunc('second', at) from public.began),
                                             (select at from public.ended), interval '1 second') as due_at
           full join rework.tick on tick.schedule = schedule.id and tick.due_at = due_at.due_at
           left join rework.task on task.id = tick.task and task.input::text = schedule.input::text
          where task.id is null",
        &[],
    );
    assert_eq!(faults, 0, "each instant has its tick, and each tick its task");
    let [made, tasks, tasks_of_ticks] =
        ["rework.tick", "rework.task", "(select distinct task from rework.tick) as t"]
            .map(|of| session.one::<i64>(&format!("select count(*) from {of}"), &[]));
    assert!(made >= total);
    assert_eq!((tasks, tasks_of_ticks), (made, made), "one task for each tick");
}

fn clock(sql: &str) -> String {
    format!(
        "create or replace function rework.schedule_clock() returns timestamptz
         language sql stable set search_path = pg_catalog, pg_temp as '{sql}'"
    )
}
