-- schedule, schedule_many, schedule_child: insert tasks, from any language, within the caller's own transaction. The
-- functions run with the rights of their owner, so a role that may call them needs no right on any table. docs/sql.md
-- is the manual of the first two. Workers call the third one.
--
-- unique_key: if a task of the operation already has this key, its id is returned and nothing is scheduled. A task
-- keeps its key after its end, until it is deleted.
--
-- retry: the retry policy of the task (V14__retry_policy.sql). It replaces that of the operation.
--
-- delayed_until: the task is not ready before. With `infinity` it has no time: it waits until somebody retries it.
--
-- after: the tasks that must end before. after_failure: what happens if one of them is not `done`: `abort` this task,
-- or `run` it all the same. See V21__run_before.sql.
--
-- Errors have their own SQLSTATEs: RW404 operation not registered, RW300 ambiguous domain, RW413 value too large, RW400
-- value makes no sense. The three functions raise all four.

-- lane_for: returns the lane (V06) of tasks of this operation that need this host and these capabilities. Makes the
-- lane if it does not exist. Raises RW400 if the domain or the operation has too many lanes.
create function rework.lane_for(operation rework.operation, host text, capabilities text[]) returns integer
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    needs    text[] := array(select distinct c from unnest(lane_for.capabilities) c order by c);
    is_kept  boolean := coalesce(lane_for.host, '') = '' and needs = '{}';   -- whether the lane is never swept
    lane     integer;
begin
    -- The insert does nothing if a concurrent transaction made the lane, or if another lane has the number that the
    -- trigger chose. Each round tries the next number; 16384 rounds try all numbers that the trigger can choose.
    for number in 1 .. 16384 loop
        if is_kept then
            select l.id into lane from rework.lane l
             where l.operation = (lane_for.operation).id and coalesce(l.host, '') = '' and l.capabilities = '{}';
        else
            -- Other lanes are swept when no task needs them (`sweep_lanes`, V06). The lock keeps this one until the
            -- caller's transaction has ended. Then its task is visible.
            select l.id into lane from rework.lane l
             where l.operation = (lane_for.operation).id and coalesce(l.host, '') = coalesce(lane_for.host, '')
               and l.capabilities = needs
               for key share;
        end if;
        if found then
            return lane;
        end if;
        insert into rework.lane (domain, operation, host, capabilities)
        values ((lane_for.operation).domain, (lane_for.operation).id, lane_for.host, needs)
        on conflict do nothing;
    end loop;
    raise exception 'domain `%` has too many combinations of operation, host and capabilities',
            (lane_for.operation).domain
        using errcode = 'RW400', hint = 'register some of its operations in another domain';
end $$;

-- schedule_many: schedules one task for each input, as JSON or as bytes. If both arrays are given, each has a null at
-- the indexes at which the other one has an input. `inputs` is an array of json, jsonb or text, or null. Returns the
-- ids in the order of the inputs. Raises the errors that are listed at the start of this file.
create function rework.schedule_many(
    operation      text,
    inputs         anycompatible,
    domain         text default null,
    host           text default null,
    priority       integer default null,     -- null: as the operation declares
    delayed_until  timestamptz default null,
    metadata       json default null,
    capabilities   text[] default '{}',      -- null: none
    inputs_bytes   bytea[] default null,
    retry          json default null,        -- null: as the operation declares
    after          bigint[] default null,
    after_failure  text default 'abort'
) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    op            rework.operation := rework.operation_named(schedule_many.operation, schedule_many.domain);
    is_delayed    boolean := coalesce(schedule_many.delayed_until > now(), false);
    -- Values that are the same for all rows are computed once.
    json_inputs   json[] := schedule_many.inputs::json[];
    needs         text[] := coalesce(schedule_many.capabilities, '{}');
    operation_id  bigint := op.id;
    state         text := case when is_delayed then 'delayed' else 'queued' end;
    ready_at      timestamptz := case when is_delayed and isfinite(schedule_many.delayed_until)
                                      then schedule_many.delayed_until end;
    priority      integer := coalesce(schedule_many.priority, op.priority);
    policy        json := case when schedule_many.retry is not null
                                  then rework.checked_retry(op.name, schedule_many.retry) end;
    is_followed   boolean := op.run_after <> '{}' or op.on_failure <> '{}';
    lane          integer;
    fault         text;
    ids           bigint[];
begin
    if exists (select from unnest(json_inputs) i where octet_length(i::text) > 104857600)
       or exists (select from unnest(inputs_bytes) i where octet_length(i) > 104857600) then
        raise exception 'an input for `%` is larger than 100 MiB', op.name
            using errcode = 'RW413', hint = 'store it elsewhere, and pass its location as the input';
    end if;
    select rework.json_fault(i::text) into fault
      from unnest(json_inputs) i where rework.json_fault(i::text) is not null limit 1;
    if found then
        raise exception 'an input for `%` %', op.name, fault
            using errcode = 'RW400', hint = 'pass JSON that every program can read, or bytes';
    end if;
    if priority not between -32768 and 32767 then
        raise exception 'priority % is not between -32768 and 32767', priority using errcode = 'RW400';
    end if;
    if inputs_bytes is not null
       and exists (select from unnest(json_inputs, inputs_bytes) as given (i, b)
                    where i is not null and b is not null) then
        raise exception 'a task of `%` has an input in both `inputs` and `inputs_bytes`', op.name
            using errcode = 'RW400', hint = 'leave one of the two null for each task';
    end if;
    perform rework.check_options(op.name, schedule_many.host, schedule_many.delayed_until, null,
                                 schedule_many.metadata, needs);
    lane := rework.lane_for(op, schedule_many.host, needs);
    -- The arrays are unnested in the select list, not in `from`: then rows go straight from the arrays into the table,
    -- in their order, and ids and positions ascend.
    with inserted as (
        insert into rework.task (operation, lane, state, priority, host, capabilities, delayed_until, metadata,
                                 input, input_bytes, retry, followed)
        select operation_id, lane, state, priority, schedule_many.host, needs, ready_at,
               schedule_many.metadata, unnest(json_inputs), unnest(inputs_bytes), policy, is_followed
        returning id
    )
    select array_agg(id) into ids from inserted;
    if ids is null then
        return;
    end if;
    if cardinality(schedule_many.after) > 0 or op.run_before <> '{}' then
        perform rework.wait_before(ids, op, schedule_many.after, schedule_many.after_failure);
    end if;
    if not is_delayed then
        perform rework.notify_ready(op.domain);
    end if;
    return query select unnest(ids);
end $$;

-- add_task: inserts one task. The parameters are those of `schedule`, except that the input is text. A parent, the run
-- of the parent and a number within that run identify the request of a run. Returns the id of the task, or that of the
-- existing task with this unique_key or of this request.
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
    after_failure  text default 'abort'
) returns bigint
language plpgsql as $$
#variable_conflict use_column
declare
    needs       text[] := coalesce(add_task.capabilities, '{}');
    is_delayed  boolean := coalesce(add_task.delayed_until > now(), false);
    ready_at    timestamptz := case when is_delayed and isfinite(add_task.delayed_until)
                                    then add_task.delayed_until end;
    priority    integer := coalesce(add_task.priority, op.priority);
    policy      json := case when add_task.retry is not null then rework.checked_retry(op.name, add_task.retry) end;
    fault       text;
    lane        integer;
    task_id     bigint;
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
    lane := rework.lane_for(op, add_task.host, needs);
    loop
        insert into rework.task (operation, lane, state, priority, host, capabilities, delayed_until,
                                 input, input_bytes, unique_key, metadata, parent, parent_run, parent_number,
                                 retry, followed)
        values (op.id, lane, case when is_delayed then 'delayed' else 'queued' end, priority,
                add_task.host, needs, ready_at, add_task.input::json, add_task.input_bytes, add_task.unique_key,
                add_task.metadata, add_task.parent, add_task.parent_run, add_task.parent_number, policy,
                op.run_after <> '{}' or op.on_failure <> '{}')
        on conflict do nothing
        returning id into task_id;
        if task_id is not null then
            if cardinality(add_task.after) > 0 or op.run_before <> '{}' then
                perform rework.wait_before(array[task_id], op, add_task.after, add_task.after_failure);
            end if;
            if not is_delayed then
                perform rework.notify_ready(op.domain);
            end if;
            return task_id;
        end if;
        select t.id into task_id from rework.task t
         where t.operation = op.id and t.unique_key = add_task.unique_key
            or t.parent = add_task.parent and t.parent_run = add_task.parent_run
               and t.parent_number = add_task.parent_number;
        if task_id is not null then
            return task_id;
        end if;
        -- The conflicting task was deleted between the two statements: try again.
    end loop;
end $$;

-- schedule: schedules one task. Returns its id, or the id of the existing task with this unique_key. Raises the errors
-- that are listed at the start of this file. `input` is json, jsonb or text: a literal without a type is text.
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
    after          bigint[] default null,
    after_failure  text default 'abort'      -- null: `abort`
) returns bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    return rework.add_task(rework.operation_named(schedule.operation, schedule.domain), schedule.input::text,
                           schedule.input_bytes, schedule.host, schedule.priority, schedule.delayed_until,
                           schedule.unique_key, schedule.metadata, schedule.capabilities,
                           retry => schedule.retry, after => schedule.after,
                           after_failure => schedule.after_failure);
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
language sql security definer set search_path = pg_catalog, rework, pg_temp as $$
    select pg_notify('rework', 'ready ' || notify_ready.domain)
     where exists (select from rework.monitor m
                    where m.finished_at is null and notify_ready.domain = any (m.idle_domains))
$$;

revoke all on function rework.lane_for, rework.notify_ready, rework.add_task, rework.schedule, rework.schedule_many,
    rework.schedule_child from public;
