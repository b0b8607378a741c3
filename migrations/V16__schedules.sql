-- schedules: an operation with a cron rule. Every instant at which it comes due makes one task,
-- whoever sees it first and however many look.
--
-- tick: such an instant. Its primary key decides who makes the task; there is no leader.

create table rework.schedule (
    id              bigint generated always as identity primary key,
    operation       bigint not null references rework.operation,
    rule            text not null,
    zone            text not null default 'UTC',
    host            text,                                 -- the only host that may run its tasks
    priority        smallint not null default 0,
    capabilities    text[] not null default '{}',
    input           json,
    input_bytes     bytea,
    metadata        json,
    fingerprint     text not null,                        -- of the input: what is equal is one schedule
    missed          text not null default 'none' check (missed in ('none', 'last', 'all')),
    overlap         text not null default 'allow' check (overlap in ('allow', 'skip')),
    next_at         timestamptz,                          -- null: never again
    paused_at       timestamptz,
    prepared_at     timestamptz not null default now(),
    check (input is null or input_bytes is null)
);

create unique index schedule_same on rework.schedule (operation, rule, coalesce(host, ''), fingerprint);
create index schedule_due on rework.schedule (next_at) where paused_at is null;

create table rework.tick (
    schedule        bigint not null references rework.schedule on update cascade on delete cascade,
    due_at          timestamptz not null,
    task            bigint,                               -- null: none was made
    reason          text,                                 -- why not
    primary key (schedule, due_at)
);

-- The time by which schedules come due. `stable`, so that an index can be searched for it.
create function rework.schedule_clock() returns timestamptz
language sql stable set search_path = pg_catalog, rework, pg_temp as 'select now()';

-- A task of a schedule, now.
create function rework.run_scheduled(schedule bigint) returns bigint
language sql set search_path = pg_catalog, rework, pg_temp as $$
    select rework.schedule(o.name, s.input, domain => o.domain, host => s.host,
                           priority => s.priority, metadata => s.metadata,
                           capabilities => s.capabilities, input_bytes => s.input_bytes)
      from rework.schedule s
      join rework.operation o on o.id = s.operation
     where s.id = run_scheduled.schedule
$$;

-- Makes the tasks of instants at which a schedule came due, and moves it on from `was` to `next`.
-- Whoever comes second finds it moved, and does nothing. Nobody waits for long for a row that somebody
-- holds: monitors have other things to do, and come again.
create function rework.fire(schedule bigint, was timestamptz, instants timestamptz[], next timestamptz)
returns setof rework.tick
language plpgsql set search_path = pg_catalog, rework, pg_temp set lock_timeout = '500ms' as $$
#variable_conflict use_column
declare
    overlap  text;
    fired    rework.tick;
begin
    update rework.schedule s set next_at = fire.next
     where s.id = fire.schedule and s.next_at = fire.was and s.paused_at is null
    returning s.overlap into overlap;
    if not found then
        return;
    end if;
    foreach fired.due_at in array instants loop
        fired.schedule := fire.schedule;
        fired.task := null;
        fired.reason := null;
        insert into rework.tick (schedule, due_at) values (fired.schedule, fired.due_at)
        on conflict do nothing;
        continue when not found;
        if overlap = 'skip' then
            select format('task %s had not ended', t.id) into fired.reason
              from (select k.task from rework.tick k
                     where k.schedule = fired.schedule and k.task is not null
                     order by k.due_at desc limit 1) as latest
              join rework.task t on t.id = latest.task and t.finished_at is null;
        end if;
        if fired.reason is null then
            begin
                fired.task := rework.run_scheduled(fired.schedule);
            exception when others then
                if sqlstate not like 'RW%' then
                    raise;
                end if;
                fired.reason := sqlerrm;
            end;
        end if;
        update rework.tick k set task = fired.task, reason = fired.reason
         where k.schedule = fired.schedule and k.due_at = fired.due_at;
        return next fired;
    end loop;
end $$;

revoke all on function rework.schedule_clock, rework.run_scheduled, rework.fire from public;
