-- schedule, schedule_many: put tasks in the queue, from any language, in the caller's own
-- transaction. A role that may call them needs no right on any table.
--
-- If a task of the operation already has this unique_key, its id is returned and nothing is scheduled. A task keeps its key after its
-- end, until it is deleted.
-- parent, parent_run and parent_number are of the task that schedules, where one does.
--
-- SQLSTATEs of their own: RW404 operation not registered, RW300 ambiguous domain, RW413 input too
-- large, RW400 an argument that cannot be.

create function rework.operation_named(operation text, domain text) returns rework.operation
language plpgsql stable security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    found    rework.operation;
    domains  text[];
begin
    select array_agg(o.domain order by o.domain) into domains
      from rework.operation o
     where o.name = operation_named.operation and o.unregistered_at is null
       and (operation_named.domain is null or o.domain = operation_named.domain);
    if domains is null and operation_named.domain is null then
        raise exception 'operation `%` is not registered', operation_named.operation
            using errcode = 'RW404', hint = 'see `rework list-operations`';
    elsif domains is null then
        raise exception 'operation `%` is not registered in domain `%`', operation_named.operation, operation_named.domain
            using errcode = 'RW404', hint = 'see `rework list-operations`';
    elsif cardinality(domains) > 1 then
        raise exception 'operation `%` is registered in several domains: %', operation_named.operation, array_to_string(domains, ', ')
            using errcode = 'RW300', hint = format('name one: `--domain %s`, or domain => %L in SQL', domains[1], domains[1]);
    end if;
    select o.* into found from rework.operation o
     where o.name = operation_named.operation and o.domain = domains[1];
    return found;
end $$;

create function rework.lane_for(operation rework.operation, host text, capabilities text[]) returns integer
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    needs  text[] := array(select distinct c from unnest(lane_for.capabilities) c order by c);
    lane   integer;
begin
    -- A number that another lane has is followed by the next one.
    for number in 1 .. 16384 loop
        select l.id into lane from rework.lane l
         where l.operation = (lane_for.operation).id and coalesce(l.host, '') = coalesce(lane_for.host, '')
           and l.capabilities = needs;
        if found then
            return lane;
        end if;
        insert into rework.lane (domain, operation, host, capabilities)
        values ((lane_for.operation).domain, (lane_for.operation).id, lane_for.host, needs)
        on conflict do nothing;
    end loop;
    raise exception 'no further operation, host or capability can be told apart in domain `%`', (lane_for.operation).domain
        using errcode = 'RW400', hint = 'put some of its operations into another domain';
end $$;

-- One task for each input, of JSON or of bytes: where both lists are given, each has a null where the
-- other has none. The list is unrolled beside the constants, not joined as a table, so that rows go
-- straight from the array into the table, in its order: positions and ids ascend.
create function rework.schedule_many(
    operation      text,
    inputs         json[],
    domain         text default null,
    host           text default null,
    priority       integer default null,     -- as the operation says
    delayed_until  timestamptz default null,
    metadata       json default null,
    capabilities   text[] default '{}',
    inputs_bytes   bytea[] default null
) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    op    rework.operation := rework.operation_named(schedule_many.operation, schedule_many.domain);
    lane  integer := rework.lane_for(op, schedule_many.host, schedule_many.capabilities);
    late  boolean := coalesce(schedule_many.delayed_until > now(), false);
    -- What is the same for all rows is worked out once.
    own   bigint := op.id;
    state text := case when late then 'delayed' else 'queued' end;
    until timestamptz := case when late then schedule_many.delayed_until end;
    priority integer := coalesce(schedule_many.priority, op.priority);
begin
    if exists (select from unnest(inputs) i where octet_length(i::text) > 104857600)
       or exists (select from unnest(inputs_bytes) i where octet_length(i) > 104857600) then
        raise exception 'an input for `%` is larger than 100 MiB', op.name
            using errcode = 'RW413', hint = 'keep it elsewhere, and schedule where it is';
    end if;
    if priority not between -32768 and 32767 then
        raise exception 'priority % is not between -32768 and 32767', priority using errcode = 'RW400';
    end if;
    if inputs_bytes is not null
       and exists (select from unnest(inputs, inputs_bytes) as given (i, b) where i is not null and b is not null) then
        raise exception 'an input and an input of bytes for one task of `%`: give one of the two', op.name using errcode = 'RW400';
    end if;
    return query
        insert into rework.task (operation, lane, state, priority, host, capabilities, delayed_until, metadata,
                                 input, input_bytes)
        select own, lane, state, priority, schedule_many.host, schedule_many.capabilities, until,
               schedule_many.metadata, unnest(inputs), unnest(inputs_bytes)
        returning id;
    if found and not late then
        perform rework.hint_ready(op.domain);
    end if;
end $$;

create function rework.schedule(
    operation      text,
    input          json default null,
    domain         text default null,
    host           text default null,
    priority       integer default null,     -- as the operation says
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
    op    rework.operation := rework.operation_named(schedule.operation, schedule.domain);
    lane  integer := rework.lane_for(op, schedule.host, schedule.capabilities);
    late  boolean := coalesce(schedule.delayed_until > now(), false);
    priority integer := coalesce(schedule.priority, op.priority);
    task  bigint;
begin
    if octet_length(schedule.input::text) > 104857600 or octet_length(schedule.input_bytes) > 104857600 then
        raise exception 'the input for `%` is larger than 100 MiB', op.name
            using errcode = 'RW413', hint = 'keep it elsewhere, and schedule where it is';
    end if;
    if schedule.input is not null and schedule.input_bytes is not null then
        raise exception 'input and input_bytes for `%`: give one of the two', op.name using errcode = 'RW400';
    end if;
    if priority not between -32768 and 32767 then
        raise exception 'priority % is not between -32768 and 32767', priority using errcode = 'RW400';
    end if;
    loop
        insert into rework.task (operation, lane, state, priority, host, capabilities, delayed_until,
                                 input, input_bytes, unique_key, metadata, parent, parent_run, parent_number)
        values (op.id, lane, case when late then 'delayed' else 'queued' end, priority,
                schedule.host, schedule.capabilities, case when late then schedule.delayed_until end,
                schedule.input, schedule.input_bytes, schedule.unique_key, schedule.metadata,
                schedule.parent, schedule.parent_run, schedule.parent_number)
        on conflict do nothing
        returning id into task;
        if task is not null then
            if not late then
                perform rework.hint_ready(op.domain);
            end if;
            return task;
        end if;
        select t.id into task from rework.task t
         where t.operation = op.id and t.unique_key = schedule.unique_key
            or t.parent = schedule.parent and t.parent_run = schedule.parent_run
               and t.parent_number = schedule.parent_number;
        if task is not null then
            return task;
        end if;
        -- The other one was deleted between the statements: try again.
    end loop;
end $$;

-- A notification only where a live monitor wants it: NOTIFY takes one lock for the whole server.
create function rework.hint_ready(domain text) returns void
language sql security definer set search_path = pg_catalog, rework, pg_temp as $$
    select pg_notify('rework', 'ready ' || hint_ready.domain)
     where exists (select from rework.monitor m
                    where m.finished_at is null and hint_ready.domain = any (m.wants))
$$;

revoke all on function rework.operation_named, rework.lane_for, rework.hint_ready,
    rework.schedule, rework.schedule_many from public;
