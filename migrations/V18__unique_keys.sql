-- unique keys: of the tasks of an operation, one at a time has a key. `rework.add_task` (V11) calls the functions of
-- this file when a task with a key is scheduled. V11 explains the parameters, docs/sql.md is the manual.
--
-- Only scheduling reads and writes the table `key_holder`. If another task has the key, scheduling reads the state of
-- that task. If the task does not keep the key any more, by the rule that it was scheduled with (`holds`), the new task
-- takes the key. So an end, a retry, or a task that becomes due changes nothing here, and cannot fail because of a key.
--
-- Locks. Taking a key locks the row of the key, and not the other task, which may be running. So an open transaction
-- that has scheduled a task with a key delays those who schedule the same key, and nobody else. `replace_task` also
-- locks the task that it changes. No worker has claimed that task, and claims skip it until the transaction ends.
-- `schedule_many_once` (V23) takes keys in their order, so that two calls with the same keys do not deadlock.

create table rework.key_holder (
    operation      bigint not null,
    key            text not null,
    task           bigint not null,         -- the last task that took the key; it may have been deleted
    unique_while   text not null,           -- `exists`, `unfinished` or `queued`
    until          timestamptz,             -- when the task loses the key at the latest; null: no such time
    primary key (operation, key)
) with (fillfactor = 80);                   -- room for in-page updates

-- holds: returns whether a task keeps its unique key. `state` is its state, null if it was deleted.
create function rework.holds(state text, unique_while text, until timestamptz, now timestamptz) returns boolean
language sql immutable as $$
    select holds.state is not null
           and coalesce(holds.now < holds.until, true)
           and case holds.unique_while
                   when 'unfinished' then holds.state not in ('done', 'failed', 'aborted', 'lost')
                   when 'queued' then holds.state not in ('running', 'aborting', 'done', 'failed', 'aborted', 'lost')
                   else true
               end
$$;

-- check_unique: checks the options about a unique key. Returns true. Raises RW400 if one makes no sense.
create function rework.check_unique(
    operation      text,
    unique_key     text,
    unique_while   text,
    unique_for     interval,
    on_conflict    text,
    debounce       interval,
    at_most        interval,
    delayed_until  timestamptz
) returns boolean
language plpgsql as $$
declare
    fault  text[] := case    -- the fault, and what to do
        when check_unique.unique_key is null then
            array['it has options about its unique key, but no unique key',
                  'pass `unique_key`, or none of `unique_while`, `unique_for`, `on_conflict`, `debounce`, `at_most`']
        when check_unique.unique_while not in ('exists', 'unfinished', 'queued') then
            array[format('`unique_while` is `%s`', left(check_unique.unique_while, 60)),
                  'pass `exists`, `unfinished` or `queued`']
        when check_unique.on_conflict not in ('keep', 'replace') then
            array[format('`on_conflict` is `%s`', left(check_unique.on_conflict, 60)), 'pass `keep` or `replace`']
        when check_unique.debounce is not null and check_unique.on_conflict = 'keep' then
            array['`debounce` replaces the task that has the key, but `on_conflict` is `keep`',
                  'leave out one of the two']
        when check_unique.debounce is not null and check_unique.delayed_until is not null then
            array['both `debounce` and `delayed_until` say when it starts', 'leave out one of the two']
        when check_unique.at_most is not null and check_unique.debounce is null then
            array['`at_most` limits `debounce`, which is not given', 'pass both, or `delayed_until`']
        else (
            select array[format('`%s` is not a time of more than 0 s and at most 1000 years', given.name),
                         'pass a time such as `5 minutes`, or leave it out']
              from (values ('unique_for', check_unique.unique_for), ('debounce', check_unique.debounce),
                           ('at_most', check_unique.at_most)) as given (name, length)
             where given.length <= interval '0' or given.length > interval '1000 years'
             limit 1)
    end;
begin
    if fault is not null then
        raise exception 'a task of `%` is refused: %', check_unique.operation, fault[1]
            using errcode = 'RW400', hint = fault[2];
    end if;
    return true;
end $$;

-- take_key: gives a key to `new_task`, unless a task keeps it. Returns the task that has the key then, and its state
-- (null for `new_task`). Waits while another transaction that has taken the key is open.
create function rework.take_key(
    operation      bigint,
    key            text,
    new_task       bigint,
    unique_while   text,
    unique_for     interval,
    out task       bigint,
    out state      text
)
language plpgsql as $$
#variable_conflict use_column
declare
    holder  record;
begin
    loop
        -- A waiting task that awaits nothing is a flow, which a worker has claimed before.
        select h.task, h.unique_while, h.until,
               case when t.state = 'waiting' and t.awaits = 0 then 'running' else t.state::text end as state into holder
          from rework.key_holder h
          left join rework.task t on t.id = h.task
         where h.operation = take_key.operation and h.key = take_key.key;
        if not found then
            insert into rework.key_holder (operation, key, task, unique_while, until)
            values (take_key.operation, take_key.key, take_key.new_task, take_key.unique_while,
                    now() + take_key.unique_for)
            on conflict do nothing;
        elsif rework.holds(holder.state, holder.unique_while, holder.until, clock_timestamp()) then
            task := holder.task;
            state := holder.state;
            return;
        else
            update rework.key_holder h
               set task = take_key.new_task, unique_while = take_key.unique_while, until = now() + take_key.unique_for
             where h.operation = take_key.operation and h.key = take_key.key and h.task = holder.task;
        end if;
        -- Otherwise another transaction has taken the key, or the row was deleted: read again.
        if found then
            task := take_key.new_task;
            return;
        end if;
    end loop;
end $$;

-- replace_task: gives a task the input, the priority, the metadata and the time of a new request. Returns false and
-- changes nothing if a worker has claimed the task, or if it has ended. A task that waits for its next attempt keeps
-- the time of that attempt. Such a task has the reason of its last run, which may have used no attempt. A task that
-- waits for other tasks still does so, and gets the new time. Raises RW400 if that is `infinity`. A task that becomes
-- ready, or changes its priority, is queued last.
create function rework.replace_task(
    task           bigint,
    domain         text,
    input          json,
    input_bytes    bytea,
    priority       integer,
    metadata       json,
    delayed_until  timestamptz,
    debounce       interval,
    at_most        interval
) returns boolean
language plpgsql as $$
#variable_conflict use_column
declare
    due         timestamptz := replace_task.delayed_until;
    is_delayed  boolean;
    new_state   text;
begin
    if replace_task.debounce is not null then
        select least(now() + replace_task.debounce, t.queued_at + replace_task.at_most) into due
          from rework.task t
         where t.id = replace_task.task;
    end if;
    is_delayed := coalesce(due > now(), false);
    update rework.task t
       set input = replace_task.input, input_bytes = replace_task.input_bytes, priority = replace_task.priority,
           metadata = replace_task.metadata,
           state = case when t.state = 'waiting' then t.state
                        when t.attempt > 0 or t.state = 'delayed' and t.reason is not null then t.state
                        when is_delayed then 'delayed' else 'queued' end,
           delayed_until = case when t.attempt > 0 or t.state = 'delayed' and t.reason is not null then t.delayed_until
                                when is_delayed and isfinite(due) then due end,
           reason = case when t.attempt > 0 or t.state = 'delayed' and t.reason is not null then t.reason end,
           position = case when t.priority = replace_task.priority and (t.state <> 'delayed' or is_delayed)
                           then t.position else nextval('rework.position') end
     where t.id = replace_task.task and rework.holds(t.state, 'queued', null, now())
       and not (t.state = 'waiting' and t.awaits = 0)
    returning t.state into new_state;
    if new_state = 'queued' then
        perform rework.notify_ready(replace_task.domain);
    elsif new_state = 'waiting' and due = 'infinity' then
        raise exception 'task % is not replaced: it waits for other tasks, and cannot be delayed until `infinity`',
                replace_task.task
            using errcode = 'RW400', hint = 'leave out `delayed_until`, or pass another time';
    end if;
    return new_state is not null;
end $$;

-- schedule_once: schedules one task, unless a task has its unique key. Returns the task, whether this call has created
-- it, its state, and since when it has this state. Without `created`, the existing task was replaced if that was
-- requested and if its state is `delayed`, `waiting` or `queued`. Raises the errors that are listed at the start of
-- V11.
create function rework.schedule_once(
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
) returns table (
    task           bigint,
    created        boolean,
    state          text,
    since          timestamptz
)
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
declare
    op        rework.operation := rework.operation_named(schedule_once.operation, schedule_once.domain);
    new_task  bigint := nextval('rework.task_id_seq');
begin
    loop
        task := rework.add_task(op, schedule_once.input::text, schedule_once.input_bytes, schedule_once.host,
                                schedule_once.priority, schedule_once.delayed_until, schedule_once.unique_key,
                                schedule_once.metadata, schedule_once.capabilities, retry => schedule_once.retry,
                                after => schedule_once.after, after_failure => schedule_once.after_failure,
                                unique_while => schedule_once.unique_while, unique_for => schedule_once.unique_for,
                                on_conflict => schedule_once.on_conflict, debounce => schedule_once.debounce,
                                at_most => schedule_once.at_most, new_task => new_task);
        select t.state::text, coalesce(t.finished_at, t.started_at, t.queued_at) into state, since
          from rework.task t
         where t.id = schedule_once.task;
        exit when found;    -- otherwise it was deleted just now, and the key is free
    end loop;
    created := task = new_task;
    return next;
end $$;

revoke all on function rework.holds, rework.check_unique, rework.take_key, rework.replace_task, rework.schedule_once
    from public;
