-- flow_tasks: the tasks of steps: what they need, and what follows their insertion.
--
-- Plans. The tables may have been empty when a plan was made. So plans that are slow on full tables are disabled, and a
-- subquery with `offset 0` makes the planner find each row by its whole key: with the first column of a key alone, it
-- would read all steps of a flow for each one. This is so in all files about flows.

-- step_lane: returns the lane of a flow's tasks of an operation.
create function rework.step_lane(op rework.operation, host text, capabilities text[]) returns integer
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    lane  integer;
begin
    if step_lane.host is null and step_lane.capabilities = '{}' then
        select l.id into lane from rework.lane l
         where l.operation = (step_lane.op).id and coalesce(l.host, '') = '' and l.capabilities = '{}';
    end if;
    return coalesce(lane, rework.lane_for(step_lane.op, step_lane.host, step_lane.capabilities));
end $$;

-- step_fault: returns why a task of a step cannot be made, for people; null if it can.
create function rework.step_fault(op rework.operation, input json) returns text
language plpgsql stable set search_path = pg_catalog, rework, pg_temp as $$
begin
    return case
        when octet_length(step_fault.input::text) > 16777216 then 'its input is larger than 16 MiB'
        when rework.json_fault(step_fault.input::text) is not null then
            'its input ' || rework.json_fault(step_fault.input::text)
        when (step_fault.op).run_before <> '{}' then rework.run_before_fault(step_fault.op)
    end;
end $$;

-- after_insert: does what follows the insertion of tasks of steps: tasks of operations with `run_before` wait, and
-- monitors are notified.
create function rework.after_insert(tasks bigint[]) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    made      record;
    notified  text[] := '{}';
begin
    for made in
        select o.id as operation, o.domain, o.run_before <> '{}' as waits, array_agg(t.id order by t.id) as tasks
          from unnest(after_insert.tasks) as given (id)
         cross join lateral (select t.id, t.operation from rework.task t
                              where t.id = given.id and t.state || '' = 'queued' offset 0) as t
          join rework.operation o on o.id = t.operation
         group by o.id
    loop
        if made.waits then
            perform rework.wait_before(made.tasks, o, null, null)
               from rework.operation o where o.id = made.operation;
        end if;
        if made.domain <> all (notified) then
            perform rework.notify_ready(made.domain);
            notified := notified || made.domain;
        end if;
    end loop;
end $$;

-- undo_input: returns the input of a task that reverts what `task` did.
create function rework.undo_input(task bigint, failures json) returns json
language sql stable as $$
    select json_build_object(
               'input', t.input,
               'result', case when t.state || '' = 'done' then t.output end,
               'error', case when t.state || '' <> 'done' then coalesce(
                            t.error,
                            json_build_object('kind', t.state, 'message', coalesce(t.reason, t.state::text))) end,
               'failures', rework.failure_reasons(undo_input.failures))
      from rework.task t
     where t.id = undo_input.task
$$;

-- make_step_tasks: makes the tasks that execute these steps of a flow, or that revert them. Returns the numbers of the
-- steps whose tasks could not be made: these have failed at once.
create function rework.make_step_tasks(flow bigint, numbers integer[], undo boolean) returns integer[]
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    made    bigint[];
    failed  integer[];
begin
    with new_task as materialized (
        select nextval('rework.task_id_seq') as task, given.number, s.address, o as op, f.priority, f.host, f.capabilities,
               i.input, rework.step_fault(o, i.input) as fault
          from unnest(numbers) as given (number)
         cross join lateral (select s.ctid as address, s.* from rework.step s
                              where s.flow = make_step_tasks.flow and s.number = given.number offset 0) as s
          join rework.flow f on f.id = make_step_tasks.flow
          join rework.operation o on o.id = case when undo then s.undo_operation else s.operation end
         cross join lateral (select case when undo then rework.undo_input(s.task, f.failures)
                                         else rework.step_input(make_step_tasks.flow, s.args) end as input offset 0) as i
    ),
    inserted as (
        insert into rework.task (id, operation, lane, state, priority, host, capabilities, input, reason, finished_at,
                                 followed, flow, step)
        overriding system value
        select n.task, (n.op).id, rework.step_lane(n.op, n.host, n.capabilities),
               case when n.fault is null then 'queued' else 'failed' end, n.priority, n.host, n.capabilities,
               case when n.fault is null then n.input end, n.fault,
               case when n.fault is not null then clock_timestamp() end, true, make_step_tasks.flow, n.number
          from new_task n
         order by n.task
    ),
    updated as (
        update rework.step s
           set state = case when undo then 'reverting' else 'started' end,
               task = case when undo then s.task else n.task end,
               undo_task = case when undo then n.task else s.undo_task end
          from new_task n
         where s.ctid = n.address
    )
    select array_agg(n.task) filter (where n.fault is null),
           coalesce(array_agg(n.number) filter (where n.fault is not null), '{}')
      into made, failed
      from new_task n;
    if made is not null then
        perform rework.after_insert(made);
    end if;
    return failed;
end $$;

-- request_decision: makes the task of an operation that decides about a scope. Its input is the history of the scope. If
-- the task cannot be made, it has failed at once.
create function rework.request_decision(flow bigint, scope integer, gate integer, out task bigint, out has_failed boolean)
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    insert into rework.task (operation, lane, state, priority, host, capabilities, input, reason, finished_at, followed,
                             flow, step)
    select o.id, rework.step_lane(o, f.host, f.capabilities), case when fault.why is null then 'queued' else 'failed' end,
           f.priority, f.host, f.capabilities, i.input, fault.why,
           case when fault.why is not null then clock_timestamp() end, true, f.id, request_decision.gate
      from rework.scope c
      join rework.flow f on f.id = c.flow
      join rework.operation o on o.id = c.operation
     cross join lateral (select json_build_object('history', c.history) as input) as i
     cross join lateral (select rework.step_fault(o, i.input) as why) as fault
     where c.flow = request_decision.flow and c.number = request_decision.scope
    returning id, state = 'failed' into task, has_failed;
    if not has_failed then
        perform rework.after_insert(array[task]);
    end if;
end $$;

revoke all on function rework.step_lane, rework.step_fault, rework.after_insert, rework.undo_input,
    rework.make_step_tasks, rework.request_decision from public;
