-- schedules: operations with a cron rule, and the tasks that the rules made. Every monitor may fire every schedule
-- that is due. The rules are evaluated in core/src/cron/rule.rs, `rework.fire` is called by core/src/cron/fire.rs.
--
-- firing: one instant at which a schedule was due. Its primary key ensures that one instant makes at most one task,
-- however many monitors fire it at the same time. There is no leader.
--
-- schedule_watch: the periods in which a monitor watched the schedules of a domain. An instant within a period is not
-- missed, however late its task is made. core/src/cron/due.rs decides that.

create table rework.schedule (
    id              bigint generated always as identity primary key,
    operation       bigint not null references rework.operation,
    rule            text not null,                        -- cron rule: docs/schedules.md
    zone            text not null default 'UTC',          -- IANA name of the time zone of the rule
    host            text,                                 -- the only host that may run its tasks; null: any
    priority        smallint not null default 0,          -- of its tasks; higher first
    capabilities    text[] not null default '{}',         -- capabilities that the host must have
    input           json,
    input_bytes     bytea,                                -- an input that is not JSON
    metadata        json,                                 -- of its tasks
    fingerprint     text not null,                        -- hash of the input, equal for equal inputs
    missed          text not null default 'none' check (missed in ('none', 'last', 'all')),   -- instants to catch up
    overlap         text not null default 'allow' check (overlap in ('allow', 'skip')),   -- if a task has not ended
    next_at         timestamptz,                          -- when it is due next; null: never again
    paused_at       timestamptz,                          -- null if it is not paused
    declared_at     timestamptz not null default now(),
    check (input is null or input_bytes is null)
);

create unique index schedule_same on rework.schedule (operation, rule, coalesce(host, ''), fingerprint);
create index schedule_due on rework.schedule (next_at, id) where paused_at is null;

create table rework.firing (
    schedule        bigint not null references rework.schedule on update cascade on delete cascade,
    due_at          timestamptz not null,
    task            bigint,                               -- null if no task was made
    reason          text,                                 -- why no task was made
    primary key (schedule, due_at)
);

create table rework.schedule_watch (
    id              bigint generated always as identity primary key,
    domain          text not null,
    since           timestamptz not null,
    until           timestamptz not null                  -- a few seconds old at most while a monitor runs
) with (fillfactor = 50);                                 -- room for in-page updates

create index schedule_watch_domain on rework.schedule_watch (domain);

-- schedule_clock: returns the time that decides whether a schedule is due. A function, so that tests can replace it;
-- `stable`, so that an index can be searched for its value.
create function rework.schedule_clock() returns timestamptz
language sql stable set search_path = pg_catalog, rework, pg_temp as 'select now()';

-- watch_schedules: records that a monitor watches the schedules of these domains now. Each monitor calls it with the
-- poll of each second (V17__monitor_poll.sql). A period continues if no monitor watched for less than a minute. The row
-- is written every five seconds, by one of the monitors. Nothing is written while there are no schedules.
create function rework.watch_schedules(domains text[]) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
declare
    clock  timestamptz := rework.schedule_clock();
begin
    if not exists (select from rework.schedule) then
        return;
    end if;
    update rework.schedule_watch w set until = clock
      from (select latest.id
              from rework.schedule_watch latest
             where latest.domain = any (watch_schedules.domains)
               and latest.until between clock - interval '60 s' and clock - interval '5 s'
               for no key update skip locked) as latest
     where w.id = latest.id;
    insert into rework.schedule_watch (domain, since, until)
    select given.domain, clock, clock
      from unnest(watch_schedules.domains) as given (domain)
     where not exists (select from rework.schedule_watch w
                        where w.domain = given.domain and w.until >= clock - interval '60 s');
end $$;

-- run_scheduled: makes a task of a schedule now, and returns the id of the task; null if there is no such schedule.
-- Raises the errors of `rework.schedule` (V11).
create function rework.run_scheduled(schedule bigint) returns bigint
language sql set search_path = pg_catalog, rework, pg_temp as $$
    select rework.schedule(o.name, s.input, domain => o.domain, host => s.host,
                           priority => s.priority, metadata => s.metadata,
                           capabilities => s.capabilities, input_bytes => s.input_bytes)
      from rework.schedule s
      join rework.operation o on o.id = s.operation
     where s.id = run_scheduled.schedule
$$;

-- fire: makes the tasks of many schedules at once, and moves each schedule on, all in one transaction. Returns the
-- firings that were recorded.
--
-- Inputs
--   schedules, was, nexts        each schedule, when it was due, and when it is due next (null: never again)
--   instant_schedules, instants  the instants to fire, each with its schedule
--
-- Steps
--   1. Lock the schedules. Nothing is done for a schedule that is paused, that another transaction has locked, or that
--      is not due at `was` any more, because another monitor has fired it or a user has changed it.
--   2. Find the lanes of the tasks (V06), and make those that are missing. An error of rework itself (SQLSTATE `RW…`)
--      becomes the reason why the firings have no task. Another transaction may be making the same lane; after
--      `lock_timeout` all schedules that have no lane yet are left to a later call. The order is random, so that one
--      lane cannot hold up the others.
--   3. Move the schedules on.
--   4. Insert the tasks and the firings. An instant that has a firing already is left out. With the overlap policy
--      `skip`, no task is made while the last one of the schedule has not ended; then only the first instant of a call
--      can get a task.
--
-- Tasks are inserted here and not by `rework.schedule`, because a call for each task takes several times as long. The
-- host, the capabilities and the metadata of a schedule were checked when it was declared
-- (core/src/cron/sql/declare.sql). A plan is made for each call, because the lengths of the arrays decide which plan is
-- quick.
create function rework.fire(
    schedules           bigint[],
    was                 timestamptz[],
    nexts               timestamptz[],
    instant_schedules   bigint[],
    instants            timestamptz[]
) returns setof rework.firing
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp
    set lock_timeout = '500ms' set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    locked_ids  bigint[];           -- the schedules that are fired
    with_lane   bigint[];           -- those whose tasks have a lane already
    needs       record;
    op          rework.operation;
    refused     bigint[] := '{}';   -- schedules whose tasks cannot get a lane, with
    reasons     text[] := '{}';     --   the reason of each
    postponed   bigint[] := '{}';
    firings     rework.firing[];
    waiting     record;             -- an operation with `run_before`, and its tasks
begin
    -- 1. Lock the schedules.
    locked_ids := array(
        select s.id
          from unnest(fire.schedules, fire.was) as given (schedule, was_due_at)
          join rework.schedule s on s.id = given.schedule and s.next_at = given.was_due_at and s.paused_at is null
         where s.id = any (fire.schedules)     -- so that the planner knows how few there are
           for no key update of s skip locked);

    -- 2. Find or make the lanes. Existing ones are locked, so that they are not swept.
    with_lane := array(
        select s.id
          from rework.schedule s
          join rework.lane l on l.operation = s.operation and coalesce(l.host, '') = coalesce(s.host, '')
                            and l.capabilities = array(select distinct c from unnest(s.capabilities) c order by c)
         where s.id = any (locked_ids)
           for key share of l skip locked);
    for needs in
        select s.operation, s.host, s.capabilities, array_agg(s.id) as schedules
          from (select unnest(locked_ids) except select unnest(with_lane)) as without_lane (id)
          join rework.schedule s on s.id = without_lane.id
          join rework.operation o on o.id = s.operation
         where o.unregistered_at is null
         group by s.operation, s.host, s.capabilities
         order by random()
    loop
        if postponed <> '{}' then
            postponed := postponed || needs.schedules;
            continue;
        end if;
        begin
            select o.* into op from rework.operation o where o.id = needs.operation;
            perform rework.lane_for(op, needs.host, needs.capabilities);
        exception
            when lock_not_available then
                postponed := needs.schedules;
            when others then
                if sqlstate not like 'RW%' then
                    raise;
                end if;
                refused := refused || needs.schedules;
                reasons := reasons || array_fill(sqlerrm, array[cardinality(needs.schedules)]);
        end;
    end loop;
    locked_ids := array(select id from unnest(locked_ids) as given (id) where id <> all (postponed));

    -- 3. Move the schedules on.
    update rework.schedule s set next_at = given.next_due_at
      from unnest(fire.schedules, fire.nexts) as given (schedule, next_due_at)
     where s.id = given.schedule and s.id = any (locked_ids);

    -- 4. Insert the tasks and the firings. A notification too many does no harm.
    if cardinality(fire.instants) > 0 then
        perform rework.notify_ready(ready.domain)
           from (select distinct o.domain
                   from rework.schedule s
                   join rework.operation o on o.id = s.operation
                  where s.id = any (locked_ids)) as ready;
    end if;
    with due as materialized (
        select s.id as schedule, given.due_at, s.operation, l.id as lane, s.priority, s.host, s.capabilities, s.input,
               s.input_bytes, s.metadata, o.run_after <> '{}' or o.on_failure <> '{}' as followed,
               s.overlap = 'allow' or row_number() over (partition by s.id order by given.due_at) = 1 as may_have_task,
               case
                   when o.unregistered_at is not null
                       then format('operation `%s` is not registered in domain `%s`', o.name, o.domain)
                   when l.id is null then refusal.reason
                   when o.run_before <> '{}' and rework.run_before_fault(o) is not null then rework.run_before_fault(o)
                   when octet_length(s.input::text) > 104857600 or octet_length(s.input_bytes) > 104857600
                       then format('the input for `%s` is larger than 100 MiB', o.name)
                   when rework.json_fault(s.input::text) is not null
                       then format('the input for `%s` %s', o.name, rework.json_fault(s.input::text))
                   when s.overlap = 'skip'
                       then (select format('task %s had not ended', t.id)
                               from (select f.task from rework.firing f
                                      where f.schedule = s.id and f.task is not null
                                      order by f.due_at desc limit 1) as latest
                               join rework.task t on t.id = latest.task and t.finished_at is null)
               end as reason
          from unnest(fire.instant_schedules, fire.instants) as given (schedule, due_at)
          join rework.schedule s on s.id = given.schedule
          join rework.operation o on o.id = s.operation
          left join rework.lane l on l.operation = s.operation and coalesce(l.host, '') = coalesce(s.host, '')
               and l.capabilities = array(select distinct c from unnest(s.capabilities) c order by c)
          left join unnest(refused, reasons) as refusal (schedule, reason) on refusal.schedule = s.id
         where s.id = any (locked_ids)
           and not exists (select from rework.firing f where f.schedule = s.id and f.due_at = given.due_at)
    ),
    made as materialized (
        select due.*,
               case when reason is null and may_have_task then nextval('rework.task_id_seq') end as task
          from due
    ),
    inserted as (
        insert into rework.task (id, operation, lane, state, priority, host, capabilities, input, input_bytes, metadata,
                                 followed)
        overriding system value
        select task, operation, lane, 'queued', priority, host, capabilities, input, input_bytes, metadata, followed
          from made
         where task is not null
         order by due_at, schedule
    )
    select array_agg(row(made.schedule, made.due_at, made.task, made.no_task)::rework.firing) into firings
      from (select schedule, due_at, task,
                   -- Without a reason, the first instant has got a task, and this one is skipped because of it.
                   case when task is null
                        then coalesce(reason, format('task %s had not ended',
                                                     first_value(task) over (partition by schedule order by due_at)))
                   end as no_task
              from made) as made;
    for waiting in
        select o.id as operation, array_agg(f.task) as tasks
          from unnest(firings) as f
          join rework.schedule s on s.id = f.schedule
          join rework.operation o on o.id = s.operation and o.run_before <> '{}'
         where f.task is not null
         group by o.id
    loop
        select o.* into op from rework.operation o where o.id = waiting.operation;
        perform rework.wait_before(waiting.tasks, op, null, null);
    end loop;
    -- Otherwise the check of the foreign key would be planned again for each firing.
    set local plan_cache_mode = auto;
    return query insert into rework.firing select * from unnest(firings) returning *;
end $$;

revoke all on function rework.schedule_clock, rework.watch_schedules, rework.run_scheduled, rework.fire from public;
