//! Workers and runners that are killed at random while short tasks run as fast as they can: each task
//! ends once, none runs twice, none is left.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::Installation;
use crate::support::processes;
use crate::support::scale::count;
use crate::support::wait::{PATIENCE, until_some};

/// Notes every end that a task is given.
const NOTE_ENDS: &str = "
    create table ends (task bigint);
    create function note_ends() returns trigger language plpgsql as $$
    begin
        insert into ends
        select later.id
          from later
          join earlier using (id)
         where later.state <> earlier.state and coalesce(later.finished_at, earlier.finished_at) is not null;
        return null;
    end $$;
    create trigger note_ends after update on rework.task
        referencing old table as earlier new table as later
        for each statement execute function note_ends()";

/// $1 tasks that note their numbers, from 0, in the file $2.
const SCHEDULE: &str = "
    select count(*)
      from rework.schedule_many('notes', array(
           select json_build_object('number', n, 'path', $2::text) from generate_series(0, $1::bigint - 1) n))";

#[test]
fn each_task_ends_once_whoever_is_killed() {
    let tasks = count(10_000, 1_000_000);
    let between = count(500, 6_000) as u64;
    let place = Installation::with_fixture();
    let notes = place.folder().join("notes");
    place.session().run(NOTE_ENDS);
    let monitor = place.monitor(&["--minworkers", "4", "--maxworkers", "4"]);
    let path = notes.to_str().unwrap();
    assert_eq!(place.session().one::<i64>(SCHEDULE, &[&(tasks as i64), &path]), tasks as i64);

    let mut random = fastrand::Rng::with_seed(8);
    let mut kills = 0;
    let mut next = random.u64(0..between);
    loop {
        let goes_on = until_some(
            "more tasks run",
            PATIENCE,
            || place.scene(),
            || {
                if noted(&notes) >= next { Some(true) } else { (!is_left(&place)).then_some(false) }
            },
        );
        if !goes_on {
            break;
        }
        let mut victims = processes::marked(place.host());
        victims.retain(|process| process.pid != monitor.pid());
        if let Some(victim) = random.choice(&victims) {
            processes::signal(victim.pid, Signal::SIGKILL);
            kills += 1;
        }
        next = noted(&notes) + random.u64(1..2 * between);
    }
    assert!(kills >= 10, "{kills} kills");
    check(&place, tasks, &notes, kills);
}

/// About how many have run: most lines are of seven bytes.
fn noted(notes: &Path) -> u64 {
    fs::metadata(notes).map_or(0, |file| file.len()) / 7
}

fn is_left(place: &Installation) -> bool {
    let sql = "select exists (select from rework.task where state = 'queued')
                   or exists (select from rework.task where state in ('running', 'aborting'))";
    place.session().one(sql, &[])
}

#[track_caller]
fn check(place: &Installation, tasks: usize, notes: &Path, kills: usize) {
    let mut times: HashMap<i64, usize> = HashMap::new();
    for line in fs::read_to_string(notes).unwrap().lines() {
        *times.entry(line.parse().unwrap()).or_default() += 1;
    }
    let twice = times.iter().filter(|(_, times)| **times > 1).count();
    assert_eq!(twice, 0, "tasks that ran twice");

    let session = place.session();
    let ends = "select count(*), count(distinct task) from ends";
    let ends = &session.rows(ends, &[])[0];
    let ends: (i64, i64) = (ends.get(0), ends.get(1));
    assert_eq!(ends, (tasks as i64, tasks as i64), "ends, and tasks that ended");

    let numbers = "select (input->>'number')::bigint from rework.task where state = 'done'";
    let done: Vec<i64> = session.all(numbers, &[]);
    let unseen = done.iter().filter(|number| !times.contains_key(number)).count();
    assert_eq!(unseen, 0, "tasks that are done and have not run");
    // Of a worker that is killed nobody saw the ends; a runner that is killed fails what it runs.
    let endings =
        "select state || ': ' || coalesce(reason, '') from rework.task where state <> 'done'";
    let others: Vec<String> = session.all(endings, &[]);
    assert_eq!(done.len() + others.len(), tasks, "{}", place.scene());
    let known = |ending: &&String| ending.contains("signal 9 (killed)");
    assert_eq!(others.iter().find(|ending| !known(ending)), None);
    let kept = "select count(*) from rework.task
                 where state = 'done' and output::text <> input->>'number'";
    assert_eq!(session.one::<i64>(kept, &[]), 0, "outputs of other tasks");
    eprintln!("{kills} kills: {} tasks done, {} lost or failed", done.len(), others.len());
}
