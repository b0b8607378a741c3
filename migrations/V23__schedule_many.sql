-- schedule_many, schedule_many_once: insert many tasks of one operation. V11__schedule.sql explains the parameters and
-- the errors, docs/sql.md is the manual.

-- schedule_many: schedules one task for each input, as JSON or as bytes. If both arrays are given, each has a null at
-- the indexes at which the other one has an input. `inputs` is an array of json, jsonb or text, or null. Returns the
-- ids in the order of the inputs. Raises the errors that are listed at the start of V11.
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
    if cardinality(schedule_many.after) > 0 or op.run_before <> '{}' or schedule_many.after_failure <> 'abort' then
        perform rework.wait_before(ids, op, schedule_many.after, schedule_many.after_failure);
    end if;
    if not is_delayed then
        perform rework.notify_ready(op.domain);
    end if;
    return query select unnest(ids);
end $$;

-- schedule_many_once: schedules one task for each input, unless a task has its unique key. Returns a row for each
-- input, in their order, with the columns of `schedule_once`. Raises the errors of `schedule_once`, and RW400 if there
-- are not as many keys as inputs. The inputs are passed as to `schedule_many`.
create function rework.schedule_many_once(
    operation      text,
    inputs         anycompatible,
    unique_keys    text[],                   -- one for each input
    domain         text default null,
    host           text default null,
    priority       integer default null,     -- null: as the operation declares
    delayed_until  timestamptz default null,
    metadata       json default null,
    capabilities   text[] default '{}',      -- null: none
    inputs_bytes   bytea[] default null,
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
    json_inputs  json[] := schedule_many_once.inputs::json[];
    many         integer := coalesce(greatest(cardinality(schedule_many_once.inputs::json[]),
                                              cardinality(schedule_many_once.inputs_bytes)), 0);
    many_keys    integer := coalesce(cardinality(schedule_many_once.unique_keys), 0);
    given        record;
    answer       record;
    tasks        bigint[];      -- the answers, by the numbers of their inputs
    creations    boolean[];
    states       text[];
    times        timestamptz[];
begin
    if many_keys <> many
       or exists (select from unnest(schedule_many_once.unique_keys) as listed (key) where listed.key is null) then
        raise exception 'each task of `%` needs a unique key: there are % inputs and % keys, and none may be null',
                schedule_many_once.operation, many, many_keys
            using errcode = 'RW400', hint = 'pass as many keys as inputs, or call `rework.schedule_many`';
    end if;
    -- Keys are taken in one order, that of their bytes, so that two transactions do not deadlock. The Rust client, which
    -- splits long lists, sorts in the same way.
    for given in
        select listed.*
          from unnest(schedule_many_once.unique_keys, json_inputs, schedule_many_once.inputs_bytes)
               with ordinality as listed (key, input, input_bytes, number)
         order by listed.key collate "C", listed.number
    loop
        select once.task, once.created, once.state, once.since into answer
          from rework.schedule_once(
                schedule_many_once.operation, given.input, schedule_many_once.domain, schedule_many_once.host,
                schedule_many_once.priority, schedule_many_once.delayed_until, given.key,
                schedule_many_once.metadata, schedule_many_once.capabilities, given.input_bytes,
                schedule_many_once.retry, schedule_many_once.after, schedule_many_once.after_failure,
                schedule_many_once.unique_while, schedule_many_once.unique_for, schedule_many_once.on_conflict,
                schedule_many_once.debounce, schedule_many_once.at_most) as once;
        tasks[given.number] := answer.task;
        creations[given.number] := answer.created;
        states[given.number] := answer.state;
        times[given.number] := answer.since;
    end loop;
    return query select * from unnest(tasks, creations, states, times);
end $$;

revoke all on function rework.schedule_many, rework.schedule_many_once from public;
