//! Sessions that end tasks of the same flows at the same time, and abort, retry, follow and delete them: none of them is
//! ever part of a deadlock, and at the end no flow waits for nothing.

use std::collections::BTreeMap;
use std::thread;

use fastrand::Rng;

use crate::flow_engine::operations::Operations;
use crate::flow_engine::random_plan::random_plan;
use crate::support::Installation;
use crate::support::scale::count;
use crate::support::session::Session;

const SESSIONS: u64 = 8;

/// The number of different plans.
const PLANS: usize = 60;

/// SQLSTATEs that are expected: `complete` did not get a lock in time, a task was deleted before it was locked, and a
/// flow has gone on before it was retried.
const EXPECTED: [&str; 3] = ["55P03", "RW404", "RW400"];

/// `claim_batch` claims up to 50 tasks with a token, and `end_batch` records the ends of up to 50 tasks with that token
/// in one transaction. `chance` has the share of the runs that fail. `some_tasks` and `some_flows` choose at random,
/// mostly what has not ended.
const FUNCTIONS: &str = "
create table public.plan (id integer generated always as identity, plan text);
create table public.chance (failure float);
insert into public.chance values (0.15);
insert into rework.operation (domain, name) values ('flows', 'follower'), ('flows', 'first');
insert into rework.lane (domain, operation)
    select domain, id from rework.operation where name in ('follower', 'first');
update rework.operation set run_after = '{follower}', on_failure = '{follower}' where name in ('execute', 'flow');
update rework.operation set run_before = '{first}' where name = 'undo';
create function public.claim_batch(own uuid) returns void language sql as $$
    update rework.task
       set state = 'running', run = run + 1, attempt = attempt + 1, worker = 1, started_at = null, token = own
     where id = any (array(select id from rework.task where state = 'queued' order by random() limit 50
                              for update skip locked))
$$;
create function public.end_batch(own uuid) returns void language plpgsql as $$
declare
    tasks  bigint[];
    runs   bigint[];
begin
    select array_agg(t.id order by t.id), array_agg(t.run order by t.id) into tasks, runs
      from (select id, run from rework.task
             where worker = 1 and state in ('running', 'aborting') and token = own
             order by random() limit 50) as t;
    if tasks is not null then
        perform rework.complete(
            tasks, runs, array[own],
            array(select case when o.is_flow then 'planned' when random() < c.failure then 'failed' else 'done' end
                    from unnest(tasks) with ordinality as u (id, number)
                    join rework.task t using (id)
                    join rework.operation o on o.id = t.operation
                   cross join public.chance c
                   order by u.number),
            '{}', '{}',
            array(select case when o.is_flow then p.plan
                              when o.name = 'decide' then format(
                                  '{\"decision\": \"%s\"}', case when random() < 0.6 then 'retry' else 'revert' end)
                              else '{\"ok\": true, \"list\": [1]}' end
                    from unnest(tasks) with ordinality as u (id, number)
                    join rework.task t using (id)
                    join rework.operation o on o.id = t.operation
                    join public.plan p on p.id = 1 + t.id % (select max(id) from public.plan)
                   order by u.number),
            '{}', array(select 1::bigint from unnest(tasks)), array(select 0::bigint from unnest(tasks)), '{}', '{}',
            '{}');
    end if;
end $$;
create function public.some_tasks(number integer) returns bigint[] language sql volatile as $$
    select coalesce(array_agg(id), '{}')
      from (select id from rework.task
             order by state in ('done', 'failed', 'aborted', 'lost') and random() < 0.9, random()
             limit number) as chosen
$$;
create function public.some_flows(number integer) returns bigint[] language sql volatile as $$
    select coalesce(array_agg(id), '{}')
      from (select id from rework.flow order by ended_at is not null, random() limit number) as chosen
$$";

/// The statements of the sessions, each with its weight.
const STATEMENTS: [(usize, &str); 10] = [
    (8, "select public.claim_batch('TOKEN')"),
    (8, "select public.end_batch('TOKEN')"),
    (
        3,
        "select rework.schedule('flow', '{\"go\": true, \"list\": [1, 2]}'::json, domain => 'flows')
           from generate_series(1, least(3, 20 - (select count(*) from rework.flow where ended_at is null)))",
    ),
    (1, "select rework.abort(id, revert => random() < 0.7) from unnest(public.some_flows(1)) as id"),
    (1, "select rework.abort(id) from unnest(public.some_tasks(1)) as id"),
    (
        2,
        "select rework.retry_flow(id)
           from (select id from rework.flow where phase in ('revert_failed', 'stopped', 'reverted')
                  order by random() limit 1) as flow",
    ),
    (
        2,
        "select rework.schedule('execute', domain => 'flows', after => public.some_flows(2) || public.some_tasks(3),
                                after_failure => 'run')",
    ),
    (1, "select rework.follow_missed()"),
    (1, "select rework.advance_missed()"),
    (1, ""),
];

/// The statement with which `rework vacuum` deletes tasks.
const VACUUM: &str = include_str!("../crates/core/src/admin/sql/vacuum_tasks.sql");

/// Executes `rounds` statements in an order that depends on `seed`. Returns how often each SQLSTATE occurred.
fn storm(dsn: &str, seed: u64, rounds: usize) -> BTreeMap<String, usize> {
    let session = Session::open(dsn);
    session.execute("set deadlock_timeout = '50ms'");
    let token = format!("00000000-0000-0000-0000-{seed:012}");
    let all: Vec<&str> =
        STATEMENTS.iter().flat_map(|(weight, sql)| std::iter::repeat_n(*sql, *weight)).collect();
    let mut codes = BTreeMap::new();
    let mut random = Rng::with_seed(seed);
    for _ in 0..rounds {
        let result = match all[random.usize(..all.len())] {
            "" => delete_some(&session),
            sql => session.try_execute(&sql.replace("TOKEN", &token)),
        };
        if let Err(error) = result {
            let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned();
            *codes.entry(code).or_insert(0) += 1;
        }
    }
    codes
}

/// Deletes tasks that were done or aborted, with the flows that they are.
fn delete_some(session: &Session) -> Result<(), tokio_postgres::Error> {
    let states = vec!["done", "aborted"];
    session.try_query(VACUUM, &[&0_i64, &states, &None::<&str>, &0.0_f64]).map(drop)
}

/// Lets all sessions execute `rounds` statements each. Returns how often each SQLSTATE occurred.
fn storms(setup: &Installation, rounds: usize) -> BTreeMap<String, usize> {
    let session = setup.session();
    let operations = Operations::insert(session);
    session.execute(FUNCTIONS);
    let mut random = Rng::with_seed(19);
    for _ in 0..PLANS {
        let plan = serde_json::to_string(&random_plan(&mut random, &operations)).unwrap();
        session.query("insert into public.plan (plan) values ($1)", &[&plan]);
    }
    let dsn = setup.dsn();
    let results: Vec<BTreeMap<String, usize>> = thread::scope(|scope| {
        let run = |seed| scope.spawn(move || storm(dsn, seed, rounds));
        let sessions: Vec<_> = (1..=SESSIONS).map(run).collect();
        sessions.into_iter().map(|session| session.join().unwrap()).collect()
    });
    let mut codes = BTreeMap::<String, usize>::new();
    for (code, number) in results.into_iter().flatten() {
        *codes.entry(code).or_insert(0) += number;
    }
    let flows: String = session.query_value(
        "select string_agg(format('%s %s', count, phase), ', ')
           from (select phase, count(*) from rework.flow group by 1) as phases",
        &[],
    );
    let tasks: i64 = session.query_value("select max(id) from rework.task", &[]);
    eprintln!(
        "{SESSIONS} sessions with {rounds} statements each failed with {codes:?}: {flows}; {tasks} tasks"
    );
    codes
}

/// One session does all that is left, and nothing fails any more.
const FINISH: &str = "
update rework.task set token = '00000000-0000-0000-0000-000000000000' where state in ('running', 'aborting') and worker = 1;
select rework.follow_missed(), rework.advance_missed();
select public.claim_batch('00000000-0000-0000-0000-000000000000');
select public.end_batch('00000000-0000-0000-0000-000000000000');
select rework.abort(id) from rework.flow where phase = 'revert_failed'";

#[test]
fn nothing_that_advances_flows_is_part_of_a_deadlock() {
    let setup = Installation::new();
    let codes = storms(&setup, count(150, 3_000));
    let session = setup.session();
    let unexpected = codes.keys().find(|code| !EXPECTED.contains(&code.as_str()));
    assert_eq!(unexpected, None, "{codes:?}");

    session.execute("update public.chance set failure = 0");
    setup.wait_until("all flows have ended", || {
        session.execute(FINISH);
        session.query_value(
            "select not exists (select from rework.flow where ended_at is null)
                and not exists (select from rework.task
                                 where flow is not null and state in ('queued', 'waiting', 'running', 'aborting'))",
            &[],
        )
    });
    let contradictory = "select count(*) from rework.flow f join rework.task t using (id)
                          where f.missed or t.state not in ('done', 'failed', 'aborted')
                             or (t.state = 'done') <> (f.phase = 'done')";
    assert_eq!(session.query_value::<i64>(contradictory, &[]), 0);
    let started = "select count(*) from rework.step s join rework.flow f on f.id = s.flow
                    where s.state in ('started', 'reverting')
                       or f.phase = 'reverted' and s.state not in ('pending', 'reverted')
                       or f.phase = 'done' and s.state not in ('done', 'skipped', 'failed')";
    assert_eq!(session.query_value::<i64>(started, &[]), 0);
}
