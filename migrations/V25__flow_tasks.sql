-- flow_tasks: the tasks of steps: what they need, and what follows their insertion.
--
-- Query plans. The tables may have been empty when a query plan was made. So query plans that are slow on full tables are disabled, and a
-- subquery with `offset 0` makes the planner find each row by its whole key: with the first column of a key alone, it
-- would read all steps of a flow for each one. This is so in all files about flows.

-- step_fault: returns why a task of a step cannot be made, for people; null if it can. The input of a revert consists of
-- values that were accepted before, so only that of an execution is checked. It has no `set` clause, so the planner
-- puts it into the statements that call it.
create function rework.step_fault(op rework.operation, input json, undo boolean) returns text
language sql stable as $$
    select case
        when not step_fault.undo and octet_length(step_fault.input::text) > 16777216
            then 'its input is larger than 16 MiB'
        else coalesce(case when not step_fault.undo then 'its input ' || rework.json_fault(step_fault.input::text) end,
                      case when (step_fault.op).run_before <> '{}' then rework.run_before_fault(step_fault.op) end)
    end
$$;

-- has_started: returns whether the code of a failed task may have started, in any of its runs. It does not start if the
-- input is invalid, for example.
create function rework.has_started(task bigint) returns boolean
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
begin
    return exists (select from rework.task t
                    where t.id = has_started.task and (t.state || '' <> 'failed' or t.started_at is not null))
           or exists (select from rework.run r where r.task = has_started.task and r.started_at is not null);
end $$;

-- after_insert: does what follows the insertion of tasks of steps in these domains: monitors are notified, and the tasks
-- `waiting`, whose operations have `run_before`, wait. Null if there are none.
create function rework.after_insert(domains text[], waiting bigint[]) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
declare
    domain  text;
begin
    if waiting is not null then
        perform rework.wait_before(made.tasks, o, null, null)
           from (select t.operation, array_agg(t.id order by t.id) as tasks
                   from rework.task t where t.id = any (waiting) group by t.operation) as made
           join rework.operation o on o.id = made.operation;
    end if;
    foreach domain in array domains loop
        perform rework.notify_ready(domain);
    end loop;
end $$;

-- undo_input: returns the input of a task that reverts what `task` did. It has no `set` clause, so the planner puts it into
-- the statements that call it.
create function rework.undo_input(task rework.task, failure_reasons json) returns json
language sql stable as $$
    select json_build_object(
        'input', (undo_input.task).input,
        'result', case when (undo_input.task).state = 'done' then (undo_input.task).output end,
        'error', case when (undo_input.task).state <> 'done' then coalesce(
                     (undo_input.task).error,
                     json_build_object('kind', (undo_input.task).state,
                                       'message', coalesce((undo_input.task).reason, (undo_input.task).state::text))) end,
        'failures', undo_input.failure_reasons)
$$;

-- make_step_task: makes the task that executes a step, or that reverts it. Returns the task if it could not be made, and
-- so has failed at once; else null. Small statements that the session keeps the plans of take a third of the time of the
-- statement in `make_step_tasks`, if there is one step only.
create function rework.make_step_task(flow bigint, number integer, undo boolean) returns bigint
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    s         rework.step;
    f         rework.flow;
    op        rework.operation;
    lane      integer;
    done      rework.task;     -- what is to be reverted
    input     json;
    fault     text;
    new_task  bigint := nextval('rework.task_id_seq');
begin
    select step.* into s from rework.step where step.flow = make_step_task.flow and step.number = make_step_task.number;
    select flow.* into f from rework.flow where flow.id = make_step_task.flow;
    select o.* into op from rework.operation o where o.id = case when undo then s.undo_operation else s.operation end;
    if undo then
        select t.* into done from rework.task t where t.id = s.task;
    end if;
    input := case when undo then rework.undo_input(done, rework.failure_reasons(f.failures))
                  when s.args is not null then
                      coalesce(s.args -> 'whole' -> 0 -> 'value', rework.step_input(f.id, s.args)) end;
    fault := rework.step_fault(op, input, undo);
    -- Most tasks are of lanes that are never swept.
    if f.host is null and f.capabilities = '{}' then
        select l.id into lane from rework.lane l
         where l.operation = op.id and coalesce(l.host, '') = '' and l.capabilities = '{}';
    end if;
    insert into rework.task (id, operation, lane, state, priority, host, capabilities, input, reason, finished_at,
                             followed, flow, step)
    overriding system value
    values (new_task, op.id, coalesce(lane, rework.lane_for(op, f.host, f.capabilities)),
            case when fault is null then 'queued' else 'failed' end, f.priority, f.host, f.capabilities,
            case when fault is null then input end, fault, case when fault is not null then clock_timestamp() end,
            op.run_after <> '{}' or op.on_failure <> '{}', s.flow, s.number);
    update rework.step
       set state = case when undo then 'reverting' else 'started' end,
           missing = 0,
           task = case when undo then s.task else new_task end,
           undo_task = case when undo then new_task else s.undo_task end
     where step.flow = s.flow and step.number = s.number;
    if fault is not null then
        return new_task;
    end if;
    if op.run_before <> '{}' then
        perform rework.wait_before(array[new_task], op, null, null);
    end if;
    perform rework.notify_ready(op.domain);
    return null;
end $$;

-- make_step_tasks: makes the tasks that execute steps, or that revert them. The elements of `flows` and `numbers` at one
-- index are one step. Returns the tasks that could not be made: these have failed at once.
create function rework.make_step_tasks(flows bigint[], numbers integer[], undo boolean) returns bigint[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    domains  text[];
    waiting  bigint[];
    failed   bigint[];
begin
    if cardinality(numbers) = 1 then
        return array_remove(array[rework.make_step_task(flows[1], numbers[1], make_step_tasks.undo)], null);
    end if;
    with reverted_flow as materialized (
        select f.id, rework.failure_reasons(f.failures) as failure_reasons
          from (select distinct unnest(flows) where undo) as given (id)
          join rework.flow f on f.id = given.id
    ),
    new_task as materialized (
        select nextval('rework.task_id_seq') as task, s.flow, s.number, s.address, o.op, f.priority, f.host,
               f.capabilities, i.input, rework.step_fault(o.op, i.input, undo) as fault,
               -- Most tasks are of lanes that are never swept.
               coalesce(case when f.host is null and f.capabilities = '{}' then
                            (select l.id from rework.lane l
                              where l.operation = (o.op).id and coalesce(l.host, '') = '' and l.capabilities = '{}') end,
                        rework.lane_for(o.op, f.host, f.capabilities)) as lane
          from unnest(flows, numbers) as given (flow, number)
         cross join lateral (select s.ctid as address, s.* from rework.step s
                              where s.flow = given.flow and s.number = given.number offset 0) as s
         cross join lateral (select f.priority, f.host, f.capabilities from rework.flow f
                              where f.id = given.flow offset 0) as f
          left join reverted_flow r on r.id = given.flow
          left join lateral (select t as done from rework.task t where undo and t.id = s.task offset 0) as t on true
         cross join lateral (select o as op from rework.operation o
                              where o.id = case when undo then s.undo_operation else s.operation end offset 0) as o
         cross join lateral (select case when undo then rework.undo_input(t.done, r.failure_reasons)
                                         when s.args is not null then
                                             coalesce(s.args -> 'whole' -> 0 -> 'value',
                                                      rework.step_input(s.flow, s.args)) end as input offset 0) as i
    ),
    inserted as (
        insert into rework.task (id, operation, lane, state, priority, host, capabilities, input, reason, finished_at,
                                 followed, flow, step)
        overriding system value
        select n.task, (n.op).id, n.lane,
               case when n.fault is null then 'queued' else 'failed' end, n.priority, n.host, n.capabilities,
               case when n.fault is null then n.input end, n.fault,
               case when n.fault is not null then clock_timestamp() end,
               (n.op).run_after <> '{}' or (n.op).on_failure <> '{}', n.flow, n.number
          from new_task n
         order by n.task
    ),
    updated as (
        update rework.step s
           set state = case when undo then 'reverting' else 'started' end,
               missing = 0,
               task = case when undo then s.task else n.task end,
               undo_task = case when undo then n.task else s.undo_task end
          from new_task n
         where s.ctid = n.address
    )
    select coalesce(array_agg(distinct (n.op).domain) filter (where n.fault is null), '{}'),
           array_agg(n.task) filter (where n.fault is null and (n.op).run_before <> '{}'),
           coalesce(array_agg(n.task) filter (where n.fault is not null), '{}')
      into domains, waiting, failed
      from new_task n;
    perform rework.after_insert(domains, waiting);
    return failed;
end $$;

-- make_tasks_of: makes tasks like `make_step_tasks`, for steps of one flow. Returns the steps whose tasks have failed.
create function rework.make_tasks_of(flow bigint, numbers integer[], undo boolean) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
declare
    failed  bigint[];
begin
    if make_tasks_of.numbers = '{}' then
        return '{}';
    end if;
    failed := rework.make_step_tasks(array_fill(make_tasks_of.flow, array[cardinality(make_tasks_of.numbers)]),
                                     make_tasks_of.numbers, make_tasks_of.undo);
    if failed = '{}' then
        return '{}';
    end if;
    return array(select t.step from rework.task t where t.id = any (failed));
end $$;

-- request_decision: makes the task of an operation that decides about a scope. Its input is the history of the scope. If
-- the task cannot be made, it has failed at once.
create function rework.request_decision(flow bigint, scope integer, gate integer, out task bigint, out has_failed boolean)
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    op  rework.operation;
begin
    select o.* into op
      from rework.scope c
      join rework.operation o on o.id = c.operation
     where c.flow = request_decision.flow and c.number = request_decision.scope;
    insert into rework.task (operation, lane, state, priority, host, capabilities, input, reason, finished_at, followed,
                             flow, step)
    select op.id, rework.lane_for(op, f.host, f.capabilities), case when fault.why is null then 'queued' else 'failed' end,
           f.priority, f.host, f.capabilities, i.input, fault.why,
           case when fault.why is not null then clock_timestamp() end, op.run_after <> '{}' or op.on_failure <> '{}',
           f.id, request_decision.gate
      from rework.scope c
      join rework.flow f on f.id = c.flow
     cross join lateral (select json_build_object('history', c.history) as input) as i
     cross join lateral (select rework.step_fault(op, i.input, false) as why) as fault
     where c.flow = request_decision.flow and c.number = request_decision.scope
    returning id, state = 'failed' into task, has_failed;
    if not has_failed then
        perform rework.after_insert(array[op.domain], case when op.run_before <> '{}' then array[task] end);
    end if;
end $$;

revoke all on function rework.step_fault, rework.has_started, rework.after_insert, rework.undo_input,
    rework.make_step_task, rework.make_step_tasks, rework.make_tasks_of, rework.request_decision from public;
