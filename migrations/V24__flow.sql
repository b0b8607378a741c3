-- flow: a task whose code returns a plan, which then runs as other tasks. docs/flows.md is the manual. The crate
-- crates/flow compiles the plan; from then on it is data, and the functions of V24 to V32 carry it out. They run in
-- the transaction that records the end of a task, whoever records it.
--
--   V24  the tables, and the values that steps pass on
--   V25  the tasks of steps
--   V26  forward: steps that become ready
--   V27  backward: what is undone after a failure, and in which order
--   V28  what failures and the answers of controllers mean
--   V29  advance: what the ends of tasks mean for their flows
--   V30  a plan becomes a flow, and how a flow ends
--   V31  abort, and what a lock has kept from being done
--   V32  retry
--
-- Words
--   flow        a task that has a plan. It is `waiting` (or `aborting`) while its steps run, and no worker has it
--   step        a row of the plan. What it does is done by tasks: one that executes it, one that reverts it
--   scope       a pattern of the plan, with its controller. Its steps, nested ones too, have adjacent numbers. Scope 0
--               is the whole flow
--   gate        a step without code, at the start (`enter`) and at the end (`exit`) of a scope. With gates, the number
--               of edges grows with the number of steps, and not with its square
--   controller  it decides, after a step of its scope has failed, whether the scope is tried again
--   round       one try of a scope
--
-- Locks. A transaction first locks the tasks that it ends, by ascending id, then their edges and successors (V20), then
-- the flows of these tasks, youngest first, then the flows' own tasks. In the other direction, from a flow to the tasks
-- of its steps, `skip locked` is used: nobody waits. `flow.missed` says that a lock has kept something from being done,
-- and the poll of a monitor repeats it.

create table rework.flow (
    id           bigint primary key,        -- the task that it is
    phase        text not null check (phase in ('executing', 'reverting', 'revert_failed', 'stopping',
                                                'done', 'reverted', 'stopped')),
    is_simple    boolean not null,          -- one scope without a controller, a condition or a gate; every failure reverts
    remaining    integer not null,          -- executing: steps that nothing follows and that are not over
                                            -- stopping: tasks that have not ended
    ends_as      text check (ends_as in ('failed', 'aborted')),    -- the state of its task when all is undone
    missed       boolean not null default false,    -- whether the next poll repeats what a lock has prevented
    priority     smallint not null,         -- of the tasks of its steps
    host         text,                      -- the only host that may run them; null: any
    capabilities text[] not null,           -- capabilities that their hosts must have
    failures     json not null default '[]',    -- the first 20 of these rounds: {step, task, kind, reason}
    returns      json,                      -- where its output comes from, as in `step.args`; null: it has none
    name         text not null,             -- of the pattern
    made_at      timestamptz not null default clock_timestamp(),
    ended_at     timestamptz
) with (fillfactor = 50);                   -- room for in-page updates

create index flow_open on rework.flow (id) where ended_at is null;
create index flow_missed on rework.flow (id) where missed;

create table rework.scope (
    flow             bigint not null,
    number           integer not null,
    outer_scope      integer,               -- null for scope 0
    first            integer not null,      -- its first and its last step
    last             integer not null,
    name             text not null,
    pattern          text not null,         -- `linear`, `unordered` or `graph`
    controller       text,                  -- `times`, `for_each`, `for_each_of`, `always_revert`, `always_revert_all`,
                                            -- `operation`; null: the scope around it decides
    attempts         integer,               -- of `times`
    "values"         json,                  -- of `for_each`; of `for_each_of` since it was entered
    values_from      json,                  -- where those of `for_each_of` come from
    operation        bigint,                -- of `operation`
    revert_all       boolean not null default false,    -- whether it reverts the whole flow when it gives up
    provides         text,                  -- the name of its value; null: it has none
    round            integer not null default 1,
    value            json,                  -- what it gives to the steps of this round
    history          json not null default '[]',    -- of `operation`: the last 1000 rounds, {value, failures}
    aim              text check (aim in ('retry', 'answer', 'revert')),    -- why its steps are being undone; null: they
                                            -- are not. `answer`: its controller decides
    remaining        integer,               -- number of its steps that are still to be undone
    controller_task  bigint,                -- the task that decides after a failure
    primary key (flow, number)
) with (fillfactor = 50);

create table rework.step (
    flow             bigint not null,
    number           integer not null,      -- a step has a greater number than those before it
    name             text not null,
    scope            integer not null,      -- the innermost one
    kind             text not null,         -- `task`, or a gate: `enter` or `exit`
    operation        bigint,
    undo_operation   bigint,                -- null: nothing has to be done to undo it
    before           integer[] not null,    -- the steps that it waits for
    after            integer[] not null,    -- the steps that wait for it
    args             json,                  -- where its input comes from; null: it has none
    condition        json,                  -- {sources, depth}: it is skipped if the value is false
    on_failure       text not null,         -- `revert`, `continue` or `stop`
    state            text not null,         -- pending, started, done, failed, skipped, reverting, reverted, revert_failed
    missing          integer not null,      -- number of steps in `before` that are not over; while its scope is being
                                            -- undone: number of steps in `after` that are not undone
    skip             boolean not null default false,    -- whether it will be skipped
    task             bigint,                -- that executes it
    undo_task        bigint,                -- that reverts it
    primary key (flow, number)
) with (fillfactor = 60);                   -- room for in-page updates, so no other index contains `state`

-- past: what earlier rounds have run, and what ran before a retry of the flow, for people.
create table rework.past (
    flow             bigint not null,
    id               bigint generated always as identity,
    step             text not null,
    scope            integer,               -- null: it ran before a retry of the flow
    round            integer not null,
    state            text not null,         -- of the step at the end of the round; `withdrawn`, before its task ran;
                                            -- `decided`: the task is one of the controller, and `step` names the scope
    task             bigint,
    undo_task        bigint,
    primary key (flow, id)
);

-- keep_step_tasks: keeps the tasks of steps while their flow exists. They are deleted with it.
create function rework.keep_step_tasks() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
begin
    return case when exists (select from rework.flow f where f.id = old.flow) then null else old end;
end $$;

create trigger keep_step_tasks before delete on rework.task
    for each row when (old.flow is not null) execute function rework.keep_step_tasks();

-- delete_flows: deletes the flows of deleted tasks, with the tasks of their steps and their logs.
create function rework.delete_flows() returns trigger
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
    set jit = off set plan_cache_mode = force_generic_plan as $$
declare
    flows  bigint[];
    tasks  bigint[];
begin
    select array_agg(deleted.id) into flows
      from deleted
      left join lateral (select true as is_found from rework.flow f where f.id = deleted.id offset 0) as f on true
      left join lateral (select true as is_found from rework.past p where p.flow = deleted.id limit 1) as p on true
     where f.is_found or p.is_found;
    if flows is null then
        return null;
    end if;
    delete from rework.flow f where f.id = any (flows);
    with steps as (delete from rework.step s where s.flow = any (flows) returning s.task, s.undo_task),
    past as (delete from rework.past p where p.flow = any (flows) returning p.task, p.undo_task),
    scopes as (delete from rework.scope s where s.flow = any (flows) returning s.controller_task)
    select array_agg(id) into tasks
      from (select unnest(array[s.task, s.undo_task]) as id from steps s
            union all select unnest(array[p.task, p.undo_task]) from past p
            union all select s.controller_task from scopes s) as made;
    -- One that runs although its flow has ended may be locked by a transaction that waits for the flow. It is deleted
    -- later, as a task without a flow.
    tasks := array(select t.id from rework.task t where t.id = any (tasks) order by t.id for update skip locked);
    delete from rework.task t where t.id = any (tasks);
    delete from rework.log l where l.task = any (tasks);
    return null;
end $$;

create trigger delete_flows after delete on rework.task
    referencing old table as deleted for each statement execute function rework.delete_flows();

-- json_at: returns the value at a path; null if there is none. Postgres reads no value of a JSON text that has the
-- character 0 anywhere. So its escape, after an even number of backslashes, is replaced by one that the text does not
-- contain, and put back afterwards.
create function rework.json_at(value json, path text[]) returns json
language plpgsql immutable set search_path = pg_catalog, rework, pg_temp as $$
declare
    spare  text;
begin
    if path = '{}' then
        return value;
    elsif strpos(value::text, '\u0000') = 0 then
        return value #> path;
    end if;
    for code in 57344..63743 loop    -- characters for private use
        spare := '\u' || to_hex(code);
        continue when strpos(lower(value::text), spare) > 0;
        return replace((regexp_replace(value::text, '(?<!\\)((\\\\)*)\\u0000', '\1' || replace(spare, '\', '\\'), 'g')
                        ::json #> path)::text, spare, '\u0000')::json;
    end loop;
    return null;
end $$;

-- first_value: returns the value of the first of these sources that has one; null if none has.
--   {"step": n, "path": […]}     in the output of a step that is done
--   {"scope": n, "path": […]}    in the value of a controller
--   {"input": key, "path": […]}  in the input of the flow
--   {"value": …}                 this value
create function rework.first_value(flow bigint, sources json) returns json
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
declare
    source  json;
    whole   json;
    path    text[];
    value   json;
begin
    for i in 0 .. json_array_length(sources) - 1 loop
        source := sources -> i;
        path := case when coalesce(source ->> 'path', '[]') = '[]' then '{}'
                     else array(select json_array_elements_text(source -> 'path')) end;
        if source -> 'step' is not null then
            -- The state of the task counts: the step is updated by the statement that calls this.
            select coalesce(t.output, 'null') into whole
              from rework.step s
              join rework.task t on t.id = s.task and t.state || '' = 'done'
             where s.flow = first_value.flow and s.number = (source ->> 'step')::integer;
        elsif source -> 'scope' is not null then
            select s.value into whole
              from rework.scope s
             where s.flow = first_value.flow and s.number = (source ->> 'scope')::integer;
        elsif source -> 'input' is not null then
            select case when json_typeof(t.input) = 'object' then t.input end into whole
              from rework.task t
             where t.id = first_value.flow;
            path := array_prepend(source ->> 'input', path);
        else
            whole := source -> 'value';
        end if;
        value := rework.json_at(whole, path);
        if value is not null then
            return value;
        end if;
    end loop;
    return null;
end $$;

-- step_input: returns the value that `args` describes: {"whole": sources}, or {"args": {name: sources}}, which leaves
-- out the arguments that have no value.
create function rework.step_input(flow bigint, args json) returns json
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
begin
    if args is null then
        return null;
    elsif args -> 'whole' is not null then
        return rework.first_value(step_input.flow, args -> 'whole');
    end if;
    return (
        select coalesce(json_object_agg(given.name, given.value order by given.number), '{}')
          from (select a.key as name, a.number,
                       coalesce(a.value -> 0 -> 'value', rework.first_value(step_input.flow, a.value)) as value
                  from json_each(args -> 'args') with ordinality as a (key, value, number)) as given
         where given.value is not null);
end $$;

-- is_truthy: returns whether a condition with this value is met: it is not null, false, 0, an empty text, list or object.
create function rework.is_truthy(value json) returns boolean
language sql immutable as $$
    select coalesce(
        case json_typeof(is_truthy.value)
            when 'null' then false
            when 'boolean' then btrim(is_truthy.value::text, E' \t\r\n') = 'true'
            when 'number' then btrim(is_truthy.value::text, E' \t\r\n') !~ '^-?0(\.0+)?([eE].*)?$'
            when 'string' then btrim(is_truthy.value::text, E' \t\r\n') <> '""'
            else btrim(is_truthy.value::text, E' \t\r\n') !~ '^[\[{]\s*[\]}]$'
        end,
        false)
$$;

-- failure_reasons: returns the failures of a flow as an object: the names of steps with reasons.
create function rework.failure_reasons(failures json) returns json
language sql immutable as $$
    select coalesce(json_object_agg(f.name, f.reason), '{}')
      from (select distinct on (f ->> 'step') f ->> 'step' as name, f ->> 'reason' as reason
              from json_array_elements(failure_reasons.failures) with ordinality as listed (f, number)
             order by f ->> 'step', number desc) as f
$$;

-- is_data_fault: returns whether an error with this SQLSTATE is caused by what is stored or written, and would come again.
-- Others, such as a lock that was not free or a full disk, are faults of the moment.
create function rework.is_data_fault(code text) returns boolean
language sql immutable as $$
    select left(is_data_fault.code, 2) in ('21', '22', '23', '42', '54', 'P0', 'RW')
           -- A right, table, column or function that is missing: an upgrade may be in progress.
           and is_data_fault.code not in ('42501', '42P01', '42703', '42883')
$$;

revoke all on function rework.is_data_fault, rework.keep_step_tasks, rework.delete_flows, rework.json_at, rework.first_value,
    rework.step_input, rework.is_truthy, rework.failure_reasons from public;
