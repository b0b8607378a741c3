-- flow_ends: how a flow starts and how it ends. `rework.complete` (V15) calls `make_flows` when runs have returned plans.

-- forget_plan: deletes the plan of a task, and keeps the tasks of its steps in `past`.
create function rework.forget_plan(task bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    if not exists (select from rework.flow f where f.id = forget_plan.task) then
        return;
    end if;
    perform rework.keep_past(forget_plan.task, 0, 2147483647);
    update rework.past p set scope = null where p.flow = forget_plan.task and p.scope is not null;
    delete from rework.step s where s.flow = forget_plan.task;
    delete from rework.scope s where s.flow = forget_plan.task;
    delete from rework.flow f where f.id = forget_plan.task;
end $$;

-- insert_plans: stores plans. Those of earlier runs of the tasks are kept in `past`. Returns the first steps of all plans:
-- the elements of `flows` and `numbers` at one index are one step.
create function rework.insert_plans(tasks bigint[], plans json[], out flows bigint[], out numbers integer[])
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    perform rework.forget_plan(f.id) from rework.flow f where f.id = any (insert_plans.tasks);
    with parts as materialized (
        select given.task, p.*
          from unnest(insert_plans.tasks, insert_plans.plans) as given (task, plan)
         cross join lateral json_to_record(given.plan)
                        as p (simple boolean, returns json, remaining integer, scopes json, steps json)
    ),
    inserted_flow as (
        insert into rework.flow (id, phase, is_simple, remaining, priority, host, capabilities, returns, name)
        select p.task, 'executing', p.simple, p.remaining, least(t.priority + 1, 32767), t.host, t.capabilities,
               p.returns, p.scopes -> 0 ->> 'name'
          from parts p
         cross join lateral (select t.priority, t.host, t.capabilities from rework.task t where t.id = p.task offset 0) as t
    ),
    inserted_scope as (
        insert into rework.scope (flow, number, outer_scope, first, last, name, pattern, controller, attempts, "values",
                                  values_from, operation, revert_all, provides)
        select p.task, s.number, s."outer", s.first, s.last, s.name, s.pattern, s.controller, s.attempts,
               s."values", s.values_from, s.operation, coalesce(s.revert_all, false), s.provides
          from parts p
         cross join lateral json_to_recordset(p.scopes)
                        as s (number integer, "outer" integer, first integer, last integer, name text, pattern text,
                              controller text, attempts integer, "values" json, values_from json, operation bigint,
                              revert_all boolean, provides text)
    ),
    inserted_step as (
        insert into rework.step (flow, number, name, scope, kind, operation, undo_operation, before, after, args,
                                 condition, on_failure, state, missing)
        select p.task, s.number, s.name, s.scope, s.kind, s.operation, s.undo_operation, s.before, s.after,
               s.args, s.condition, s.on_failure, 'pending', cardinality(s.before)
          from parts p
         cross join lateral json_to_recordset(p.steps)
                        as s (number integer, name text, scope integer, kind text, operation bigint,
                              undo_operation bigint, before integer[], after integer[], args json, condition json,
                              on_failure text)
        returning flow, number, missing
    )
    select array_agg(s.flow order by s.flow, s.number), array_agg(s.number order by s.flow, s.number) into flows, numbers
      from inserted_step s
     where s.missing = 0;
end $$;

-- start_flows: lets these flows start, with their first steps: the elements of `flows` and `numbers` at one index are one
-- step. A flow may have none.
create function rework.start_flows(tasks bigint[], flows bigint[], numbers integer[]) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    simple_flows    bigint[];
    simple_numbers  integer[];
    failed          bigint[] := '{}';
    one             record;
    results         record;
begin
    -- Nothing but tasks can follow from the first steps of a simple plan.
    select array_agg(first.flow), array_agg(first.number) into simple_flows, simple_numbers
      from unnest(start_flows.flows, start_flows.numbers) as first (flow, number)
     cross join lateral (select from rework.flow f where f.id = first.flow and f.is_simple offset 0) as f;
    if simple_flows is not null then
        failed := rework.make_step_tasks(simple_flows, simple_numbers, false);
    end if;
    for one in
        select other.flow, '{}'::integer[] as failed,
               array(select first.number from unnest(start_flows.flows, start_flows.numbers) as first (flow, number)
                      where first.flow = other.flow) as firsts
          from (select unnest(start_flows.tasks) except select unnest(simple_flows)) as other (flow)
        union all
        select t.flow, array_agg(t.step), '{}'
          from unnest(failed) as given (id)
         cross join lateral (select t.flow, t.step from rework.task t where t.id = given.id offset 0) as t
         group by t.flow
    loop
        select o.over, o.failed || one.failed as failed into results from rework.open_steps(one.flow, one.firsts) as o;
        select results.over || s.over as over, s.failed into results
          from rework.settle_failed(one.flow, results.failed) as s;
        perform rework.settle_flow(one.flow, results.over, results.failed, '{}', '{}');
    end loop;
end $$;

-- make_flows: makes flows of tasks, from the plans that their runs have returned (crates/flow/src/plan.rs). The tasks are
-- `waiting`. A plan that cannot be stored lets its task fail. The first steps start at once.
create function rework.make_flows(tasks bigint[], plans json[]) returns void
language plpgsql security definer set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    why  text;
begin
    if exists (select from unnest(make_flows.tasks) as given (id)
                cross join lateral (select t.state || '' as state, t.worker from rework.task t
                                     where t.id = given.id offset 0) as t
                where t.state <> 'waiting' or t.worker is not null) then
        raise exception 'one of the tasks % does not wait for its plan', make_flows.tasks using errcode = 'RW400';
    end if;
    begin
        perform rework.start_flows(make_flows.tasks, p.flows, p.numbers)
           from rework.insert_plans(make_flows.tasks, make_flows.plans) as p;
        return;
    exception when others then
        if not rework.is_data_fault(sqlstate) then
            raise;
        end if;
        get stacked diagnostics why = message_text;
    end;
    -- One of the plans has caused the error. So each flow is made by itself.
    if cardinality(tasks) > 1 then
        perform rework.make_flows(array[given.task], array[given.plan])
           from unnest(make_flows.tasks, make_flows.plans) as given (task, plan);
        return;
    end if;
    update rework.task t
       set state = 'failed', finished_at = clock_timestamp(), reason = 'the flow cannot be made: ' || why,
           error = json_build_object('kind', 'plan', 'message', why)
     where t.id = tasks[1];
    perform pg_notify('rework_end', t.id::text) from rework.task t where t.id = tasks[1] and t.notify_end;
    perform rework.follow(make_flows.tasks);
end $$;

-- begin_stop: lets a flow stop without undoing anything: no step starts any more, and it ends when no task of it is left.
create function rework.begin_stop(flow bigint, ends_as text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    perform rework.withdraw_decisions(begin_stop.flow, 0, 2147483647, 'withdrawn: the flow stops');
    update rework.scope c set aim = null, remaining = null, controller_task = null
     where c.flow = begin_stop.flow and c.aim is not null;
    perform rework.withdraw(begin_stop.flow, 0, 2147483647, 'withdrawn: the flow stops', false);
    update rework.flow f
       set phase = 'stopping', ends_as = begin_stop.ends_as,
           remaining = (select count(*) from rework.step s where s.flow = f.id and s.state in ('started', 'reverting'))
     where f.id = begin_stop.flow;
    perform rework.end_unfinished_flow(f.id) from rework.flow f where f.id = begin_stop.flow and f.remaining = 0;
end $$;

-- stop_flow: lets a flow that cannot go on stop, and fail for this reason when no task of it is left.
create function rework.stop_flow(flow bigint, reason text) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
begin
    update rework.flow f
       set failures = json_build_array(rework.failure(f.name, f.id, 'flow', stop_flow.reason, null))
     where f.id = stop_flow.flow;
    perform rework.begin_stop(stop_flow.flow, 'failed');
end $$;

-- end_done_flows: ends those of these flows that are executing and have no step left, and their tasks. They are `done`.
create function rework.end_done_flows(flows bigint[]) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    followed  bigint[];
    why       text;
begin
    begin
        with ended as (
            update rework.flow f
               set ended_at = clock_timestamp(), missed = false, phase = 'done'
             where f.id = any (end_done_flows.flows) and f.phase = 'executing' and f.remaining = 0 and f.ended_at is null
            returning f.id, f.returns
        ),
        ended_task as (
            update rework.task t
               set state = 'done', finished_at = greatest(clock_timestamp(), t.started_at), losses = 0, reason = null,
                   error = null,
                   output = case when e.returns is not null then rework.step_input(e.id, e.returns) end
              from ended e
             where t.id = e.id and t.state || '' in ('waiting', 'aborting')
            returning t.id, t.followed or t.flow is not null as is_followed,
                      case when t.notify_end then pg_notify('rework_end', t.id::text)::text end
        )
        select array_agg(t.id) into followed from ended_task t where t.is_followed;
        if followed is not null then
            perform rework.follow(followed);
        end if;
        return;
    exception when others then
        if not rework.is_data_fault(sqlstate) then
            raise;
        end if;
        get stacked diagnostics why = message_text;
    end;
    -- The output of one of the flows cannot be made. So each is ended by itself.
    if cardinality(end_done_flows.flows) > 1 then
        perform rework.end_done_flows(array[f.id]) from unnest(end_done_flows.flows) as f (id);
    else
        perform rework.stop_flow(end_done_flows.flows[1], 'its output cannot be made: ' || why);
    end if;
end $$;

-- end_unfinished_flow: ends a flow that is `reverting` or `stopping`, and its task. The task has failed or is aborted.
create function rework.end_unfinished_flow(flow bigint) returns void
language plpgsql set search_path = pg_catalog, rework, pg_temp as $$
#variable_conflict use_column
declare
    f           rework.flow;
    failure     json;
    failed_as   text;       -- why it failed
    not_undone  text;       -- the names of steps that a stopped flow has not undone
    followed    boolean;
begin
    update rework.flow as ended
       set ended_at = clock_timestamp(), missed = false,
           phase = case ended.phase when 'reverting' then 'reverted' else 'stopped' end
     where ended.id = end_unfinished_flow.flow
    returning * into f;
    failure := f.failures -> 0;
    failed_as := case when failure ->> 'kind' in ('flow', 'controller') then failure ->> 'reason'
                      when failure is not null then format('step %s: %s', failure ->> 'step', failure ->> 'reason') end;
    if f.phase = 'stopped' then
        select '; not reverted: ' || string_agg(s.name, ', ' order by s.number) filter (where s.position <= 10)
               || case when count(*) > 10 then format(' and %s more', count(*) - 10) else '' end
          into not_undone
          from (select s.name, s.number, row_number() over (order by s.number) as position
                  from rework.step s
                 where s.flow = f.id and s.undo_operation is not null
                   and s.state in ('done', 'failed', 'reverting', 'revert_failed')) as s
        having count(*) > 0;
    end if;
    update rework.task t
       set state = case when t.state = 'aborting' then 'aborted' else f.ends_as end,
           finished_at = greatest(clock_timestamp(), t.started_at), losses = 0, output = null,
           reason = case when t.state = 'aborting' then t.reason || coalesce(not_undone, '')
                         else coalesce(failed_as, 'stopped') || coalesce(not_undone, '') end,
           error = case when t.state <> 'aborting'
                        then json_build_object('kind', coalesce(failure ->> 'kind', 'flow'), 'message', failed_as,
                                               'failures', f.failures) end
     where t.id = f.id and t.state in ('waiting', 'aborting')
    returning t.followed or t.flow is not null into followed;
    perform pg_notify('rework_end', t.id::text) from rework.task t where t.id = f.id and t.notify_end;
    if followed then
        perform rework.follow(array[f.id]);
    end if;
end $$;

revoke all on function rework.forget_plan, rework.insert_plans, rework.start_flows, rework.make_flows, rework.begin_stop, rework.stop_flow,
    rework.end_done_flows, rework.end_unfinished_flow from public;
