//! Kills random workers and runners while many short tasks run: each task ends exactly once, none runs twice, and none
//! is left.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::Installation;
use crate::support::processes;
use crate::support::scale::count;
use crate::support::wait::{TIMEOUT, until_some};

/// Creates a trigger that records in table `ends` every update that ends a task or changes the end of a task.
const RECORD_ENDS: &str = "
    create table ends (task bigint);
    create function record_ends() returns trigger language plpgsql as $$
    begin
        insert into ends
        select later.id
          from later
          join earlier using (id)
         where later.state <> earlier.state and coalesce(later.finished_at, earlier.finished_at) is not null;
        return null;
    end $$;
    create trigger record_ends after update on rework.task
        referencing old table as earlier new table as later
        for each statement execute function record_ends()";

/// Schedules $1 tasks. Each appends its number to file $2; the numbers start at 0.
const SCHEDULE: &str = "
    select count(*)
      from rework.schedule_many('appends_number', array(
           select json_build_object('number', n, 'path', $2::text) from generate_series(0, $1::bigint - 1) n))";

#[test]
fn each_task_ends_once_while_random_processes_are_killed() {
    let tasks = count(10_000, 1_000_000);
    // The average number of runs between two kills.
    let interval = count(500, 6_000) as u64;
    let setup = Installation::with_fixture();
    let number_file = setup.folder().join("numbers");
    setup.session().execute(RECORD_ENDS);
    let monitor = setup.start_monitor(&["--minworkers", "4", "--maxworkers", "4"]);
    let path = number_file.to_str().unwrap();
    assert_eq!(
        setup.session().query_value::<i64>(SCHEDULE, &[&(tasks as i64), &path]),
        tasks as i64
    );

    // A fixed seed, so that a failure can be repeated.
    let mut random = fastrand::Rng::with_seed(8);
    let mut kills = 0;
    let mut next_kill = random.u64(0..interval);
    loop {
        let has_more = until_some(
            "more tasks run",
            TIMEOUT,
            || setup.diagnostics(),
            || {
                if approximate_runs(&number_file) >= next_kill {
                    Some(true)
                } else {
                    (!has_unfinished_tasks(&setup)).then_some(false)
                }
            },
        );
        if !has_more {
            break;
        }
        let mut victims = processes::tagged(setup.host());
        victims.retain(|process| process.pid != monitor.pid());
        if let Some(victim) = random.choice(&victims) {
            processes::signal(victim.pid, Signal::SIGKILL);
            kills += 1;
        }
        next_kill = approximate_runs(&number_file) + random.u64(1..2 * interval);
    }
    assert!(kills >= 10, "{kills} kills");
    assert_each_ended_once(&setup, tasks, &number_file, kills);
}

/// Returns about how many tasks have run, from the size of the file: most lines have seven bytes in `make soak`. This
/// is faster than reading the file.
fn approximate_runs(number_file: &Path) -> u64 {
    fs::metadata(number_file).map_or(0, |file| file.len()) / 7
}

fn has_unfinished_tasks(setup: &Installation) -> bool {
    let sql = "select exists (select from rework.task where state = 'queued')
                   or exists (select from rework.task where state in ('running', 'aborting'))";
    setup.session().query_value(sql, &[])
}

#[track_caller]
fn assert_each_ended_once(setup: &Installation, tasks: usize, number_file: &Path, kills: usize) {
    let mut runs: HashMap<i64, usize> = HashMap::new();
    for line in fs::read_to_string(number_file).unwrap().lines() {
        *runs.entry(line.parse().unwrap()).or_default() += 1;
    }
    let twice = runs.iter().filter(|(_, runs)| **runs > 1).count();
    assert_eq!(twice, 0, "tasks that ran twice");

    let session = setup.session();
    let ends = "select count(*), count(distinct task) from ends";
    let ends = &session.query(ends, &[])[0];
    let ends: (i64, i64) = (ends.get(0), ends.get(1));
    assert_eq!(ends, (tasks as i64, tasks as i64), "ends, and tasks with an end");

    let numbers = "select (input->>'number')::bigint from rework.task where state = 'done'";
    let done: Vec<i64> = session.query_values(numbers, &[]);
    let not_run = done.iter().filter(|number| !runs.contains_key(number)).count();
    assert_eq!(not_run, 0, "tasks that are done but have not run");
    // A killed worker has lost its run, and a killed runner has failed its run. Both reasons name the signal.
    let reasons =
        "select state || ': ' || coalesce(reason, '') from rework.task where state <> 'done'";
    let others: Vec<String> = session.query_values(reasons, &[]);
    assert_eq!(done.len() + others.len(), tasks, "{}", setup.diagnostics());
    let is_kill = |reason: &&String| reason.contains("signal 9 (killed)");
    assert_eq!(others.iter().find(|reason| !is_kill(reason)), None);
    let count_wrong_outputs = "select count(*) from rework.task
                 where state = 'done' and output::text <> input->>'number'";
    assert_eq!(
        session.query_value::<i64>(count_wrong_outputs, &[]),
        0,
        "tasks with the output of another task"
    );
    eprintln!("{kills} kills: {} tasks done, {} lost or failed", done.len(), others.len());
}
