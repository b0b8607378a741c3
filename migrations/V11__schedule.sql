-- schedule, schedule_many: insert tasks, from any language, within the caller's own transaction. The functions run
-- with the rights of their owner, so a role that may call them needs no right on any table. docs/sql.md is their
-- manual.
--
-- unique_key: if a task of the operation already has this key, its id is returned and nothing is scheduled. A task
-- keeps its key after its end, until it is deleted.
--
-- parent, parent_run, parent_number: identify the request if the code of a task schedules another task. A request
-- that is sent again returns the id of the task that the first one made.
--
-- Errors have their own SQLSTATEs: RW404 operation not registered, RW300 ambiguous domain, RW413 input too large, RW400
-- invalid argument. `schedule` and `schedule_many` raise all four.

-- operation_named: returns the registered operation with this name, in this domain (null: in any, if only one has it).
-- Raises RW404 if there is none, and RW300 if the domain is null and several domains have one.
create function rework.operation_named(operation text, domain text) returns rework.operation
language plpgsql stable security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    domains        text[];
    operation_row  rework.operation;
begin
    select array_agg(o.domain order by o.domain) into domains
      from rework.operation o
     where o.name = operation_named.operation and o.unregistered_at is null
       and (operation_named.domain is null or o.domain = operation_named.domain);
    if domains is null and operation_named.domain is null then
        raise exception 'operation `%` is not registered', operation_named.operation
            using errcode = 'RW404', hint = 'see `rework list-operations`';
    elsif domains is null then
        raise exception 'operation `%` is not registered in domain `%`',
                operation_named.operation, operation_named.domain
            using errcode = 'RW404', hint = 'see `rework list-operations`';
    elsif cardinality(domains) > 1 then
        raise exception 'operation `%` is registered in several domains: %',
                operation_named.operation, array_to_string(domains, ', ')
            using errcode = 'RW300',
                  hint = format('choose one: `--domain %s`, or domain => %L in SQL', domains[1], domains[1]);
    end if;
    select o.* into operation_row from rework.operation o
     where o.name = operation_named.operation and o.domain = domains[1];
    return operation_row;
end $$;

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
-- the indexes at which the other one has an input. Returns the ids in the order of the inputs. Raises the errors that
-- are listed at the start of this file.
create function rework.schedule_many(
    operation      text,
    inputs         json[],
    domain         text default null,
    host           text default null,
    priority       integer default null,     -- null: as the operation declares
    delayed_until  timestamptz default null,
    metadata       json default null,
    capabilities   text[] default '{}',
    inputs_bytes   bytea[] default null
) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    op            rework.operation := rework.operation_named(schedule_many.operation, schedule_many.domain);
    lane          integer := rework.lane_for(op, schedule_many.host, schedule_many.capabilities);
    is_delayed    boolean := coalesce(schedule_many.delayed_until > now(), false);
    -- Values that are the same for all rows are computed once.
    operation_id  bigint := op.id;
    state         text := case when is_delayed then 'delayed' else 'queued' end;
    ready_at      timestamptz := case when is_delayed then schedule_many.delayed_until end;
    priority      integer := coalesce(schedule_many.priority, op.priority);
begin
    if exists (select from unnest(inputs) i where octet_length(i::text) > 104857600)
       or exists (select from unnest(inputs_bytes) i where octet_length(i) > 104857600) then
        raise exception 'an input for `%` is larger than 100 MiB', op.name
            using errcode = 'RW413', hint = 'store it elsewhere, and pass its location as the input';
    end if;
    if priority not between -32768 and 32767 then
        raise exception 'priority % is not between -32768 and 32767', priority using errcode = 'RW400';
    end if;
    if inputs_bytes is not null
       and exists (select from unnest(inputs, inputs_bytes) as given (i, b) where i is not null and b is not null) then
        raise exception 'a task of `%` has an input in both `inputs` and `inputs_bytes`', op.name
            using errcode = 'RW400', hint = 'leave one of the two null for each task';
    end if;
    -- The arrays are unnested in the select list, not in `from`: then rows go straight from the arrays into the table,
    -- in their order, and ids and positions ascend.
    return query
        insert into rework.task (operation, lane, state, priority, host, capabilities, delayed_until, metadata,
                                 input, input_bytes)
        select operation_id, lane, state, priority, schedule_many.host, schedule_many.capabilities, ready_at,
               schedule_many.metadata, unnest(inputs), unnest(inputs_bytes)
        returning id;
    if found and not is_delayed then
        perform rework.notify_ready(op.domain);
    end if;
end $$;

-- schedule: schedules one task. Returns its id, or the id of the existing task with this unique_key, or of the one that
-- this parent, parent_run and parent_number have made. Raises the errors that are listed at the start of this file.
create function rework.schedule(
    operation      text,
    input          json default null,
    domain         text default null,
    host           text default null,
    priority       integer default null,     -- null: as the operation declares
    delayed_until  timestamptz default null,
    unique_key     text default null,
    metadata       json default null,
    capabilities   text[] default '{}',
    input_bytes    bytea default null,
    parent         bigint default null,
    parent_run     bigint default null,
    parent_number  integer default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    op          rework.operation := rework.operation_named(schedule.operation, schedule.domain);
    lane        integer := rework.lane_for(op, schedule.host, schedule.capabilities);
    is_delayed  boolean := coalesce(schedule.delayed_until > now(), false);
    priority    integer := coalesce(schedule.priority, op.priority);
    task_id     bigint;
begin
    if octet_length(schedule.input::text) > 104857600 or octet_length(schedule.input_bytes) > 104857600 then
        raise exception 'the input for `%` is larger than 100 MiB', op.name
            using errcode = 'RW413', hint = 'store it elsewhere, and pass its location as the input';
    end if;
    if schedule.input is not null and schedule.input_bytes is not null then
        raise exception 'both `input` and `input_bytes` are given for `%`', op.name
            using errcode = 'RW400', hint = 'give only one of the two';
    end if;
    if priority not between -32768 and 32767 then
        raise exception 'priority % is not between -32768 and 32767', priority using errcode = 'RW400';
    end if;
    loop
        insert into rework.task (operation, lane, state, priority, host, capabilities, delayed_until,
                                 input, input_bytes, unique_key, metadata, parent, parent_run, parent_number)
        values (op.id, lane, case when is_delayed then 'delayed' else 'queued' end, priority,
                schedule.host, schedule.capabilities, case when is_delayed then schedule.delayed_until end,
                schedule.input, schedule.input_bytes, schedule.unique_key, schedule.metadata,
                schedule.parent, schedule.parent_run, schedule.parent_number)
        on conflict do nothing
        returning id into task_id;
        if task_id is not null then
            if not is_delayed then
                perform rework.notify_ready(op.domain);
            end if;
            return task_id;
        end if;
        select t.id into task_id from rework.task t
         where t.operation = op.id and t.unique_key = schedule.unique_key
            or t.parent = schedule.parent and t.parent_run = schedule.parent_run
               and t.parent_number = schedule.parent_number;
        if task_id is not null then
            return task_id;
        end if;
        -- The conflicting task was deleted between the two statements: try again.
    end loop;
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

revoke all on function rework.operation_named, rework.lane_for, rework.notify_ready,
    rework.schedule, rework.schedule_many from public;
