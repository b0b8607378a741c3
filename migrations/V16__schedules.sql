-- schedules: operations with a cron rule, and the tasks that the rules made. Every monitor may fire every schedule
-- that is due. The rules are evaluated in core/src/cron/rule.rs, `rework.fire` is called by core/src/cron/fire.rs.
--
-- firing: one instant at which a schedule was due. Its primary key ensures that one instant makes at most one task,
-- however many monitors fire it at the same time. There is no leader.

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
create index schedule_due on rework.schedule (next_at) where paused_at is null;

create table rework.firing (
    schedule        bigint not null references rework.schedule on update cascade on delete cascade,
    due_at          timestamptz not null,
    task            bigint,                               -- null if no task was made
    reason          text,                                 -- why no task was made
    primary key (schedule, due_at)
);

-- schedule_clock: returns the time that decides whether a schedule is due. A function, so that tests can replace it;
-- `stable`, so that an index can be searched for its value.
create function rework.schedule_clock() returns timestamptz
language sql stable set search_path = pg_catalog, rework, pg_temp as 'select now()';

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

-- fire: makes a task for each of `instants`, and moves the schedule on from `was` to `next`, all in one transaction.
-- Returns the firings that were recorded. An error of rework itself (SQLSTATE `RW…`) becomes the reason why a firing
-- has no task. If the schedule is paused, or is not due at `was` any more, because another monitor has fired it or a
-- user has changed it, it does nothing and returns no row. `lock_timeout` limits how long a monitor waits for a locked
-- row; it tries again a second later.
create function rework.fire(schedule bigint, was timestamptz, instants timestamptz[], next timestamptz)
returns setof rework.firing
language plpgsql set search_path = pg_catalog, rework, pg_temp set lock_timeout = '500ms' as $$
#variable_conflict use_column
declare
    overlap  text;
    fired    rework.firing;
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
        insert into rework.firing (schedule, due_at) values (fired.schedule, fired.due_at)
        on conflict do nothing;
        continue when not found;
        -- With `skip`, no task is made while the last one of this schedule has not ended.
        if overlap = 'skip' then
            select format('task %s had not ended', t.id) into fired.reason
              from (select f.task from rework.firing f
                     where f.schedule = fired.schedule and f.task is not null
                     order by f.due_at desc limit 1) as latest
              join rework.task t on t.id = latest.task and t.finished_at is null;
        end if;
        -- An error of rework itself, such as an unregistered operation, becomes the reason. The schedule moves on.
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
        update rework.firing f set task = fired.task, reason = fired.reason
         where f.schedule = fired.schedule and f.due_at = fired.due_at;
        return next fired;
    end loop;
end $$;

revoke all on function rework.schedule_clock, rework.run_scheduled, rework.fire from public;
