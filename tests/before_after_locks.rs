//! Sessions that end, abort, retry, delete and schedule tasks at the same time, whose tasks wait for each other: none
//! of them is ever part of a deadlock, and at the end no task waits for nothing.

use std::collections::BTreeMap;
use std::thread;

use crate::support::Installation;
use crate::support::fleet_rows::{finish_all, insert_operations, insert_worker_on_a};
use crate::support::scale::count;
use crate::support::session::Session;

const SESSIONS: u64 = 8;

/// The SQLSTATE of the session that is the victim of a deadlock.
const DEADLOCK_DETECTED: &str = "40P01";

/// `run_batch` claims up to 20 tasks and records their ends in the same transaction. Every third run fails. `some_tasks`
/// chooses tasks at random, most of which have not ended if there are such.
const RUN_BATCH: &str = "
create function public.run_batch() returns void language plpgsql as $$
declare
    tasks  bigint[];
    runs   bigint[];
    token  uuid := gen_random_uuid();
begin
    select array_agg(c.task order by c.task), array_agg(c.run order by c.task) into tasks, runs
      from rework.claim(1, 1, 1, 'a', 'many', '{}', array(select id from rework.operation), '{20,20,20}',
                        new_token => token) as c;
    if tasks is not null then
        perform rework.complete(tasks, runs, array[token],
                                array(select case when t % 3 = 0 then 'failed' else 'done' end
                                        from unnest(tasks) with ordinality as u (t, number) order by number),
                                '{}', '{}', '{}', '{}', array(select 1::bigint from unnest(tasks)),
                                array(select 0::bigint from unnest(tasks)), '{}', '{}', '{}', null);
    end if;
end $$;
create function public.some_tasks(number integer) returns bigint[] language sql volatile as $$
    select coalesce(array_agg(id), '{}')
      from (select id from rework.task
             order by state in ('done', 'failed', 'aborted', 'lost') and random() < 0.9, random()
             limit number) as chosen
$$";

/// The statements of the sessions. An open transaction that schedules lasts for a few milliseconds.
const STATEMENTS: [&str; 7] = [
    "select public.run_batch()",
    "select public.run_batch()",
    "select rework.schedule_many('operation_1', array_fill('1'::json, array[20]), domain => 'many',
                                 after => public.some_tasks(5), after_failure => 'run')",
    "begin;
     select rework.schedule('operation_2', domain => 'many', after => public.some_tasks(3), after_failure => 'run');
     select rework.schedule('operation_3', domain => 'many', after => public.some_tasks(3));
     select count(*) from generate_series(1, 20000);
     select rework.schedule('operation_1', domain => 'many', after => public.some_tasks(3));
     commit",
    "select rework.abort(id) from unnest(public.some_tasks(1)) as id",
    "select rework.follow_missed()",
    "",
];

/// The statements with which `rework retry-task` and `rework vacuum` change tasks.
const RETRY: &str = include_str!("../crates/core/src/task/sql/retry_task.sql");
const VACUUM: &str = include_str!("../crates/core/src/admin/sql/vacuum_tasks.sql");

/// Executes `rounds` statements in an order that depends on `seed`. Returns how often each SQLSTATE occurred.
fn storm(dsn: &str, seed: u64, rounds: usize) -> BTreeMap<String, usize> {
    let session = Session::open(dsn);
    session.execute("set deadlock_timeout = '50ms'");
    let mut codes = BTreeMap::new();
    let mut random = seed;
    for _ in 0..rounds {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = usize::try_from(random >> 33).unwrap() % STATEMENTS.len();
        let result = match STATEMENTS[number] {
            "" => retry_and_delete(&session),
            sql => session.try_execute(sql),
        };
        if let Err(error) = result {
            let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned();
            *codes.entry(code).or_insert(0) += 1;
            session.execute("rollback");
        }
    }
    codes
}

/// Retries one task, and deletes the first 1000 tasks that were done or aborted.
fn retry_and_delete(session: &Session) -> Result<(), tokio_postgres::Error> {
    let tasks: Vec<i64> = session.query_value("select public.some_tasks(1)", &[]);
    for task in tasks {
        session.try_query(RETRY, &[&task])?;
    }
    let states = vec!["done", "aborted"];
    session.try_query(VACUUM, &[&0_i64, &states, &None::<&str>, &0.0_f64]).map(drop)
}

/// Creates the operations, which follow each other, and 100 tasks. Then lets all sessions execute `rounds` statements
/// each. Returns how often each SQLSTATE occurred.
fn storms(setup: &Installation, rounds: usize) -> BTreeMap<String, usize> {
    let session = setup.session();
    insert_worker_on_a(session);
    insert_operations(session, 1, 3, &["a"]);
    session.execute(RUN_BATCH);
    session.execute(
        "update rework.operation set run_after = '{operation_2}' where name = 'operation_1';
         update rework.operation set on_failure = '{operation_3}' where name = 'operation_2';
         update rework.operation set run_before = '{operation_3}' where name = 'operation_2';
         select rework.schedule_many('operation_1', array_fill('1'::json, array[100]), domain => 'many')",
    );
    let sessions: Vec<_> = (1..=SESSIONS)
        .map(|seed| {
            let dsn = setup.dsn().to_owned();
            thread::spawn(move || storm(&dsn, seed, rounds))
        })
        .collect();
    let mut codes = BTreeMap::<String, usize>::new();
    for session in sessions {
        for (code, number) in session.join().unwrap() {
            *codes.entry(code).or_insert(0) += number;
        }
    }
    let tasks: String = session.query_value(
        "select string_agg(format('%s %s, run %s', count, state, run), '; ')
           from (select state, run > 0 as run, count(*) from rework.task group by 1, 2) as states",
        &[],
    );
    eprintln!("{SESSIONS} sessions with {rounds} statements each failed with {codes:?}: {tasks}");
    codes
}

#[test]
fn nothing_that_follows_an_end_is_part_of_a_deadlock() {
    let setup = Installation::new();
    let codes = storms(&setup, count(60, 1_000));
    let session = setup.session();
    // A predecessor was deleted between its selection and its lock (RW404), or `complete` did not get a lock in time.
    let unexpected = codes.keys().find(|code| !["RW404", "55P03"].contains(&code.as_str()));
    assert_eq!(unexpected, None, "{codes:?}");

    setup.wait_until("everything that was missed is followed", || {
        session.execute("select rework.follow_missed()");
        session.query_value("select not exists (select from rework.edge where for_poll)", &[])
    });
    let miscounted = "select count(*) from rework.task
                       where state = 'waiting'
                         and awaits <> (select count(*) from rework.edge
                                         where successor = task.id and followed_at is null)";
    assert_eq!(session.query_value::<i64>(miscounted, &[]), 0);
    let forgotten = "select count(*) from rework.edge
                      where followed_at is null
                        and not exists (select from rework.task
                                         where id = edge.task
                                           and state not in ('done', 'failed', 'aborted', 'lost'))";
    assert_eq!(session.query_value::<i64>(forgotten, &[]), 0);
    finish_all(session);
}

/// The test above finds deadlocks: if successors are locked in any order, and waited for, there are some.
#[test]
fn another_order_of_locks_makes_deadlocks() {
    let setup = Installation::new();
    let definition: String = setup
        .session()
        .query_value("select pg_get_functiondef('rework.follow_edges'::regproc)", &[]);
    let order = "order by t.id\n           for no key update skip locked";
    assert!(definition.contains(order), "{definition}");
    let any_order = "order by random()\n           for no key update";
    setup.session().execute(&definition.replace(order, any_order));
    let codes = storms(&setup, count(150, 1_000));
    assert!(codes.contains_key(DEADLOCK_DETECTED), "{codes:?}");
}
