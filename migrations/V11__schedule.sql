-- schedule, schedule_child: insert a task, from any language, within the caller's own transaction. They run with the
-- rights of their owner, so a role that may call them needs no right on any table. docs/sql.md is the manual of the
-- first one. Workers call the second one. `schedule_once` is in V18__unique_keys.sql, `schedule_many` and
-- `schedule_many_once` are in V23__schedule_many.sql.
--
-- unique_key: if a task of the operation has this key, its id is returned and nothing is scheduled.
--   unique_while  how long a task keeps its key. `exists`: until it is deleted (the default). `unfinished`: until it
--                 has ended. `queued`: until a worker claims it; it has the key again if it goes back to the queue
--   unique_for    and at most for this long after it was scheduled
--   on_conflict   what happens to the task that has the key. `keep`: it stays as it is (the default). `replace`: it
--                 gets the new input, priority, metadata and time, unless a worker has claimed it or it has ended
--   debounce      the task starts when nobody has scheduled the key for this long. Implies `replace`, and `queued` as
--                 the default of `unique_while`
--   at_most       but not later than this after it was scheduled first
--
-- retry: the retry policy of the task (V14__retry_policy.sql). It replaces that of the operation.
--
-- delayed_until: the task is not ready before. With `infinity` it has no time: it waits until somebody retries it.
--
-- after: the tasks that must end before. after_failure: what happens if one of them is not `done`: `abort` this task,
-- or `run` it all the same. See V21__run_before.sql. Both are ignored if a task has the unique key already.
--
-- Errors have their own SQLSTATEs: RW404 operation not registered, RW300 ambiguous domain, RW413 value too large, RW400
-- value makes no sense. All functions that schedule tasks raise all four.

-- add_task: inserts one task. The parameters are those of `schedule`, except that the input is text. A parent, the run
-- of the parent and a number within that run identify the request of a run. Returns the id of the task, or that of the
-- existing task that has this unique_key (V18) or that this request has made before.
create function rework.add_task(
    op             rework.operation,
    input          text,
    input_bytes    bytea,
    host           text,
    priority       integer,
    delayed_until  timestamptz,
    unique_key     text,
    metadata       json,
    capabilities   text[],
    parent         bigint default null,
    parent_run     bigint default null,
    parent_number  integer default null,
    retry          json default null,
    after          bigint[] default null,
    after_failure  text default 'abort',
    unique_while   text default null,
    unique_for     interval default null,
    on_conflict    text default null,
    debounce       interval default null,
    at_most        interval default null,
    new_task       bigint default null      -- the id of the task, if it is made; null: the next one
) returns bigint
language plpgsql as $$
#variable_conflict use_column
declare
    needs       text[] := coalesce(add_task.capabilities, '{}');
    due         timestamptz;
    is_delayed  boolean;
    ready_at    timestamptz;
    priority    integer := coalesce(add_task.priority, op.priority);
    policy      json := case when add_task.retry is not null then rework.checked_retry(op.name, add_task.retry) end;
    fault       text;
    lane        integer;
    task_id     bigint;
    made        bigint;
    holder      record;     -- the task that has the unique key: its id and its state
begin
    if octet_length(add_task.input) > 104857600 or octet_length(add_task.input_bytes) > 104857600 then
        raise exception 'the input for `%` is larger than 100 MiB', op.name
            using errcode = 'RW413', hint = 'store it elsewhere, and pass its location as the input';
    end if;
    fault := rework.json_fault(add_task.input);
    if fault is not null then
        raise exception 'the input for `%` %', op.name, fault
            using errcode = 'RW400', hint = 'pass JSON that every program can read, or bytes';
    end if;
    if add_task.input is not null and add_task.input_bytes is not null then
        raise exception 'both `input` and `input_bytes` are given for `%`', op.name
            using errcode = 'RW400', hint = 'give only one of the two';
    end if;
    if priority not between -32768 and 32767 then
        raise exception 'priority % is not between -32768 and 32767', priority using errcode = 'RW400';
    end if;
    if num_nonnulls(add_task.host, add_task.delayed_until, add_task.unique_key, add_task.metadata) > 0
       or needs <> '{}' then
        perform rework.check_options(op.name, add_task.host, add_task.delayed_until, add_task.unique_key,
                                     add_task.metadata, needs);
    end if;
    if num_nonnulls(unique_while, unique_for, on_conflict, debounce, at_most) > 0 then
        perform rework.check_unique(op.name, add_task.unique_key, unique_while, unique_for, on_conflict, debounce,
                                    at_most, add_task.delayed_until);
    end if;
    due := coalesce(add_task.delayed_until, now() + least(debounce, at_most));
    is_delayed := coalesce(due > now(), false);
    ready_at := case when is_delayed and isfinite(due) then due end;
    lane := rework.lane_for(op, add_task.host, needs);
    task_id := coalesce(new_task, nextval('rework.task_id_seq'));
    while add_task.unique_key is not null loop
        select * into holder
          from rework.take_key(op.id, add_task.unique_key, task_id,
                               coalesce(unique_while, case when debounce is null then 'exists' else 'queued' end),
                               unique_for);
        exit when holder.task = task_id;
        if (debounce is null and on_conflict is distinct from 'replace')
           or not rework.holds(holder.state, 'queued', null, now()) then
            return holder.task;
        end if;
        if rework.replace_task(holder.task, op.domain, add_task.input::json, add_task.input_bytes, priority,
                               add_task.metadata, add_task.delayed_until, debounce, at_most) then
            return holder.task;
        end if;
        -- The task was claimed or has ended between the two calls, so it may have lost the key: try again.
    end loop;
    loop
        insert into rework.task (id, operation, lane, state, priority, host, capabilities, delayed_until,
                                 input, input_bytes, unique_key, metadata, parent, parent_run, parent_number,
                                 retry, followed)
        overriding system value
        values (task_id, op.id, lane, case when is_delayed then 'delayed' else 'queued' end, priority,
                add_task.host, needs, ready_at, add_task.input::json, add_task.input_bytes, add_task.unique_key,
                add_task.metadata, add_task.parent, add_task.parent_run, add_task.parent_number, policy,
                op.run_after <> '{}' or op.on_failure <> '{}')
        on conflict (parent, parent_run, parent_number) where parent is not null do nothing
        returning id into made;
        if made is not null then
            if cardinality(add_task.after) > 0 or op.run_before <> '{}' or add_task.after_failure <> 'abort' then
                perform rework.wait_before(array[made], op, add_task.after, add_task.after_failure);
            end if;
            if not is_delayed then
                perform rework.notify_ready(op.domain);
            end if;
            return made;
        end if;
        select t.id into made from rework.task t
         where t.parent = add_task.parent and t.parent_run = add_task.parent_run
           and t.parent_number = add_task.parent_number;
        if made is not null then
            return made;
        end if;
        -- The conflicting task was deleted between the two statements: try again.
    end loop;
end $$;

-- schedule: schedules one task. Returns its id, or the id of the existing task that has this unique_key. Raises the
-- errors that are listed at the start of this file. `input` is json, jsonb or text: a literal without a type is text.
-- `schedule_once` (V18) has the same parameters and says which of the two it was.
create function rework.schedule(
    operation      text,
    input          anycompatible default null::json,
    domain         text default null,
    host           text default null,
    priority       integer default null,     -- null: as the operation declares
    delayed_until  timestamptz default null,
    unique_key     text default null,
    metadata       json default null,
    capabilities   text[] default '{}',      -- null: none
    input_bytes    bytea default null,
    retry          json default null,        -- null: as the operation declares
    after          bigint[] default null,    -- ignored if a task has the unique key
    after_failure  text default 'abort',     -- null: `abort`
    unique_while   text default null,        -- null: `exists`, or `queued` with debounce
    unique_for     interval default null,    -- null: without a limit
    on_conflict    text default null,        -- null: `keep`, or `replace` with debounce
    debounce       interval default null,
    at_most        interval default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    return rework.add_task(rework.operation_named(schedule.operation, schedule.domain), schedule.input::text,
                           schedule.input_bytes, schedule.host, schedule.priority, schedule.delayed_until,
                           schedule.unique_key, schedule.metadata, schedule.capabilities,
                           retry => schedule.retry, after => schedule.after, after_failure => schedule.after_failure,
                           unique_while => schedule.unique_while, unique_for => schedule.unique_for,
                           on_conflict => schedule.on_conflict, debounce => schedule.debounce,
                           at_most => schedule.at_most);
end $$;

-- schedule_child: schedules a task for a run of another task, its parent: for run `run` with token `token` of the task
-- `parent`. Returns the id of the task, or null if the run is not current. `number` counts the requests of the run. A
-- request that is sent again returns the id of the task that the first one made. Only roles that run workers may call
-- this function, so that nobody else can give children to a task. Raises the errors that are listed at the start of
-- this file.
create function rework.schedule_child(
    parent         bigint,
    run            bigint,
    token          uuid,
    number         integer,
    operation      text,
    domain         text,
    input          text,
    input_bytes    bytea,
    priority       integer,
    delayed_until  timestamptz
) returns bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    child  bigint;
begin
    perform 1 from rework.task t
     where t.id = schedule_child.parent and t.run = schedule_child.run and t.token = schedule_child.token
       and t.state in ('running', 'aborting')
       for no key update;
    if not found or schedule_child.number is null then
        return null;
    end if;
    select t.id into child from rework.task t
     where t.parent = schedule_child.parent and t.parent_run = schedule_child.run
       and t.parent_number = schedule_child.number;
    if found then
        return child;
    end if;
    return rework.add_task(rework.operation_named(schedule_child.operation, schedule_child.domain),
                           schedule_child.input, schedule_child.input_bytes, null, schedule_child.priority,
                           schedule_child.delayed_until, null, null, null,
                           schedule_child.parent, schedule_child.run, schedule_child.number);
end $$;

-- notify_ready: notifies monitors that a task of a domain is ready, if a live monitor has an idle worker there.
-- Otherwise it does not: NOTIFY makes the commits of the whole server wait for each other, and busy workers find
-- the task by themselves.
create function rework.notify_ready(domain text) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    perform pg_notify('rework', 'ready ' || notify_ready.domain)
      where exists (select from rework.monitor m
                     where m.finished_at is null and notify_ready.domain = any (m.idle_domains));
end $$;

revoke all on function rework.notify_ready, rework.add_task, rework.schedule, rework.schedule_child from public;
